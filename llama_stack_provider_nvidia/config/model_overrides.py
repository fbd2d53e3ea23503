"""Settings under ``model_overrides`` in run.yaml: corrections of facts about models."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..nim.model_facts.overrides import ModelFacts, ModelOverride
from ..nim.model_facts.profile import (
    Always,
    Effort,
    Never,
    ReasoningForm,
    SystemText,
    Temperatures,
    TemplateArgument,
)
from ..nim.model_facts.rows import tagged


class ReasoningOverride(BaseModel):
    """How a model's reasoning is switched and marked."""

    model_config = ConfigDict(extra="forbid")

    switch: Literal["template", "effort", "system", "always", "never"] | None = Field(
        default=None,
        description="What switches it: an argument of the chat template, `reasoning_effort`, a "
        "line of the system message, or nothing, because the model always or never reasons.",
    )
    argument: str | None = Field(
        default=None, description="With `template`: the name in `chat_template_kwargs`."
    )
    enable: bool | str | None = Field(
        default=None,
        description="The value that switches it on; with `system`, the line. Default: true, or "
        "`high` with `effort`.",
    )
    disable: bool | str | None = Field(
        default=None,
        description="The value that switches it off; with `system`, the line. Default: false, or "
        "`none` with `effort`.",
    )
    with_tools: bool = Field(default=True, description="Tools work while it reasons.")
    inline: bool | None = Field(
        default=None,
        description="It stands in the content, between tags, where the server does not separate "
        "it.",
    )
    tags: tuple[str, str] | None = Field(
        default=None, description="The opening and the closing tag. Default: `<think>`, `</think>`."
    )
    opens_in_prompt: bool | None = Field(
        default=None,
        description="The chat template writes the opening tag, so that the content has only the "
        "closing one.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "ReasoningOverride":
        if self.switch == "template" and not self.argument:
            raise ValueError("`switch: template` needs `argument`, the name of the argument")
        if self.switch == "system" and not (
            isinstance(self.enable, str) and isinstance(self.disable, str)
        ):
            raise ValueError("`switch: system` needs `enable` and `disable`, a line each")
        if self.tags is not None and not all(self.tags):
            raise ValueError("`tags` must not be empty")
        return self

    def profile_fields(self) -> dict[str, Any]:
        """Return the fields of ``Profile`` that are given."""
        form = self._form()
        fields = {
            "reasoning": None if form is None else tagged(form, with_tools=self.with_tools),
            "inline_reasoning": True if self.tags and self.inline is None else self.inline,
            "reasoning_tags": self.tags,
            "opens_in_prompt": self.opens_in_prompt,
        }
        return _given(fields)

    def _form(self) -> ReasoningForm | None:
        match self.switch:
            case "template":
                on = True if self.enable is None else self.enable
                off = False if self.disable is None else self.disable
                return TemplateArgument(str(self.argument), on, off)
            case "effort":
                return Effort(str(self.enable or "high"), str(self.disable or "none"))
            case "system":
                return SystemText(str(self.enable), str(self.disable))
            case "always":
                return Always()
            case "never":
                return Never()
        return None


class ModelOverrideConfig(BaseModel):
    """Facts about the models that match one key; what is not given stays as it is known."""

    model_config = ConfigDict(extra="forbid")

    tools: bool | None = Field(default=None, description="They call tools.")
    vision: bool | None = Field(default=None, description="They see images.")
    reasoning: ReasoningOverride | None = Field(
        default=None, description="How their reasoning is switched and marked; see below."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="The most `max_tokens` on the hosted catalogue."
    )
    max_temperature: float | None = Field(
        default=None, ge=0, description="The highest `temperature` on the hosted catalogue."
    )
    zero_temperature: bool | None = Field(
        default=None,
        description="The hosted catalogue takes `temperature` 0, which is rewritten otherwise.",
    )
    max_images: int | None = Field(default=None, ge=0, description="Most images in a request.")
    max_image_characters: int | None = Field(
        default=None, ge=0, description="Most characters of base64 of one image."
    )
    embedding_dimension: int | None = Field(
        default=None, ge=1, description="Length of an embedding model's vectors."
    )
    embedding_dimensions: list[int] | None = Field(
        default=None, description="The lengths that `dimensions` may choose; `[]` for none."
    )
    embedding_max_tokens: int | None = Field(
        default=None, ge=1, description="Longest text of an embedding model, in tokens."
    )
    embedding_asymmetric: bool | None = Field(
        default=None, description="Queries and passages are embedded differently."
    )
    retrieval_images: bool | None = Field(
        default=None, description="An embedding or rerank model takes images."
    )

    def to_override(self) -> ModelOverride:
        """Return the facts as the client reads them."""
        profile = _given({"tools": self.tools, "vision": self.vision})
        if self.reasoning:
            profile |= self.reasoning.profile_fields()
        dimensions = self.embedding_dimensions
        return ModelOverride(
            profile=profile,
            hosted=_given(
                {
                    "tools": self.tools,
                    "string_content": False if self.vision else None,
                    "max_tokens": self.max_tokens,
                    "temperature": self._temperature(),
                }
            ),
            images=_given({"most": self.max_images, "inline": self.max_image_characters}),
            embedding=_given(
                {
                    "dimension": self.embedding_dimension,
                    "dimensions": None if dimensions is None else tuple(dimensions),
                    "max_tokens": self.embedding_max_tokens,
                    "asymmetric": self.embedding_asymmetric,
                    "images": self.retrieval_images,
                }
            ),
            rerank=_given({"images": self.retrieval_images}),
        )

    def _temperature(self) -> Temperatures | None:
        if self.max_temperature is None and self.zero_temperature is None:
            return None
        highest = float("inf") if self.max_temperature is None else self.max_temperature
        return Temperatures(highest, zero=self.zero_temperature is not False)


def make_model_facts(overrides: dict[str, ModelOverrideConfig]) -> ModelFacts:
    """Return what is known of models with the overrides of a configuration."""
    return ModelFacts({pattern: one.to_override() for pattern, one in overrides.items()})


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
