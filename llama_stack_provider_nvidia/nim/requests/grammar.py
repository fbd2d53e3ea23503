"""The syntax of a grammar constraint: sent as written, translated where a NIM reads Lark alone.

vLLM and Dynamo with vLLM read GBNF and Lark. SGLang reads GBNF. NIM 1.x up to 1.14 compiles
grammars with outlines, which reads Lark; from 1.15 on its backend is xgrammar, which reads GBNF
(vLLM and SGLang sources, NIM 1.x release notes, 2026-10).
"""

import importlib
import re
from collections.abc import Mapping
from typing import Any

from ..dialect import Dialect
from ..json_types import JSONObject

_FIRST_LARK_FREE_RELEASE = (1, 15)
# The package's time grows with the square of the rules: for 64 Ki characters it is a second.
_MAX_TRANSLATED_CHARACTERS = 16 * 1024
# Where each dialect has a grammar, once the fields are mapped.
_PATHS: Mapping[Dialect, tuple[str, str | None]] = {
    Dialect.NIM1: ("nvext", "guided_grammar"),
    Dialect.NIM2_VLLM: ("structured_outputs", "grammar"),
    Dialect.NIM2_SGLANG: ("ebnf", None),
    Dialect.DYNAMO: ("guided_grammar", None),
}
# The first definition decides: a string further on may hold anything.
_DEFINITION = re.compile(r"^[ \t]*(?:%[a-z]+|[?!]*[\w.-]+(?:\{[^}]*\})?\s*(::=|:))", re.MULTILINE)
_INSTALL = "pip install 'llama-stack-provider-nvidia[grammar]'"


def is_lark(text: str) -> bool:
    """Return whether a grammar is in Lark's syntax; one that is in neither counts as GBNF."""
    found = _DEFINITION.search(text)
    return found is not None and found[1] != "::="


def with_readable_grammar(
    body: Mapping[str, Any], dialect: Dialect, release: str | None
) -> JSONObject:
    """Return the body with its grammar translated to Lark where the NIM reads nothing else.

    The optional package ``llguidance`` translates. Without it, and for a grammar that it cannot
    translate, the grammar is sent as written, and the NIM refuses it: see
    ``explain_grammar_refusal``.

    Args:
        body: A request from ``map_fields`` for this dialect.
        dialect: Who reads it.
        release: The NIM's release, such as ``1.8.4``; None if it does not say.
    """
    text = _grammar_of(body, dialect)
    if text is None or is_lark(text) or not _reads_lark(dialect, release):
        return dict(body)
    translated = _translate(text)
    top, inner = _PATHS[dialect]
    if translated is None or inner is None:
        return dict(body)
    return {**body, top: {**body[top], inner: translated}}


def explain_grammar_refusal(
    body: Mapping[str, Any], dialect: Dialect, release: str | None
) -> str | None:
    """Return why a NIM may have refused the grammar of a request, None if it reads its syntax."""
    text = _grammar_of(body, dialect)
    if text is None:
        return None
    reads_lark = _reads_lark(dialect, release)
    if not is_lark(text) and reads_lark:
        return (
            "NIM 1.x up to 1.14 reads grammars in Lark's syntax, and this one is in GBNF: write "
            f"it in Lark, or have it translated ({_INSTALL})"
        )
    if is_lark(text) and reads_lark is False:
        return "this NIM reads grammars in GBNF, and this one is in Lark's syntax: write it in GBNF"
    return None


def _grammar_of(body: Mapping[str, Any], dialect: Dialect) -> str | None:
    top, inner = _PATHS.get(dialect, ("", None))
    value = body.get(top)
    if inner is not None:
        value = value.get(inner) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _reads_lark(dialect: Dialect, release: str | None) -> bool | None:
    """Return whether a NIM reads Lark alone (or GBNF alone); None for both, or not known."""
    if dialect is Dialect.NIM2_SGLANG:
        return False
    if dialect is not Dialect.NIM1 or release is None:
        return None
    return _version(release) < _FIRST_LARK_FREE_RELEASE


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


def _translate(text: str) -> str | None:
    """Translate GBNF to Lark; None where that cannot be done."""
    if len(text) > _MAX_TRANSLATED_CHARACTERS:
        return None
    try:
        translate = importlib.import_module("llguidance.gbnf_to_lark").gbnf_to_lark
        lark = str(translate(text))
    except Exception:  # the package raises bare exceptions, for bad grammars and deep ones
        return None
    # A directive for llguidance itself, which outlines does not know.
    return lark.removeprefix("%llguidance {}").lstrip()
