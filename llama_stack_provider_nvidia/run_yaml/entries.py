"""The providers in a run.yaml that are, or should be, this package."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..config import NVIDIAConfig
from .variables import Syntax, UnsetError, installed_syntax, substituted

MODULE = "llama_stack_provider_nvidia"
PROVIDER_TYPE = "remote::nvidia"
_DISABLED = ("", None, "__disabled__")


class FileError(ValueError):
    """The file is no run.yaml; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One provider of a run.yaml.

    Attributes:
        provider_id: Its name.
        config: Its settings, None if they cannot be used.
        problem: What is wrong with them, and what to do.
        is_ours: This package stands behind it, and not the built-in provider.
    """

    provider_id: str
    config: NVIDIAConfig | None
    problem: tuple[str, str] | None
    is_ours: bool


def read_entries(
    path: Path, *, syntax: Syntax | None = None, environ: Mapping[str, str] = os.environ
) -> list[Entry]:
    """Read the enabled inference providers of type ``remote::nvidia``.

    Args:
        path: The file.
        syntax: Of variables; that of the installed release unless told.
        environ: The variables.

    Raises:
        FileError: It cannot be read, or has no such provider.
    """
    document = _document(path)
    syntax = syntax or installed_syntax()
    providers = document.get("providers")
    listed = providers.get("inference") if isinstance(providers, dict) else None
    by_folder = _registered_by_folder(document, syntax, environ)
    entries = []
    for number, given in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(given, dict) or given.get("provider_type") != PROVIDER_TYPE:
            continue
        where = f"providers.inference[{number}]"
        try:
            provider_id = substituted(given.get("provider_id"), syntax, environ, where)
        except UnsetError:
            provider_id = given.get("provider_id")
        if provider_id in _DISABLED:
            continue
        module = str(given.get("module") or "").partition("==")[0]
        config, problem = _config(given.get("config"), syntax, environ)
        entries.append(Entry(str(provider_id), config, problem, module == MODULE or by_folder))
    if not entries:
        raise FileError(
            f"{path} has no enabled inference provider of type {PROVIDER_TYPE}; "
            "`llama-stack-nvidia init` writes one"
        )
    return entries


def _document(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} is no text file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise FileError(f"{path} is no YAML: {getattr(error, 'problem', error)}{line}") from None
    if not isinstance(document, dict):
        raise FileError(f"{path} is no run.yaml: it is not a mapping")
    return document


def _config(
    given: Any, syntax: Syntax, environ: Mapping[str, str]
) -> tuple[NVIDIAConfig | None, tuple[str, str] | None]:
    try:
        return NVIDIAConfig.model_validate(
            substituted(given or {}, syntax, environ, "config")
        ), None
    except UnsetError as error:
        default = syntax.default(error.name, "...")
        remedy = f"export {error.name}=..., or write a default: {default}"
        return None, (str(error), remedy)
    except ValidationError as error:
        # Never the values: a key may be among them.
        found = [
            f"config.{'.'.join(map(str, one['loc'])) or '*'}: "
            f"{one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        remedy = "Correct it in run.yaml; docs/configuration.md lists the keys."
        if _looks_foreign(given, syntax):
            remedy = (
                f"The installed release writes defaults as {syntax.default('NAME', 'default')}: "
                "change the variables in run.yaml."
            )
        return None, ("; ".join(found), remedy)


def _looks_foreign(given: Any, syntax: Syntax) -> bool:
    """Tell whether variables are written for other releases than the installed one."""
    if isinstance(given, dict):
        return any(_looks_foreign(item, syntax) for item in given.values())
    if isinstance(given, list):
        return any(_looks_foreign(item, syntax) for item in given)
    if not isinstance(given, str) or "${env." not in given:
        return False
    if syntax is Syntax.COLON:
        return ":=" in given or ":+" in given
    return Syntax.SHELL.value.search(given) is None


def _registered_by_folder(
    document: Mapping[str, Any], syntax: Syntax, environ: Mapping[str, str]
) -> bool:
    """Tell whether ``external_providers_dir`` leads to this package."""
    try:
        folder = substituted(document.get("external_providers_dir"), syntax, environ)
    except UnsetError:
        return False
    if not isinstance(folder, str):
        return False
    spec = Path(folder).expanduser() / "remote" / "inference" / "nvidia.yaml"
    return spec.is_file() and MODULE in spec.read_text("utf-8", "replace")
