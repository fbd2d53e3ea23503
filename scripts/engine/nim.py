"""A NIM of the user's as an engine of the suite: `make nim-test`."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import NoReturn

from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.doctor.context import check_contexts
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.model_facts.model_ids import Kind as ModelKind
from llama_stack_provider_nvidia.nim.requests.field_table import FIELD_TABLE, MapTo, Unsupported
from scripts.engine.features import DIRECT
from scripts.engine.installing import Environment
from scripts.engine.kinds import CONTEXT, Kind
from scripts.engine.models import Model
from scripts.engine.running import Engine, EngineError

NAME = "nim"
_NOT_KNOWN = ("leave_stream", "leave_whole", "engine_error", "embeddings", "reasoning")
"""Features that need to look into the engine, or a model of the suite's."""
_OF_LENGTH = ("found", "too_long")
_CONSTRAINED = {
    "schema_completion": "json",
    "regex": "regex",
    "choice": "choice",
    "grammar": "grammar",
    "bad_constraint": "regex",
    "bad_constraint_stream": "regex",
}
_ROWS = {row.field: row for row in FIELD_TABLE}


@dataclasses.dataclass(frozen=True)
class NIM(Kind):
    """A NIM that runs somewhere.

    Attributes:
        context: Its context length, None if it does not say.
    """

    context: int | None = None

    def lacks(self, feature: str, route: str) -> bool:
        """Return whether a feature cannot be tried on a route."""
        dialect = Dialect(self.dialect)
        if feature in _NOT_KNOWN or (feature in _OF_LENGTH and self.context != CONTEXT):
            return True
        if dialect is Dialect.HOSTED and ("completion" in feature or feature == "top_k"):
            return True
        if feature in ("schema", "schema_stream"):
            return dialect is Dialect.NIM1 and route == DIRECT
        word = _CONSTRAINED.get(feature)
        if word is None:
            return False
        if route == DIRECT:
            return word not in self.constraints
        completion = feature == "schema_completion"
        mapping = _ROWS[f"structured_outputs.{word}"].mapping_for(dialect, completion=completion)
        return isinstance(mapping, Unsupported)


def find(url: str, key: str | None = None, model: str | None = None) -> NIM:
    """Ask a NIM what it is.

    Args:
        url: Its address.
        key: Of the caller.
        model: The model to call; the first chat model that it lists by default.

    Raises:
        EngineError: It does not list the model.
    """
    return asyncio.run(_find(url, key, model))


async def _find(url: str, key: str | None, model: str | None) -> NIM:
    config = NVIDIAConfig.model_validate({"url": url, "api_key": key})
    endpoint = check_contexts(config)[0].endpoint
    try:
        finding = await endpoint.finding()
        listed = await endpoint.catalogue.models()
    finally:
        await endpoint.aclose()
    chats = {entry.id: entry for entry in listed if entry.kind is ModelKind.LLM}
    served = model or next(iter(chats), None)
    if served not in chats:
        raise EngineError(f"{url} does not list {served or 'a chat model'}")
    nowhere = Environment(NAME, "")
    return NIM(
        NAME,
        f"the NIM at {url}",
        str(finding.dialect),
        Model(NAME, served, "", nowhere),
        nowhere,
        _nothing,
        _nothing,
        _constraints(finding.dialect),
        context=chats[served].context_length,
    )


def _constraints(dialect: Dialect) -> dict[str, tuple[str, ...]]:
    """Return where a dialect takes each kind of constraint as it is written."""
    found = {}
    for word in ("json", "regex", "choice", "grammar"):
        mapping = _ROWS[f"structured_outputs.{word}"].mappings[dialect]
        if isinstance(mapping, MapTo) and mapping.convert is None:
            found[word] = tuple(mapping.path.split("."))
    return found


def _nothing(*_: Kind | Engine | object) -> NoReturn:
    raise EngineError("a NIM of the user's is neither started nor looked into")
