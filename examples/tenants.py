"""Several tenants on one server: each request brings its tenant's key.

    TENANT_KEYS=nvapi-first,nvapi-second python examples/tenants.py

The key is in a header with the provider data: X-LlamaStack-Provider-Data, for OGX
X-OGX-Provider-Data. It overrides the server's own key for that request only, also when many run at
once. Your own NIM accepts any key; NVIDIA's hosted catalogue needs real ones.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from openai import OpenAI

from stack import chat_model, openai_client

KEYS = os.environ.get("TENANT_KEYS", "nvapi-of-the-first,nvapi-of-the-second").split(",")
HEADERS = ("X-LlamaStack-Provider-Data", "X-OGX-Provider-Data")


def ask(client: OpenAI, model: str, tenant: int, question: str) -> str:
    """Ask with the key of a tenant."""
    data = json.dumps({"nvidia_api_key": KEYS[tenant]})
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=60,
        extra_headers=dict.fromkeys(HEADERS, data),
    )
    return answer.choices[0].message.content or ""


def main() -> None:
    """Let all tenants ask twice, all at the same time."""
    client, model = openai_client(), chat_model()
    tenants = [tenant for tenant in range(len(KEYS)) for _ in range(2)]
    questions = [f"Tenant {tenant + 1} says hello." for tenant in tenants]
    with ThreadPoolExecutor(len(tenants)) as pool:
        answers = pool.map(partial(ask, client, model), tenants, questions)
        for tenant, answer in zip(tenants, answers, strict=True):
            # A key is never printed, not even by the one who has it.
            print(f"tenant {tenant + 1}: {answer}")


if __name__ == "__main__":
    main()
