"""Errors for unknown keys of the configuration, with the key that was probably meant."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_UNKNOWN = "extra_forbidden"


def with_suggestions(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    """Return an error whose unknown keys name the nearest known ones.

    Args:
        error: The error of a validation.
        model: The model that was validated.
    """
    details = error.errors(include_url=False)
    if all(one["type"] != _UNKNOWN for one in details):
        return error
    lines = [
        InitErrorDetails(
            type=_unknown_key(one["loc"], model)
            if one["type"] == _UNKNOWN
            else PydanticCustomError(one["type"], "{message}", {"message": one["msg"]}),
            loc=one["loc"],
            input=one["input"],
        )
        for one in details
    ]
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)


def _unknown_key(loc: tuple[int | str, ...], model: type[BaseModel]) -> PydanticCustomError:
    names = {name for one in _models_at(model, loc[:-1]) for name in one.model_fields}
    near = get_close_matches(str(loc[-1]), sorted(names), 1)
    if near:
        return PydanticCustomError(
            "unknown_key",
            "not permitted here; did you mean `{suggestion}`?",
            {"suggestion": near[0]},
        )
    return PydanticCustomError("unknown_key", "not permitted here")


def _models_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Return the models that a part of the configuration may be of."""
    found = [model]
    for part in loc:
        fields = [one.model_fields[part] for one in found if part in one.model_fields]
        if fields:  # other parts are numbers of items, and members of unions
            found = [one for field in fields for one in _models_in(field.annotation)]
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
