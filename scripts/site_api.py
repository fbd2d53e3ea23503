"""The API reference in Markdown, for readers without the site: names, signatures, docstrings."""

from __future__ import annotations

import re
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent
PATHS = (ROOT, ROOT / "nim_emulator" / "src")
_DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)


def expanded(text: str) -> str:
    """Return a page with each module that it names replaced by what is in it."""
    if not _DIRECTIVE.search(text):
        return text
    loader = griffe.GriffeLoader(search_paths=PATHS, allow_inspection=False)
    return _DIRECTIVE.sub(lambda found: _module(loader, found[1]), text)


def _module(loader: griffe.GriffeLoader, name: str) -> str:
    package = name.partition(".")[0]
    if package not in loader.modules_collection:
        loader.load(package)
        loader.resolve_aliases()
    module = loader.modules_collection[name]
    parts = [_words(module), *(_member(one, "###") for one in _public(module))]
    return "\n\n".join(filter(None, parts))


def _public(owner: griffe.Object | griffe.Alias) -> list[griffe.Object | griffe.Alias]:
    """Return the members that the site shows."""
    shown = (one for one in owner.members.values() if one.is_public)
    named = (one for one in shown if not one.name.startswith("__"))
    return [one for one in named if not one.is_module and one.has_docstring]


def _member(one: griffe.Object | griffe.Alias, level: str) -> str:
    parts = [f"{level} `{one.name}`", f"```python\n{_signature(one)}\n```", _words(one)]
    if one.is_class:
        parts += [_member(inner, f"{level}#") for inner in _public(one)]
    return "\n\n".join(filter(None, parts))


def _signature(one: griffe.Object | griffe.Alias) -> str:
    if one.is_class and "__init__" not in one.members:
        return f"class {one.name}"
    if one.is_class:
        init = one.members["__init__"].signature(name=one.name)
        return f"class {init.replace('(self, ', '(').removesuffix(' -> None')}"
    if one.is_function:
        return f"def {one.signature()}"
    return f"{one.name}: {one.annotation}" if one.annotation else one.name


def _words(one: griffe.Object | griffe.Alias) -> str:
    return one.docstring.value if one.docstring else ""
