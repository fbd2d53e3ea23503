"""Write docs/nim.md from the placement table: `python -m scripts.nim_reference`."""

from __future__ import annotations

from pathlib import Path

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.placements import TABLE, At, Cell, Dropped, Refused

TARGET = Path(__file__).resolve().parent.parent / "docs" / "nim.md"

HEAD = """\
# Which NIM

The same run.yaml works with every NIM. At start-up, and again after a NIM was gone, the provider
asks the endpoint a few harmless questions and so finds its *dialect*: where it wants the request
fields that OpenAI's API does not have. The log says what was found and why.

| dialect | what it is | known by |
|---|---|---|
| `hosted` | NVIDIA's API catalogue | its address, or its list of models |
| `nim1` | NIM for LLMs 1.x | models owned by `system`, or `nvext` in its OpenAPI document |
| `nim2-vllm` | NIM 2.x with vLLM inside, or vLLM itself | models owned by `vllm` |
| `nim2-sglang` | NIM 2.x with SGLang inside, or SGLang itself | models owned by `sglang` |
| `dynamo` | NVIDIA Dynamo | its `/health` and its OpenAPI document |
| `generic` | anything else, such as a gateway | none of the above |

A gateway may hide what is behind it. Then say it: `dialect: nim2-vllm` under the provider's
`config:`. While an endpoint does not answer, it counts as `generic` and is asked again.

## What counts as an answer

Answers are checked as they are read, native and OpenAI-style, whole and streamed, by one set of
rules (`nim/answers/shape.py`):

- A wrong type in what carries the answer is an error with status 502 that names the field:
  choices, text, thinking, tool calls, log probabilities, finish reason. Numbers may be text.
- An answer without a message, or a stream in which no choice says anything, is an error. An empty
  text is an answer, and a finish reason may be missing before `[DONE]`.
- A choice without an index has that of its place. An index that the request leaves no room for is
  an error.
- A tool call without an id gets one, and one that shares its index with another gets its own; null
  arguments are empty. A call that never gets a name is an error.
- Token counts that cannot be read count as absent, and so do wrong values in fields that say
  nothing of the answer, such as `system_fingerprint`.
- A server-sent event with empty data is no event, as in the WHATWG's rules.

## Where each feature goes

Callers may write a feature in any of its spellings, `nvext` and `guided_*` among them; the NIM
gets it where it reads it. *refused*: the request fails before it is sent, with an error that names
the feature, the dialect and what to do. *left out*: the answer is the same without the field; the
log says so once. The table is written from `nim/requests/placements.py`, which holds the source and
the date of each row, and a test sends every feature to every emulated dialect.

"""


def reference() -> str:
    """The whole page."""
    dialects = list(Dialect)
    lines = [
        f"| feature | {' | '.join(f'`{dialect}`' for dialect in dialects)} |",
        "|---" * (len(dialects) + 1) + "|",
    ]
    for feature in TABLE:
        cells = " | ".join(described(feature.places[dialect]) for dialect in dialects)
        lines.append(f"| {feature.name} | {cells} |")
    facts = dict.fromkeys(f"- {feature.fact} ({feature.date})" for feature in TABLE)
    return HEAD + "\n".join(lines) + "\n\nSources:\n\n" + "\n".join(facts) + "\n"


def described(cell: Cell) -> str:
    """One cell in words."""
    match cell:
        case At(path=path):
            return f"`{path}`"
        case Refused():
            return "refused"
        case Dropped():
            return "left out"


if __name__ == "__main__":
    TARGET.write_text(reference())
