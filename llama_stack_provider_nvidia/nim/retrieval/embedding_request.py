"""Embedding requests: validation, batches, and the body that each NIM takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from .. import errors
from ..dialect import Dialect
from ..errors import invalid
from ..json_types import JSONObject
from ..model_facts.retrieval_models import EmbeddingModel
from ..requests.field_table import EMBEDDING_FIELD_TABLE, Unsupported
from .content import Content

Input = str | list[int] | Content
"""A text (an image is one too: its data URL), the ids of its tokens, or text and image apart."""

INPUT_TYPES = ("query", "passage")
TRUNCATIONS = ("NONE", "START", "END")

_SUFFIX = re.compile(r"(.+)-(query|passage)", re.IGNORECASE)
_DATA_URL = re.compile(r"(.*\s)?data:image/[\w.+-]+;base64,[A-Za-z0-9+/]+={0,2}", re.DOTALL)
_INDEX = re.compile(r"\binput[.\[](\d+)")
_TOO_MANY = re.compile(r"batch.{0,20}exceeds|exceeds.{0,30}batch", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"exceeds? (the )?max|maximum (context|model|allowed|sequence)|too long", re.IGNORECASE
)

ENGINES = (Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG)
"""These have engines inside that may ignore NIM's fields."""
# vLLM's -1 stands for the longest text that the model takes.
_VLLM_TRUNCATE = {
    "START": {"truncate_prompt_tokens": -1, "truncation_side": "left"},
    "END": {"truncate_prompt_tokens": -1, "truncation_side": "right"},
}
_DEFAULT_BATCH_SIZE = 256
"""Inputs in one request for a model that is not known."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request for embeddings, as the caller wrote it.

    Attributes:
        model: The NIM's id.
        inputs: What to embed.
        input_type: ``query`` or ``passage``, if the caller says.
        truncate: ``NONE``, ``START`` or ``END``, if the caller says.
        dimensions: Length of the vectors, if the caller chooses.
        modality: Of each input (``text``, ``image``, ``text_image``), or of all of them.
        extra: Further fields, sent as they are.
        names: What the caller calls these fields, where it is not what they are called here.
    """

    model: str
    inputs: Sequence[Input]
    input_type: str | None = None
    truncate: str | None = None
    dimensions: int | None = None
    modality: str | Sequence[str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, name: str) -> str:
        """Return what the caller calls a field."""
        return self.names.get(name, name)


def split_suffix(model: str) -> tuple[str, str | None]:
    """Split ``<model>-query`` or ``<model>-passage`` into the model and the input type.

    Retriever NIMs know these suffixes up to 1.x (documented there); here they work with all.
    """
    match = _SUFFIX.fullmatch(model)
    return (match[1], match[2].lower()) if match else (model, None)


def validate(request: EmbeddingRequest, known: EmbeddingModel | None) -> EmbeddingRequest:
    """Validate and normalize a request.

    Args:
        request: As the caller wrote it.
        known: What is known of the model.

    Raises:
        InvalidRequestError: A value is wrong in itself, or would be embedded as something else;
            ``field`` says which.
    """
    name = request.name("inputs")
    if not request.inputs:
        raise invalid(name, "is empty: there must be at least one text")
    for n, one in enumerate(request.inputs):
        if not one:
            raise invalid(f"{name}[{n}]", "is empty: there is nothing to embed")
        if known and not known.images and isinstance(one, str) and is_image(one):
            raise invalid(f"{name}[{n}]", f"is an image, and {request.model} embeds only text")
    input_type = _choice(request, "input_type", str.lower, INPUT_TYPES)
    truncate = _choice(request, "truncate", str.upper, TRUNCATIONS)
    return replace(
        request,
        input_type=input_type,
        truncate=truncate,
        dimensions=_dimensions(request, known),
        modality=_modality(request, known),
    )


def _choice(
    request: EmbeddingRequest, attribute: str, fold: Any, allowed: Sequence[str]
) -> str | None:
    value = getattr(request, attribute)
    if value is None:
        return None
    if isinstance(value, str) and (folded := fold(value)) in allowed:
        return str(folded)
    raise invalid(
        request.name(attribute), f"{value!r} does not exist: it must be {' or '.join(allowed)}"
    )


def _dimensions(request: EmbeddingRequest, known: EmbeddingModel | None) -> int | None:
    """Return the dimensions to send: not those that come anyway, which some models refuse."""
    wanted, name = request.dimensions, request.name("dimensions")
    if wanted is None:
        return None
    if not isinstance(wanted, int) or wanted < 1:
        raise invalid(name, f"is {wanted}: it must be at least 1")
    return None if known and wanted == known.dimension else wanted


def _modality(
    request: EmbeddingRequest, known: EmbeddingModel | None
) -> str | Sequence[str] | None:
    given, name = request.modality, request.name("modality")
    if given is not None:
        if isinstance(given, str):
            return given
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise invalid(name, "must be a string, or a list of strings")
        if len(given) not in (1, len(request.inputs)):
            raise invalid(name, f"has {len(given)} entries for {len(request.inputs)} inputs")
        return given[0] if len(given) == 1 else list(given)
    if not (known and known.images):
        return None
    kinds = [_kind(one) for one in request.inputs]
    return None if all(kind == "text" for kind in kinds) else kinds


def to_wire(one: Input) -> str | list[int]:
    """Return an input as NIM reads it: an image is its data URL, after its text if it has one."""
    if not isinstance(one, Content):
        return one
    return " ".join(filter(None, (one.text, one.image)))


