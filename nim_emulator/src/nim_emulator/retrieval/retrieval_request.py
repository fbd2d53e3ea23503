"""A request to an embedding or rerank model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from .. import tokenizer
from ..dialect import Dialect
from ..errors import RefusalError, validation_refusal
from ..model_list import ModelList
from ..retrieval_models import Kind
from ..strict_schema import extra_field

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class RetrievalRequest:
    """One request.

    Attributes:
        dialect: The NIM's generation, with the rules of the model.
        body: The parsed JSON body.
        models: The models of the NIM; an engine takes the first if the request names none.
        path_params: The parts of the path that name a model.
        id: Id of the response.
        created: Unix time in seconds.
        max_batch: The most texts of one embedding request to a NeMo Retriever NIM.
    """

    dialect: Dialect
    body: object
    models: ModelList
    path_params: Mapping[str, str]
    id: str
    created: int
    max_batch: int

    def require_kind(self, *kinds: Kind) -> None:
        """Check that the path exists: a server has only those of its model's kind.

        Args:
            kinds: The kinds of models that have the path.

        Raises:
            HTTPException: It does not exist.
        """
        asked = self.body.get("model") if isinstance(self.body, dict) else None
        models = [asked] if asked in self.models.ids else self.models.ids
        if not any(self.models.kind(model) in kinds for model in models):
            raise HTTPException(404)

    def read(self, shape: type[_Model], fields: frozenset[str]) -> _Model:
        """Drop or refuse what the dialect does not know, then check the types.

        Raises:
            RefusalError: A field is unknown, missing or of the wrong type.
        """
        if not isinstance(self.body, dict):
            problem = {"type": "dict_type", "loc": ("body",), "msg": "Input should be an object"}
            raise validation_refusal([problem])
        problems = []
        if self.dialect.refuses_unknown:
            problems = [
                extra_field(("body", name), value)
                for name, value in self.body.items()
                if name not in fields
            ]
        known = {name: self.body[name] for name in self.body if name in fields}
        try:
            request = shape.model_validate(known)
        except ValidationError as error:
            problems += [
                {"type": item["type"], "loc": ("body", *item["loc"]), "msg": item["msg"]}
                for item in error.errors(
                    include_url=False, include_context=False, include_input=False
                )
            ]
            raise validation_refusal(problems) from None
        if problems:
            raise validation_refusal(problems)
        return request

    def resolve_model(self, asked: str | None, *kinds: Kind) -> str:
        """Return the id of the model.

        Args:
            asked: The id in the request; None for the first model of the kinds.
            kinds: The kinds of models that have the path.

        Raises:
            RefusalError: It is not served.
        """
        fitting = (model for model in self.models.ids if self.models.kind(model) in kinds)
        model = next(fitting) if asked is None else asked
        if model not in self.models.ids:
            unknown = self.dialect.unknown_model
            message = unknown.format(model=model) if isinstance(unknown, str) else "Not Found"
            raise RefusalError(message, param="model", status=404, kind="NotFoundError")
        return model


def cut(text: str, room: int, *, start: bool = False) -> str:
    """Return a text without the tokens that do not fit.

    Args:
        text: The text.
        room: Tokens that are kept.
        start: Cut the start off, not the end.
    """
    pieces = tokenizer.tokenize(text)
    if len(pieces) <= room:
        return text
    kept = pieces[len(pieces) - room :] if start else pieces[:room]
    return "".join(kept)


def usage(total: int) -> dict[str, Any]:
    """Return the ``usage`` object."""
    return {"prompt_tokens": total, "total_tokens": total}
