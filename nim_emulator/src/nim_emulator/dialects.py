"""The registry of dialects by name.

A dialect is a value: the rest of the emulator asks it and never asks for its name. A new
generation is a new entry here. The facts come from the NIM LLM API references and migration
guide (1.x and 2.x), the NIM function calling and structured generation pages, those of the
NeMo Retriever NIMs, the request models of vLLM, SGLang and NVIDIA Dynamo, the schemas that
NVIDIA publishes for its hosted models, and what users of those reported.
"""

from __future__ import annotations

from .dialect import Dialect
from .generations.dynamo import DYNAMO
from .generations.generic import GENERIC
from .generations.hosted import HOSTED
from .generations.nim1 import NIM1, NIM1_15
from .generations.nim2 import NIM2, NIM2_SGLANG, VLLM
from .generations.retriever import RETRIEVER, RETRIEVER1

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        *(NIM1, NIM1_15, NIM2, NIM2_SGLANG, RETRIEVER, RETRIEVER1),
        *(HOSTED, DYNAMO, VLLM, GENERIC),
    )
}
"""All dialects by name."""

_BY_ALIAS = {alias: dialect for dialect in DIALECTS.values() for alias in dialect.aliases}


def dialect_named(name: str) -> Dialect:
    """Return a dialect by its name or an alias.

    Raises:
        ValueError: There is none.
    """
    dialect = DIALECTS.get(name) or _BY_ALIAS.get(name)
    if dialect is None:
        raise ValueError(
            f"unknown dialect {name!r}: choose one of {sorted([*DIALECTS, *_BY_ALIAS])}"
        )
    return dialect
