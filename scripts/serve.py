"""Keep a Llama Stack server with a NIM running until Ctrl-C.

make serve             on port 8321
PORT=9000 make serve   on another
RUN_YAML=examples/agents.yaml make serve    with another configuration
"""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.markup import escape

from scripts import launch, stack_client
from scripts.child_process import ServerError
from scripts.model_choice import offered_model

_NATIVE = """
Call it with curl:

  curl -s {url}/v1/inference/chat-completion -H 'Content-Type: application/json' \\
    -d '{{"model_id": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

or from Python (pip install llama-stack-client=={client}):

  from llama_stack_client import LlamaStackClient
  client = LlamaStackClient(base_url="{url}")
  answer = client.inference.chat_completion(
      model_id="{model}", messages=[{{"role": "user", "content": "Hello"}}]
  )
  print(answer.completion_message.content)

The server's log: {log}
Ctrl-C stops everything.
"""

_OPENAI = """
Call it with curl:

  curl -s {url}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

or from Python (pip install {package}=={client}; OpenAI's own client does, too):

  from {module} import {name}
  client = {name}(base_url="{url}")
  answer = client.chat.completions.create(
      model="{model}", messages=[{{"role": "user", "content": "Hello"}}]
  )
  print(answer.choices[0].message.content)

The server's log: {log}
Ctrl-C stops everything.
"""


def serve(console: Console) -> int:
    """Run until the server ends by itself; returns its exit status."""
    port = int(os.environ.get("PORT") or 8321)
    with launch.running(console, "serve", port=port) as live:
        with stack_client.connected(live.server.url) as client:
            model = offered_model(client, live.nim, os.environ)
            lines = _NATIVE if stack_client.is_native(client) else _OPENAI
        kind = stack_client.installed_kind()
        lines = lines.format(
            url=live.server.url,
            model=model,
            package=kind.client,
            client=launch.installed(kind.client),
            module=kind.module,
            name=kind.name,
            log=live.server.log_path,
        )
        console.print(escape(lines), soft_wrap=True, highlight=False)
        return live.server.wait()


def main() -> int:
    """Serve; what was started is stopped however it ends."""
    console = Console()
    launch.prepare_process()
    try:
        return serve(console)
    except ServerError as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