def is_image(text: str) -> bool:
    """Return whether an input holds an image, as a data URL, with or without text before it."""
    return "data:image/" in text and _DATA_URL.fullmatch(text) is not None


def _kind(one: Input) -> str:
    if not isinstance(one, str) or not is_image(one):
        return "text"
    return "image" if one.startswith("data:image/") else "text_image"


def split_batches(count: int, size: int) -> list[slice]:
    """Return slices of ``count`` inputs of at most ``size``, as even as can be."""
    number = -(-count // size)
    bounds = [count * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def batch_size(known: EmbeddingModel | None, configured: int | None) -> int:
    """Return how many inputs go into one request."""
    return configured or (known.batch_size if known else _DEFAULT_BATCH_SIZE)


def takes_base64(request: EmbeddingRequest, known: EmbeddingModel | None, dialect: Dialect) -> bool:
    """Return whether the NIM is known to send vectors as base64.

    Some models refuse it, and quantized vectors are no 32-bit floats.
    """
    if request.extra.get("embedding_type", "float") != "float":
        return False
    if known is None:
        return dialect is Dialect.NIM2_VLLM
    return known.base64 and dialect is not Dialect.HOSTED


def embedding_body(
    request: EmbeddingRequest, batch: slice, dialect: Dialect, *, base64: bool
) -> JSONObject:
    """Return the body of ``POST /v1/embeddings`` for one batch of a request.

    Args:
        request: From ``validate``.
        batch: The inputs to send.
        dialect: Who reads it.
        base64: Ask for vectors as base64.

    Raises:
        InvalidRequestError: This NIM would ignore what the request asks for.
    """
    body: JSONObject = {
        **request.extra,
        "model": request.model,
        "input": list(request.inputs[batch]),
        "encoding_format": "base64" if base64 else "float",
    }
    _check_effect(request, dialect)
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.input_type is not None:
        body["input_type"] = request.input_type
    if request.truncate is not None:
        body |= _truncation(request, dialect)
    if isinstance(request.modality, str):
        body["modality"] = request.modality
    elif request.modality is not None:
        body["modality"] = list(request.modality[batch])
    return body


def _check_effect(request: EmbeddingRequest, dialect: Dialect) -> None:
    """Refuse what this NIM ignores silently, by the field table."""
    for feature in EMBEDDING_FIELD_TABLE:
        value = getattr(request, feature.field)
        mapping = feature.mappings[dialect]
        if isinstance(mapping, Unsupported) and value is not None and value not in feature.no_op:
            raise invalid(
                request.name(feature.field),
                f"has no effect on a NIM of dialect {dialect}: {mapping.workaround}",
                code="unsupported_field",
            )


def _truncation(request: EmbeddingRequest, dialect: Dialect) -> JSONObject:
    assert request.truncate is not None
    if dialect not in (*ENGINES, Dialect.DYNAMO):
        return {"truncate": request.truncate}
    # NONE is what they do anyway.
    return dict(_VLLM_TRUNCATE.get(request.truncate, {}))


def locate_error(
    error: errors.InvalidRequestError,
    request: EmbeddingRequest,
    batch: slice,
    known: EmbeddingModel | None = None,
) -> errors.InvalidRequestError:
    """Return a NIM's refusal of a batch with the input at fault, what is known, and a remedy.

    Args:
        error: The refusal.
        request: The whole request.
        batch: The batch.
        known: What is known of the model.
    """
    match = _INDEX.search(error.message)
    number = int(match[1]) if match else None
    if number is None and batch.stop - batch.start == 1 and _TOO_LONG.search(error.message):
        number = 0
    text = error.message
    if number is not None and batch.start + number < batch.stop:
        error.field = f"{request.name('inputs')}[{batch.start + number}]"
        text = f"{error.field}: {text.removeprefix(f'input[{number}]: ')}"
    if _TOO_MANY.search(error.message):
        text += " Set `embedding_batch_size` in run.yaml to what it takes."
    elif _TOO_LONG.search(error.message):
        error.code, error.openai_code = "context_length_exceeded", None
        text += (
            f" Send shorter texts, or have them cut: {request.name('truncate')}, or "
            "`embedding_truncate` in run.yaml."
        )
    elif explanation := explain_embedding_refusal(request, known):
        text += f" {explanation}"
    error.message = text
    return error


def explain_embedding_refusal(
    request: EmbeddingRequest, known: EmbeddingModel | None
) -> str | None:
    """Return what is known of the model that a refused request does not fit."""
    wanted, conflicts = request.dimensions, []
    if known and wanted is not None and known.dimensions is not None:
        lengths = known.dimensions or (known.dimension,)
        if wanted not in lengths:
            lengths_text = ", ".join(map(str, lengths))
            conflicts.append(
                f"makes vectors of {lengths_text} (`{request.name('dimensions')}`): leave it out, "
                "or choose one of these"
            )
    if known and request.input_type == "query":
        kinds = [_kind(one) for one in request.inputs]
        if any(kind != "text" for kind in kinds):
            n = next(n for n, kind in enumerate(kinds) if kind != "text")
            conflicts.append(
                f"takes only text as a query, and `{request.name('inputs')}[{n}]` is an image: "
                "embed images as passages"
            )
    if any(isinstance(one, list) for one in request.inputs):
        conflicts.append("may take no token ids, which not every NIM does: send the text")
    if not conflicts:
        return None
    return (
        f"By what was published by {known.date if known else '2026-10'}, {request.model} "
        f"{'; '.join(conflicts)}. If that has changed, correct it under `model_overrides` in "
        "run.yaml."
    )
