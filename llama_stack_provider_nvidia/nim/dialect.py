"""Dialects: the generations of NIM, by how each wants its requests."""

from enum import StrEnum
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit


class Dialect(StrEnum):
    """A generation of NIM, by how it wants its requests."""

    NIM1 = "nim1"
    """NIM for LLMs 1.x: extensions live in an ``nvext`` object."""
    NIM2_VLLM = "nim2-vllm"
    """NIM 2.x with vLLM inside, or plain vLLM: extensions live at the top level."""
    NIM2_SGLANG = "nim2-sglang"
    """NIM 2.x with SGLang inside, or plain SGLang."""
    HOSTED = "hosted"
    """NVIDIA's API catalogue: closed schemas, standard fields only."""
    DYNAMO = "dynamo"
    """NVIDIA Dynamo's front end: extensions and ``guided_*`` at the top level."""
    GENERIC = "generic"
    """Anything else that speaks OpenAI's API."""


if TYPE_CHECKING:
    DialectSetting = str
else:
    DialectSetting = Literal[("auto", *(str(dialect) for dialect in Dialect))]
"""The values of the setting: a dialect's name, or ``auto`` to detect it."""

HOSTED_HOSTS = frozenset({"integrate.api.nvidia.com", "ai.api.nvidia.com"})


def is_hosted(endpoint: str) -> bool:
    """Return whether an address is NVIDIA's API catalogue."""
    return urlsplit(endpoint).hostname in HOSTED_HOSTS
