"""Write docs/nim.md from the field table: `python -m scripts.nim_reference`."""

from __future__ import annotations

from pathlib import Path

from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.requests.field_table import (
    EMBEDDING_FIELD_TABLE,
    FIELD_TABLE,
    Feature,
    FieldMapping,
    Ignored,
    MapTo,
    Unsupported,
)
from scripts.nim_provenance import ENGINES, Known, captures, engine_of, provenance

TARGET = Path(__file__).resolve().parent.parent / "docs" / "nim.md"

HEAD = """\
# Which NIM

The same run.yaml works with every NIM. At start-up, and again after a NIM was unreachable, the
provider sends the endpoint a few harmless requests to detect its *dialect*: where it reads the
request fields that OpenAI's API does not have. The log says which dialect was detected, and why.

| dialect | what it is | detected by |
|---|---|---|
| `hosted` | NVIDIA's API catalogue | its address, or its model list |
| `nim1` | NIM for LLMs 1.x | models owned by `system`, or `nvext` in its OpenAPI document |
| `nim2-vllm` | NIM 2.x with vLLM, or vLLM itself | models owned by `vllm` |
| `nim2-sglang` | NIM 2.x with SGLang, or SGLang itself | models owned by `sglang` |
| `dynamo` | NVIDIA Dynamo | its `/health` and its OpenAPI document |
| `generic` | anything else, such as a gateway | none of the above |

A gateway may hide the NIM behind it. Then set the dialect in the provider's `config:`, as in
`dialect: nim2-vllm`. An endpoint that does not respond counts as `generic` until it does.

## What counts as an answer

Every response is validated by the same rules (`nim/responses/normalize.py`), native and
OpenAI-style, streaming or not:

- A wrong type in the fields that carry the content is an error with status 502 that names the
  field: choices, text, reasoning, tool calls, log probabilities, finish reason. Text may be a
  number.
- A response without a message, or a stream in which no choice has any content, is an error. An
  empty text is valid. A finish reason that is missing before `[DONE]` is added, for each choice.
- A finish reason that says that the engine gave up (`abort`, `error`, `cancelled`, `timeout` and
  the like) is an error. Others become one of OpenAI's: `repetition` is `length`; an unknown one is
  `stop`, and is logged once. `tool_calls` without any call is `stop`, and with a call that breaks
  off in the middle `length`.
- A log probability that is null, NaN, infinite or no number is -9999.0, OpenAI's value for a very
  unlikely token. In a text completion null stays null: the first token has none.
- A choice without an index gets its position as index. An index beyond the requested number of
  choices is an error.
- A tool call without an id gets one. A tool call that shares its index with another gets its own.
  Null arguments are empty. A call that never gets a name is an error.
- Invalid token counts are treated as missing. So are wrong values in all fields that carry no
  content, whatever their name, such as `system_fingerprint` or SGLang's `metadata`. NaN and
  Infinity, which JSON does not have, count as null there. All chunks of a stream get one id.
- SGLang answers a request for a model that it does not have with the one that it has. The provider
  looks the model up in the NIM's list, and refuses one that is not there (404).
- A server-sent event with empty data is ignored, as the WHATWG specifies. So is one with a name
  other than `message` and `error`, such as Dynamo's `tool_call_dispatch`. An event `error` is an
  error with its text, which may be its data or a comment.

## Where each feature goes

Callers can use any NIM's spelling of a feature, `nvext` and `guided_*` included; the provider maps
it to the field that this NIM reads. *refused*: the NIM has no such feature, or accepts and ignores
the field; the request fails before it is sent, and the error names the feature, the dialect and
the remedy. *left out*: the field is dropped because the response is the same without it; the log
says so once. Any other field is sent, and if the NIM refuses it, the error says what is known of
the model: see [Models](models.md). The table is generated from `nim/requests/field_table.py`, which
has the source and date of each row, and a test sends every feature to every emulated dialect.

Each cell says how it is known:

"""

KNOWN = """\
- *run*: a real engine was asked, and its recorded answers show it: {engines}.
- *captured*: a [capture](capture.md) of a NIM shows it{captured}.
- *doc* and a number: documented, by the source of that number below the tables, with its date.

"""

EMBEDDINGS = """\
For embeddings:

"""


def reference() -> str:
    """Return the whole page."""
    features = (*FIELD_TABLE, *EMBEDDING_FIELD_TABLE)
    sources = list(dict.fromkeys(_source(feature) for feature in features))
    tables = [table(FIELD_TABLE, sources), "\n", EMBEDDINGS, table(EMBEDDING_FIELD_TABLE, sources)]
    numbered = "".join(f"{number}. {source}\n" for number, source in enumerate(sources, 1))
    return HEAD + _known() + "".join(tables) + "\nSources:\n\n" + numbered


def table(features: tuple[Feature, ...], sources: list[str]) -> str:
    """Return the Markdown table of some features."""
    dialects = list(Dialect)
    lines = [
        f"| feature | {' | '.join(f'`{dialect}`' for dialect in dialects)} |",
        "|---" * (len(dialects) + 1) + "|",
    ]
    for feature in features:
        number = sources.index(_source(feature)) + 1
        cells = [
            f"{described(feature.mappings[dialect])}, {_how(feature, dialect, number)}"
            for dialect in dialects
        ]
        lines.append(f"| {feature.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def described(mapping: FieldMapping) -> str:
    """Return one mapping in words."""
    match mapping:
        case MapTo(path=path):
            return f"`{path}`"
        case Unsupported():
            return "refused"
        case Ignored():
            return "left out"


def _how(feature: Feature, dialect: Dialect, number: int) -> str:
    """Return how a cell is known; ``number`` is that of the row's source."""
    known = provenance(feature, dialect).known
    return f"*doc* {number}" if known is Known.DOCUMENTED else f"*{known}*"


def _source(feature: Feature) -> str:
    return f"{feature.source} ({feature.date})"


def _known() -> str:
    """Return what the words of the cells mean."""
    titles = {"vllm": "vLLM", "sglang": "SGLang", "dynamo": "Dynamo"}
    engines = []
    for dialect in ENGINES:
        engine = engine_of(dialect)
        assert engine is not None
        name = f"{titles[engine.engine]} {engine.version}"
        engines.append(f"{name} for `{dialect}` ({engine.recorded})")
    captured = "" if captures() else "; there is none so far"
    return KNOWN.format(engines=", ".join(engines), captured=captured)


if __name__ == "__main__":
    TARGET.write_text(reference())
