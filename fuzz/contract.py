# ruff: noqa: T201
"""Check the emulator against its OpenAPI document: `python -m fuzz.contract --seconds 10`.

schemathesis makes requests from the document of each dialect: some that it allows, some that it
does not. No answer may be a 5xx, and each agrees with the document. That what it forbids is
refused is not asked: as the servers it stands for, the emulator takes "5" or true for a number.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nim_emulator.dialect import Dialect
from nim_emulator.dialects import DIALECTS
from nim_emulator.openapi import document
from nim_emulator.retrieval_models import Kind
from schemathesis import checks
from schemathesis.core.failures import FailureGroup

from nim_emulator import EmulatorServer

_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
_BATCH = 5
# The hosted dialect wants one; any will do.
_KEY = {"Authorization": "Bearer any"}
_ANSWER_SECONDS = 30
# One of each kind. A request for any other is answered with 404, without a look at its fields.
_MODELS: dict[Kind, str] = {
    "llm": "meta/llama-3.1-8b-instruct",
    "embedding": "nvidia/llama-nemotron-embed-1b-v2",
    "rerank": "nvidia/llama-nemotron-rerank-1b-v2",
}


def narrowed(dialect: Dialect) -> dict[str, Any]:
    """Return a dialect's document with the routes it has, and for each the models that answer."""
    made = document(dialect)
    for fields, path in (
        (dialect.chat_fields, "/v1/chat/completions"),
        (dialect.completion_fields, "/v1/completions"),
    ):
        if fields is None:
            del made["paths"][path]
    for name, schema in made["components"]["schemas"].items():
        if "model" in schema.get("properties", {}):
            kind: Kind = "llm" if "Completion" in name else "rerank"
            kind = "embedding" if "Embedding" in name else kind
            schema["properties"]["model"] = {"const": _MODELS[kind]}
    return made


def _feed(operation: schemathesis.APIOperation, url: str, seconds: float) -> Counter[int]:
    """Send cases of an operation until the time is over; returns how often each status came.

    Raises:
        FailureGroup: An answer is not as it must be.
    """
    statuses: Counter[int] = Counter()
    ends = time.monotonic() + seconds
    cases = operation.as_strategy(schemathesis.GenerationMode.POSITIVE)
    if operation.method == "post":
        cases = st.one_of(cases, operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))

    @settings(
        max_examples=_BATCH if operation.method == "post" else 1,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(case=cases)
    def send(case: schemathesis.Case) -> None:
        answer = case.call(base_url=url, session=session, headers=_KEY, timeout=_ANSWER_SECONDS)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=_CHECKS)

    with requests.Session() as session:
        session.trust_env = False
        send()
        while operation.method == "post" and time.monotonic() < ends:
            send()
    return statuses


def check(dialect: Dialect, seconds: float) -> tuple[Counter[int], list[str]]:
    """Try all operations of a dialect; returns how often each status came, and what is wrong."""
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    with EmulatorServer(dialect.name, models=list(_MODELS.values())) as nim:
        loaded = schemathesis.openapi.from_dict(narrowed(dialect))
        operations = [found.ok() for found in loaded.get_all_operations()]
        share = seconds / sum(operation.method == "post" for operation in operations)
        for operation in operations:
            try:
                statuses += _feed(operation, nim.url, share)
            except (FailureGroup, requests.RequestException) as error:
                notes = getattr(error, "__notes__", ())
                told = [str(one) for one in getattr(error, "exceptions", (error,))]
                wrong.append("\n".join([f"{dialect.name}: {operation.label}", *told, *notes]))
    return statuses, wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Try all dialects; returns 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.contract", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="in all (default: 10)")
    parser.add_argument("names", nargs="*", metavar="dialect", help="default: all")
    options = parser.parse_args(argv)
    chosen = [DIALECTS[name] for name in options.names or DIALECTS]
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    for dialect in chosen:
        came, found = check(dialect, options.seconds / len(chosen))
        statuses += came
        wrong += found
    print(
        f"{'openapi':14} {statuses.total():9,} inputs {statuses[200]:6,} answered  "
        f"{'FOUND' if wrong else 'ok'}",
        flush=True,
    )
    print("\n\n".join(wrong), end="\n" * bool(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
