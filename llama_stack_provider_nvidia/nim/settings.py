"""Settings for writing requests and reading responses."""

from dataclasses import dataclass, field

from .model_facts.overrides import ModelFacts
from .requests.thinking import ReasoningSetting


@dataclass(frozen=True)
class Settings:
    """Settings for writing requests and reading responses.

    Attributes:
        thinking: On, off, or the most tokens of reasoning; None leaves it to the model.
        recover_tool_calls: Look for tool calls in the text of models known to write them there.
        validate: Check responses against the constraint that their request set; then a NIM that
            cannot enforce it may be asked as well.
        download_images: Fetch images by their address here, for a NIM that cannot.
        facts: What is known of models.
    """

    thinking: ReasoningSetting | None = None
    recover_tool_calls: bool = False
    validate: bool = False
    download_images: bool = False
    facts: ModelFacts = field(default_factory=ModelFacts)
