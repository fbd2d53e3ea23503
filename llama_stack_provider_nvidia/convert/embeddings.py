"""Convert native embedding requests."""

from collections.abc import Mapping, Sequence
from enum import Enum

from ..nim.errors import invalid
from ..nim.retrieval.content import Content as NIMContent
from ..nim.retrieval.embedding_request import EmbeddingRequest
from .content import user_content
from .native_types import Content

# By the values of ``TextTruncation`` and ``EmbeddingTaskType``.
_TRUNCATE = {"none": "NONE", "start": "START", "end": "END"}
_INPUT_TYPES = {"query": "query", "document": "passage"}
_NAMES = {
    "inputs": "contents",
    "truncate": "text_truncation",
    "dimensions": "output_dimension",
    "input_type": "task_type",
}


def convert_embeddings_request(
    model: str,
    contents: Sequence[Content],
    *,
    text_truncation: str | Enum | None = None,
    output_dimension: int | None = None,
    task_type: str | Enum | None = None,
) -> EmbeddingRequest:
    """Convert a native embedding request.

    Args:
        model: The NIM's own id.
        contents: Texts, and images for the models that embed them.
        text_truncation: What to do with a text that is too long; none means an error.
        output_dimension: Length of the vectors, for the models that can choose it.
        task_type: Whether the texts are queries or documents: many NIMs want to know.

    Raises:
        InvalidRequestError: There is nothing to embed, or a value does not exist.
    """
    if not contents:
        raise invalid("contents", "is empty: there must be at least one text")
    return EmbeddingRequest(
        model,
        [_input(content, f"contents[{n}]") for n, content in enumerate(contents)],
        input_type=_named(_INPUT_TYPES, task_type, "task_type"),
        truncate=_named(_TRUNCATE, text_truncation, "text_truncation"),
        dimensions=output_dimension,
        names=_NAMES,
    )


def _input(content: Content, field: str) -> str | NIMContent:
    made = user_content(content, field)
    if isinstance(made, str):
        return made
    texts = [part["text"] for part in made if part["type"] == "text"]
    images = [part["image_url"]["url"] for part in made if part["type"] == "image_url"]
    if len(images) > 1:
        raise invalid(field, f"has {len(images)} images: one vector is made of one at most")
    return NIMContent("\n".join(texts) or None, images[0])


def _named(table: Mapping[str, str], value: str | Enum | None, field: str) -> str | None:
    """Look an enum's member up, also by its value."""
    if value is None:
        return None
    name = table.get(str(value.value if isinstance(value, Enum) else value))
    if name is None:
        raise invalid(field, f"{value!r} does not exist: it must be {', '.join(table)}")
    return name
