"""From what a caller asks for to what is sent: every rewriting of a request, in its order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..dialect import Dialect
from ..discovery.detect import Finding
from ..errors import invalid
from .grammar import to_gbnf, to_lark
from .hosted import check_hosted
from .images import HOSTED_INLINE, check_images, inline_images
from .place import place
from .profiles import UNKNOWN, Profile, profile_of
from .thinking import Setting, apply_thinking


@dataclass(frozen=True)
class Settings:
    """How a user wants requests written and answers read.

    Attributes:
        thinking: On, off, or the most tokens to think; None leaves it to the model.
        recover_tool_calls: Look for tool calls in the text of models known to write them there.
        validate: Check answers against the constraint that their request set; then a NIM that
            cannot enforce it may be asked as well.
        download_images: Fetch images by their address here, for a NIM that cannot.
        image_bytes: Size of the largest image to fetch.
        image_seconds: Time for all images of a request together.
        image_private_hosts: Fetch images from private networks as well.
    """

    thinking: Setting | None = None
    recover_tool_calls: bool = False
    validate: bool = False
    download_images: bool = False
    image_bytes: int = 20 * 1024 * 1024
    image_seconds: float = 30.0
    image_private_hosts: bool = False


async def prepare(body: Mapping[str, Any], finding: Finding, settings: Settings) -> dict[str, Any]:
    """Write a request the way one NIM takes it.

    Args:
        body: OpenAI's fields, and beside them those of any generation of NIM.
        finding: What the NIM is.
        settings: The user's.

    Raises:
        InvalidRequestError: The NIM, or the model, cannot carry what the request asks for.
    """
    profile = profile_of(str(body.get("model")))
    if "messages" not in body:
        if finding.dialect is Dialect.HOSTED and "prompt" in body:
            _check_completes(str(body.get("model")), profile)
        placed = place(body, finding.dialect, unenforced=settings.validate)
        return _with_readable_grammar(placed, finding)
    if settings.download_images:
        messages = await inline_images(
            body["messages"],
            fetch_limit_bytes=settings.image_bytes,
            timeout=settings.image_seconds,
            allow_private=settings.image_private_hosts,
        )
        body = {**body, "messages": messages}
    placed = place(body, finding.dialect, unenforced=settings.validate)
    placed = _with_readable_grammar(placed, finding)
    placed = apply_thinking(placed, settings.thinking, profile, finding.dialect)
    if finding.dialect is Dialect.HOSTED:
        placed = check_hosted(placed, profile)
    check_images(placed["messages"], **_limits(profile, finding.dialect))
    return placed


# Where each dialect has a grammar, once it is placed.
_GRAMMARS = {
    Dialect.NIM1: ("nvext", "guided_grammar"),
    Dialect.NIM2_VLLM: ("structured_outputs", "grammar"),
    Dialect.NIM2_SGLANG: ("ebnf", None),
    Dialect.DYNAMO: ("guided_grammar", None),
}


def _with_readable_grammar(placed: dict[str, Any], finding: Finding) -> dict[str, Any]:
    """Bring a grammar into the syntax that the NIM's backend reads.

    NIM 1.x up to 1.14 compiles grammars with outlines, which reads Lark; all others have
    xgrammar. A NIM 1.x that does not name its release gets the grammar as it was written.
    """
    top, inner = _GRAMMARS.get(finding.dialect, ("", None))
    holder = placed.get(top)
    text = holder.get(inner) if inner and isinstance(holder, dict) else holder
    if not isinstance(text, str):
        return placed
    if finding.dialect is not Dialect.NIM1:
        text = to_gbnf(text)
    elif finding.release is not None:
        text = to_lark(text) if _version(finding.release) < (1, 15) else to_gbnf(text)
    return {**placed, top: {**placed[top], inner: text} if inner else text}


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


def _check_completes(model: str, profile: Profile) -> None:
    """Refuse a text completion that the hosted catalogue has no route for.

    It answers "404 page not found", as for a model that does not exist.
    """
    if profile is not UNKNOWN and profile.task != "completion":
        raise invalid(
            "model",
            f"NVIDIA's hosted catalogue serves no text completion with {model}: ask for a chat "
            "completion, or use a NIM of your own",
        )


def _limits(profile: Profile, dialect: Dialect) -> dict[str, int | None]:
    known = profile.images
    most = known.most if known else None
    if dialect is not Dialect.HOSTED:
        return {"most": most}
    return {"most": most, "inline": known.inline if known and known.inline else HOSTED_INLINE}
