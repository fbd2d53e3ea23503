"""The registry of faults."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from .operations import Operations

Kind = Literal["port", "connection", "status", "stream", "events", "content", "set-up"]
"""The subject of a fault: the listening port, the TCP connection, the HTTP status, when the bytes
of a response come, the framing of server-sent events, what is in them, or the whole server."""


Only = Literal["stream", "whole"]


@dataclass(frozen=True)
class FaultKind:
    """One fault of the table.

    Attributes:
        name: Its name.
        kind: What it is about.
        summary: What it does.
        parameters: Checks the parameters and holds their defaults.
        play: Does it, given the response and the parameters; None for what no request can bring
            about.
        only: It is only for requests that ask for a stream, or for a whole response.
        examples: Parameters beside the choices, for those who try all.
    """

    name: str
    kind: Kind
    summary: str
    parameters: type[BaseModel]
    play: Callable[..., Operations] | None = None
    only: Only | None = None
    examples: tuple[Mapping[str, Any], ...] = field(default=())

    def variants(self) -> Iterator[dict[str, Any]]:
        """Yield parameters that show what it can do: the defaults, and each other choice."""
        yield {}
        for name, info in self.parameters.model_fields.items():
            if get_origin(info.annotation) is Literal:
                yield from (
                    {name: choice} for choice in get_args(info.annotation) if choice != info.default
                )
        yield from map(dict, self.examples)


FAULTS: dict[str, FaultKind] = {}
"""All faults by name."""


def fault(
    kind: Kind, *, only: Only | None = None, examples: tuple[Mapping[str, Any], ...] = ()
) -> Callable[[Callable[..., Operations]], Callable[..., Operations]]:
    """Put a function into the table.

    Its name (with ``-`` for ``_``), the first paragraph of its docstring and its parameters after
    the response are what the table says.
    """

    def add(play: Callable[..., Operations]) -> Callable[..., Operations]:
        hints = get_type_hints(play, include_extras=True)
        arguments = list(inspect.signature(play).parameters.values())[1:]
        parameters = {item.name: (hints[item.name], item.default) for item in arguments}
        _add(kind, play.__name__, play.__doc__ or "", parameters, play, only, examples)
        return play

    return add


def describe(kind: Kind, name: str, summary: str, **parameters: tuple[Any, Any]) -> None:
    """Put into the table what is not brought about by a request."""
    _add(kind, name, summary, parameters, None, None, ())


def _add(
    kind: Kind,
    name: str,
    doc: str,
    parameters: Mapping[str, tuple[Any, Any]],
    play: Callable[..., Operations] | None,
    only: Only | None,
    examples: tuple[Mapping[str, Any], ...],
) -> None:
    name = name.strip("_").replace("_", "-")
    fields: dict[str, Any] = dict(parameters)
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    summary = " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())
    FAULTS[name] = FaultKind(name, kind, summary, model, play, only, examples)


def fault_table() -> str:
    """Return a Markdown table of all faults."""
    lines = ["| Fault | Kind | What it does | Parameters |", "| --- | --- | --- | --- |"]
    for item in sorted(FAULTS.values(), key=lambda item: get_args(Kind).index(item.kind)):
        only = {"stream": " Streams only.", "whole": " Not for streams.", None: ""}[item.only]
        parameters = "; ".join(_parameters(item)) or "none"
        lines.append(f"| `{item.name}` | {item.kind} | {item.summary}{only} | {parameters} |")
    return "\n".join(lines)


def _parameters(item: FaultKind) -> Iterator[str]:
    for name, info in item.parameters.model_fields.items():
        if get_origin(info.annotation) is Literal:
            yield f"`{name}`: {' '.join(f'`{choice}`' for choice in get_args(info.annotation))}"
        elif info.default or info.default in (0, False):
            yield f"`{name}={json.dumps(info.default).strip(chr(34))}`"
        else:
            yield f"`{name}`"
