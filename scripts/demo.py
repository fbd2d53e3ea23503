"""The demo: a NIM, a Llama Stack server, and one request of each kind.

    make demo                                     an emulated NIM
    NVIDIA_API_KEY=nvapi-... make demo            NVIDIA's hosted catalogue
    NVIDIA_BASE_URL=http://host:8000 make demo    a NIM of your own
    NVIDIA_MODEL=meta/... make demo               a certain model of it
    ENGINE=smollm2 make demo                      a real model in vLLM, on this machine's CPU
    STACK=0.7.3 make demo                         another release, by its own client

Releases up to 0.2.24 are called by their native API, later ones by OpenAI's.
A small model is not asked for what it does not know: calling tools by itself. Exits with 1 when any
request fails or its answer is wrong.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape

from scripts import demo_openai, demo_steps, launch, stack_client
from scripts.child_process import ServerError, tail
from scripts.demo_steps import Step
from scripts.model_choice import offered_model

REQUEST_SECONDS = 120.0
NOT_OF_SMALL_MODELS = ("tool call and its result", "parallel tool calls, streamed")


def run_step(console: Console, name: str, step: Step, client: Any, model: str) -> bool:
    """Send one step's requests and show the outcome; True when it is right."""
    started = time.monotonic()
    try:
        shown = step(client, model)
    except Exception as error:  # whatever went wrong is the step's outcome
        mark, shown, right = "[red]FAILED[/]", f"{type(error).__name__}: {error}", False
    else:
        mark, right = "[green]ok[/]    ", True
    seconds = time.monotonic() - started
    console.print(
        f"{mark} {name:<30} {seconds:5.2f} s  [dim]{escape(shown)}[/]",
        soft_wrap=True,
        highlight=False,
    )
    return right


def demonstrate(console: Console) -> int:
    """Start everything, run all the steps, stop everything; returns the exit status."""
    with (
        launch.running(console, "demo") as live,
        stack_client.connected(live.server.url, REQUEST_SECONDS) as client,
    ):
        model = offered_model(client, live.nim, os.environ)
        console.print(f"Model        {model}\n", highlight=False)
        steps = demo_steps.STEPS if stack_client.is_native(client) else demo_openai.STEPS
        if live.nim.engine:
            steps = tuple((name, step) for name, step in steps if name not in NOT_OF_SMALL_MODELS)
        outcomes = [run_step(console, name, step, client, model) for name, step in steps]
        wrong = outcomes.count(False)
        if not wrong:
            for log in live.logs:
                log.unlink(missing_ok=True)
            console.print(
                f"\n[green]All {len(outcomes)} requests were answered as they should be.[/]"
            )
            return 0
        console.print(f"\n[red]{wrong} of {len(outcomes)} requests went wrong.[/]")
        console.print(f"The end of {live.server.log_path}:", soft_wrap=True, highlight=False)
        console.print(escape(tail(live.server.log_path, 15)), soft_wrap=True, highlight=False)
        return 1


def main() -> int:
    """Run the demo; what it started is stopped however it ends."""
    console = Console()
    launch.prepare_process()
    try:
        return demonstrate(console)
    except ServerError as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
