"""What a model family can do: the shapes of that data, and finding a model's.

A dialect says how a *server* wants its requests; a profile says what the *model* behind it can
do, and what NVIDIA's catalogue lets it be asked. The rows are in ``profile_data`` and
``profile_data_community``.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..dialect import Dialect
from ..discovery.models import Kind, kind_of


@dataclass(frozen=True)
class SystemText:
    """Thinking is switched by a line that begins the system message."""

    on: str
    off: str


@dataclass(frozen=True)
class TemplateArgument:
    """Thinking is switched by an argument of the chat template.

    Attributes:
        key: Its name in ``chat_template_kwargs``.
        on: Its value for thinking.
        off: Its value for none.
    """

    key: str
    on: bool | str = True
    off: bool | str = False


@dataclass(frozen=True)
class Effort:
    """Thinking is switched by OpenAI's ``reasoning_effort``."""

    on: str
    off: str


@dataclass(frozen=True)
class Always:
    """The model thinks whatever it is told.

    Attributes:
        instead: What a user can do who wants less of it.
    """

    instead: str = "choose a model that can answer at once"


@dataclass(frozen=True)
class Never:
    """The model was not made to think."""


Form = SystemText | TemplateArgument | Effort | Always | Never


@dataclass(frozen=True)
class Budget:
    """Where a dialect takes the most tokens a model may think.

    Attributes:
        path: Its place in the body.
        most: The largest number it takes, None where none is known.
        beside: Fields it has to come with.
    """

    path: str
    most: int | None = None
    beside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ThinkingSwitch:
    """How to have a model think, or not.

    Attributes:
        form: How it is switched.
        budgets: Where it can be limited, by dialect; others have no limit for this family.
        with_tools: Tools work while it thinks.
    """

    form: Form
    budgets: Mapping[Dialect, Budget] = field(default_factory=dict)
    with_tools: bool = True


NEVER = ThinkingSwitch(Never())


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
    """What NVIDIA's hosted catalogue lets a family be asked; the default restricts nothing.

    Attributes:
        string_content: Content is a string; lists of parts are refused.
        roles: The roles its messages may have, None for any.
        max_tokens: The most that can be asked for.
        default_max_tokens: What it answers with when nobody asks, where that is so little that
            answers are cut short.
        temperature: The range it takes.
        tools: Tools can be offered.
        tool_choices: The tool choices there are, ``named`` for one by name; None for all.
        tool_fields: What each function's definition must have.
        streams_by_default: It streams unless told not to.
    """

    string_content: bool = False
    roles: frozenset[str] | None = None
    max_tokens: int | None = None
    default_max_tokens: int | None = None
    temperature: Temperatures | None = None
    tools: bool = True
    tool_choices: frozenset[str] | None = None
    tool_fields: frozenset[str] = frozenset()
    streams_by_default: bool = False


@dataclass(frozen=True)
class ImageLimits:
    """How images may be sent.

    Attributes:
        most: Images in a request.
        inline: Characters of base64 of one inline image on the hosted catalogue.
        with_system: A system message may come with an image.
        image_first: The model reads better with the image before the text.
    """

    most: int | None = None
    inline: int | None = None
    with_system: bool = True
    image_first: bool = False


Task = Literal["chat", "safety", "document", "reward", "completion", "retrieval"]


@dataclass(frozen=True)
class Profile:
    """What a model can do. None stands for not known, which forbids nothing.

    Attributes:
        family: What people call these models.
        kind: Which of NIM's APIs they have.
        task: What they are made for.
        vision: They see images.
        tools: They were made to call tools.
        tool_calls_as_text: The style in which tool calls end up in the text where a server has
            no parser for them.
        thinking: How their thinking is switched, None where that is not known.
        inline_think: Where a server does not set thinking apart, it stands in the content, as
            ``<think>...</think>``.
        opens_in_prompt: The chat template writes the opening tag, and so only the closing one
            stands in the content.
        hosted: What the hosted catalogue lets them be asked.
        images: Limits for images, None where none is known.
        echo_reasoning: Earlier thinking may be sent back as ``reasoning_content``.
    """

    family: str
    kind: Kind = Kind.LLM
    task: Task = "chat"
    vision: bool | None = None
    tools: bool | None = None
    tool_calls_as_text: Literal["llama", "nemotron"] | None = None
    thinking: ThinkingSwitch | None = None
    inline_think: bool = False
    opens_in_prompt: bool = False
    hosted: HostedRules = HostedRules()
    images: ImageLimits | None = None
    echo_reasoning: bool = False


@dataclass(frozen=True)
class Family:
    """One row of the table.

    Attributes:
        pattern: Found in the model ids of this family, in lower case.
        profile: What these models can do.
        fact: Where this is known from.
        date: When it was so, as year and month.
    """

    pattern: re.Pattern[str]
    profile: Profile
    fact: str
    date: str


UNKNOWN = Profile(family="unknown")
"""Any other model: nothing is forbidden, nothing is recognised in its text."""


@functools.lru_cache(maxsize=1024)
def profile_of(model_id: str) -> Profile:
    """Find out what a model can do from its id.

    Args:
        model_id: The NIM's id of it, such as ``meta/llama-3.1-8b-instruct``; Hugging Face names
            are understood as well.

    Returns:
        The profile of the first family that fits, or ``UNKNOWN``. A LoRA adapter has a name of
        its own: ask with the id of its base model.
    """
    kind = kind_of(model_id)
    if kind is not Kind.LLM:
        return Profile(f"{kind} models", kind, "retrieval", tools=False, thinking=NEVER)
    name = model_id.lower()
    found = (family.profile for family in families() if family.pattern.search(name))
    return next(found, UNKNOWN)


@functools.cache
def families() -> tuple[Family, ...]:
    """Give all rows in the order in which they are tried."""
    # Imported here: the rows are made of the classes above.
    from . import profile_data, profile_data_community

    return profile_data.FAMILIES + profile_data_community.FAMILIES
