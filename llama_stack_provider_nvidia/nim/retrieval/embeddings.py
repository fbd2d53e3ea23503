"""Requests for embeddings: what is asked for, how each NIM takes it, and in what portions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from .. import errors
from ..dialect import Dialect
from ..errors import invalid
from .contents import Content
from .embedders import Embedder, embedder_of

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
"""These have engines inside that know no NIM fields, and pass over what they do not know."""
# vLLM's -1 stands for the longest text that the model takes.
_VLLM_TRUNCATE = {
    "START": {"truncate_prompt_tokens": -1, "truncation_side": "left"},
    "END": {"truncate_prompt_tokens": -1, "truncation_side": "right"},
}
_MOST = 256
"""Inputs in one request for a model that is not known."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """What a caller asks for.

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
        """What the caller calls a field."""
        return self.names.get(name, name)


def split_suffix(model: str) -> tuple[str, str | None]:
    """Split ``<model>-query`` or ``<model>-passage`` into the model and the input type.

    Retriever NIMs know these suffixes up to 1.x (documented there); here they work with all.
    """
    match = _SUFFIX.fullmatch(model)
    return (match[1], match[2].lower()) if match else (model, None)


def checked(request: EmbeddingRequest) -> EmbeddingRequest:
    """Find what a NIM would refuse, or would take for something else, before it is sent.

    Raises:
        InvalidRequestError: Its ``field`` says which.
    """
    name = request.name("inputs")
    if not request.inputs:
        raise invalid(name, "is empty: there must be at least one text")
    known = embedder_of(request.model)
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
        modality=_modality(request, known, input_type),
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


def _dimensions(request: EmbeddingRequest, known: Embedder | None) -> int | None:
    wanted, name = request.dimensions, request.name("dimensions")
    if wanted is None:
        return None
    if not isinstance(wanted, int) or wanted < 1:
        raise invalid(name, f"is {wanted}: it must be at least 1")
    if known is None or known.dimensions is None:
        return wanted
    if wanted == known.dimension:
        return None  # it is what comes anyway, and models without a choice refuse the field
    if not known.dimensions:
        raise invalid(
            name,
            f"is {wanted}, and {request.model} makes vectors of {known.dimension} only: leave "
            "it out, or choose a model with dynamic embeddings",
        )
    if wanted not in known.dimensions:
        lengths = ", ".join(map(str, known.dimensions))
        raise invalid(name, f"is {wanted}: {request.model} makes vectors of {lengths}")
    return wanted


def _modality(
    request: EmbeddingRequest, known: Embedder | None, input_type: str | None
) -> str | Sequence[str] | None:
    given, name = request.modality, request.name("modality")
    if given is not None:
        if isinstance(given, str):
            return given
        if len(given) not in (1, len(request.inputs)):
            raise invalid(name, f"has {len(given)} entries for {len(request.inputs)} inputs")
        return given[0] if len(given) == 1 else list(given)
    if not (known and known.images):
        return None
    kinds = [_kind(one) for one in request.inputs]
    if all(kind == "text" for kind in kinds):
        return None
    if input_type == "query":
        n = next(n for n, kind in enumerate(kinds) if kind != "text")
        raise invalid(
            f"{request.name('inputs')}[{n}]",
            "is an image, and a query can only be text: embed images as passages",
        )
    return kinds


def as_text(one: Input) -> str | list[int]:
    """Give an input as NIM reads it: an image is its data URL, after its text if it has one."""
    if not isinstance(one, Content):
        return one
    return " ".join(filter(None, (one.text, one.image)))


def is_image(text: str) -> bool:
    """Tell whether an input holds an image, as a data URL, with or without text before it."""
    return "data:image/" in text and _DATA_URL.fullmatch(text) is not None


def _kind(one: Input) -> str:
    if not isinstance(one, str) or not is_image(one):
        return "text"
    return "image" if one.startswith("data:image/") else "text_image"


def portions(count: int, size: int) -> list[slice]:
    """Split ``count`` inputs into portions of at most ``size``, as even as can be."""
    number = -(-count // size)
    bounds = [count * n // number for n in range(number + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def batch_size(model: str, configured: int | None) -> int:
    """How many inputs go into one request."""
    known = embedder_of(model)
    return configured or (known.batch_size if known else _MOST)


def takes_base64(request: EmbeddingRequest, dialect: Dialect) -> bool:
    """Whether the NIM is known to send vectors as base64.

    Some models refuse it, and quantized vectors are no 32-bit floats.
    """
    if request.extra.get("embedding_type", "float") != "float":
        return False
    known = embedder_of(request.model)
    if known is None:
        return dialect is Dialect.NIM2_VLLM
    return known.base64 and dialect is not Dialect.HOSTED


def body_of(
    request: EmbeddingRequest, part: slice, dialect: Dialect, *, base64: bool
) -> dict[str, Any]:
    """Make the body of ``POST /v1/embeddings`` for a portion of a request.

    Args:
        request: From ``checked``.
        part: The inputs to send.
        dialect: What the NIM speaks.
        base64: How the vectors are to come.

    Raises:
        InvalidRequestError: This NIM cannot carry what the request asks for.
    """
    body: dict[str, Any] = {
        **request.extra,
        "model": request.model,
        "input": list(request.inputs[part]),
        "encoding_format": "base64" if base64 else "float",
    }
    if dialect is not Dialect.NIM2_VLLM:
        for n, one in enumerate(request.inputs[part], part.start):
            if not isinstance(one, str):
                raise invalid(
                    f"{request.name('inputs')}[{n}]",
                    "is a list of token ids, which only vLLM takes: send the text",
                )
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.input_type is not None:
        body["input_type"] = request.input_type
    if request.truncate is not None:
        body |= _truncation(request, dialect)
    if isinstance(request.modality, str):
        body["modality"] = request.modality
    elif request.modality is not None:
        body["modality"] = list(request.modality[part])
    return body


def _truncation(request: EmbeddingRequest, dialect: Dialect) -> dict[str, Any]:
    assert request.truncate is not None
    if dialect not in ENGINES:
        return {"truncate": request.truncate}
    if request.truncate == "NONE":  # which is what they do
        return {}
    if dialect is Dialect.NIM2_VLLM:
        return dict(_VLLM_TRUNCATE[request.truncate])
    raise invalid(
        request.name("truncate"), "this engine (SGLang) cannot cut texts: send shorter ones"
    )


def located(
    error: errors.InvalidRequestError, request: EmbeddingRequest, part: slice
) -> errors.InvalidRequestError:
    """Name the input at fault by its place in the whole request, and the way out.

    Args:
        error: What the NIM said to a portion of the request.
        request: The whole request.
        part: The portion.
    """
    match = _INDEX.search(error.message)
    number = int(match[1]) if match else None
    if number is None and part.stop - part.start == 1 and _TOO_LONG.search(error.message):
        number = 0
    text = error.message
    if number is not None and part.start + number < part.stop:
        error.field = f"{request.name('inputs')}[{part.start + number}]"
        text = f"{error.field}: {text}"
    if _TOO_MANY.search(error.message):
        text += " Set `embedding_batch_size` in run.yaml to what it takes."
    elif _TOO_LONG.search(error.message):
        text += (
            f" Send shorter texts, or have them cut: {request.name('truncate')}, or "
            "`embedding_truncate` in run.yaml."
        )
    error.message = text
    return error
