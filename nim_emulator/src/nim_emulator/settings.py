"""Settings of an emulator."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .dialect import TOOL_STREAMS, Dialect, ToolStream
from .dialects import dialect_named

DEFAULT_CONTEXT = 8192
DEFAULT_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the emulator behaves.

    Attributes:
        dialect: Name of the NIM's generation, see ``dialect_named``.
        models: Ids of the served models, None for the dialect's own; the first is the default
            of a NIM 2.x.
        adapters: LoRA adapters: the id of a served model by the name of the adapter.
        api_key: Key that inference and the model list require, None for no key. The hosted
            dialect wants some key in any case, and shows its list to all.
        context: Context length of the models in tokens. At its default, a dialect whose models
            are known for a longer one uses that.
        tokens_per_second: Rate of streams, None for no limit.
        tool_stream: Style of streamed tool calls, None for the dialect's own.
        frames_per_write: Events of a stream per write to the socket.
        release: What the version route says, None for the dialect's own.
        done: Streams end with ``[DONE]``.
        polls: How often the response of a model that is never ready in time is still not ready
            when it is fetched.
        max_batch: The most texts of one embedding request; a NeMo Retriever NIM or the hosted
            catalogue refuses more. What the real limits are is not published.
        tool_parser: The server was started with a parser for tool calls. Without one, NIM 1.x
            and vLLM refuse the tool choice ``auto``; the other dialects take no notice.
        created: Unix time in seconds that the model list shows.
    """

    dialect: str = "nim2"
    models: Sequence[str] | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    api_key: str | None = None
    context: int = DEFAULT_CONTEXT
    tokens_per_second: float | None = None
    tool_stream: ToolStream | None = None
    frames_per_write: int = 1
    release: str | None = None
    done: bool = True
    polls: int = 1
    max_batch: int = DEFAULT_BATCH
    tool_parser: bool = True
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is unknown or out of range; the message says which.
        """
        dialect_named(self.dialect)
        if self.tool_stream is not None and self.tool_stream not in TOOL_STREAMS:
            raise ValueError(
                f"unknown tool stream {self.tool_stream!r}: choose one of {list(TOOL_STREAMS)}"
            )
        if not self.served and self.generation.no_models is None:
            raise ValueError("at least one model is needed")
        self._check_adapters()
        if self.context < 1 or self.frames_per_write < 1:
            raise ValueError("context and frames_per_write must be at least 1")
        if self.tokens_per_second is not None and self.tokens_per_second <= 0:
            raise ValueError("tokens_per_second must be greater than 0")
        if self.polls < 0:
            raise ValueError("polls must be at least 0")
        if self.max_batch < 1:
            raise ValueError("max_batch must be at least 1")

    def _check_adapters(self) -> None:
        if self.adapters and self.generation.adapter_root is None:
            raise ValueError(f"the dialect {self.generation.name} has no adapters")
        for name, base in self.adapters.items():
            if not name or name in self.served:
                raise ValueError(f"adapter {name!r} needs a name that no model has")
            if base not in self.served:
                raise ValueError(
                    f"adapter {name!r} belongs to {base!r}, which is none of the models: "
                    f"{list(self.served)}"
                )

    @cached_property
    def generation(self) -> Dialect:
        """The dialect, with the release and the tool parser that were asked for."""
        dialect = dialect_named(self.dialect)
        return replace(
            dialect,
            release=dialect.release if self.release is None else self.release,
            auto_tools=self.tool_parser or not dialect.parser_option,
        )

    @cached_property
    def served(self) -> tuple[str, ...]:
        """The ids of the served models."""
        own = dialect_named(self.dialect).default_models
        return own if self.models is None else tuple(self.models)

    @property
    def context_length(self) -> int:
        """The context length in tokens."""
        return self.generation.context if self.context_limit is None else self.context

    @property
    def context_limit(self) -> int | None:
        """The context length that was asked for, None for what the models have."""
        return None if self.context == DEFAULT_CONTEXT else self.context
