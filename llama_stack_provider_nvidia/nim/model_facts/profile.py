"""Profile: what a model family can do.

A dialect says how a *server* wants its requests; a profile says what the *model* behind it can
do, and what NVIDIA's hosted catalogue is known to accept for it. ``registry`` finds a model's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..dialect import Dialect
from .model_ids import Kind


@dataclass(frozen=True)
class SystemText:
    """Reasoning is switched by a line that begins the system message."""

    on: str
    off: str


@dataclass(frozen=True)
class TemplateArgument:
    """Reasoning is switched by an argument of the chat template.

    Attributes:
        key: Its name in ``chat_template_kwargs``.
        on: Its value for reasoning.
        off: Its value for none.
    """

    key: str
    on: bool | str = True
    off: bool | str = False


@dataclass(frozen=True)
class Effort:
    """Reasoning is switched by OpenAI's ``reasoning_effort``."""

    on: str
    off: str


@dataclass(frozen=True)
class Always:
    """The model always reasons.

    Attributes:
        workaround: What a user can do who wants less of it.
    """

    workaround: str = "choose a model that can answer at once"


@dataclass(frozen=True)
class Never:
    """The model does not reason."""


ReasoningForm = SystemText | TemplateArgument | Effort | Always | Never


@dataclass(frozen=True)
class Budget:
    """Where a dialect takes the maximum of reasoning tokens.

    Attributes:
        path: Its path in the body.
        most: The largest number it is known to take; None where none is known.
        beside: Fields it has to come with.
    """

    path: str
    most: int | None = None
    beside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReasoningSwitch:
    """How a model's reasoning is switched and limited.

    Attributes:
        form: How it is switched.
        budgets: Where it can be limited, by dialect; others have no limit for this family.
        with_tools: Tools work while it reasons.
    """

    form: ReasoningForm
    budgets: Mapping[Dialect, Budget] = field(default_factory=dict)
    with_tools: bool = True


NEVER = ReasoningSwitch(Never())


@dataclass(frozen=True)
class Temperatures:
    """The temperatures a hosted schema allows.

    Attributes:
        highest: Allowed itself.
        zero: 0 is allowed.
    """

    highest: float
    zero: bool = True


@dataclass(frozen=True)
class HostedRules:
    """The fields that the hosted catalogue's published schema accepts; by default anything.

    Attributes:
        string_content: Content is a string; lists of parts are refused.
        roles: The roles its messages may have; None for any.
        max_tokens: The most that can be asked for.
        temperature: The range it takes.
        tools: Tools can be offered.
        tool_choices: The tool choices there are, ``named`` for one by name; None for all.
        tool_fields: What each function's definition must have.
    """

    string_content: bool = False
    roles: frozenset[str] | None = None
    max_tokens: int | None = None
    temperature: Temperatures | None = None
    tools: bool = True
    tool_choices: frozenset[str] | None = None
    tool_fields: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ImageLimits:
    """Known limits of images in a request.

    Attributes:
        most: Images in a request.
        inline: Characters of base64 of one inline image on the hosted catalogue.
        with_system: A system message may come with an image.
    """

    most: int | None = None
    inline: int | None = None
    with_system: bool = True


Task = Literal["chat", "safety", "document", "reward", "completion", "retrieval"]


@dataclass(frozen=True)
class Profile:
    """The abilities of a model. None stands for not known.

    Attributes:
        family: What people call these models.
        kind: Which of NIM's APIs they have.
        task: What they are made for.
        vision: They see images.
        tools: They were made to call tools.
        tool_calls_as_text: The style in which tool calls end up in the text where a server has
            no parser for them.
        reasoning: How their reasoning is switched; None where that is not known.
        inline_reasoning: Where a server does not separate the reasoning, it stands in the
            content, between ``reasoning_tags``.
        reasoning_tags: The opening and the closing tag.
        opens_in_prompt: The chat template writes the opening tag, so that only the closing one
            stands in the content.
        hosted: What the hosted catalogue is known to accept for them.
        images: Limits for images; None where none is known.
        accepts_reasoning_history: Earlier reasoning may be sent back as ``reasoning_content``.
        date: When all this was so, as year and month; empty where nothing is known.
    """

    family: str
    kind: Kind = Kind.LLM
    task: Task = "chat"
    vision: bool | None = None
    tools: bool | None = None
    tool_calls_as_text: Literal["llama", "nemotron"] | None = None
    reasoning: ReasoningSwitch | None = None
    inline_reasoning: bool = False
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    opens_in_prompt: bool = False
    hosted: HostedRules = HostedRules()
    images: ImageLimits | None = None
    accepts_reasoning_history: bool = False
    date: str = ""


@dataclass(frozen=True)
class Family:
    """One row: a family of models and its profile.

    Attributes:
        pattern: Found in the model ids of this family, in lower case.
        profile: What these models can do.
        source: Where this is known from.
    """

    pattern: re.Pattern[str]
    profile: Profile
    source: str


UNKNOWN = Profile(family="unknown")
"""Any other model: nothing is assumed."""
