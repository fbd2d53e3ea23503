"""The ``remote::nvidia`` inference providers in a run.yaml."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..config.provider import NVIDIAConfig
from .env_substitution import Syntax, UnsetVariableError, installed_syntax, substitute

MODULE = "llama_stack_provider_nvidia"
PROVIDER_TYPE = "remote::nvidia"
_DISABLED = ("", None, "__disabled__")


class RunYamlError(ValueError):
    """The file is not a usable run.yaml; the text says why."""


@dataclass(frozen=True)
class ProviderEntry:
    """One provider of a run.yaml, or an address given on the command line.

    Attributes:
        provider_id: Its name; empty for an address.
        config: Its settings; None if they are not valid.
        problem: What is wrong with the settings, and the remedy.
        is_ours: The server loads this package for it, not the built-in provider.
        module: Its ``module:``, without a version.
        replaced: A later entry has the same ``provider_id``: the server uses only that one.
    """

    provider_id: str
    config: NVIDIAConfig | None
    problem: tuple[str, str] | None
    is_ours: bool
    module: str = ""
    replaced: bool = False


def read_provider_entries(
    path: Path, *, syntax: Syntax | None = None, environ: Mapping[str, str] = os.environ
) -> list[ProviderEntry]:
    """Read the enabled inference providers of type ``remote::nvidia``.

    Args:
        path: The run.yaml.
        syntax: Syntax of variables. Default: the installed release's.
        environ: Values of the variables.

    Raises:
        RunYamlError: The file cannot be read or has no such provider.
    """
    document = _document(path)
    syntax = syntax or installed_syntax()
    providers = document.get("providers")
    listed = providers.get("inference") if isinstance(providers, dict) else None
    enabled = _enabled(listed if isinstance(listed, list) else [], syntax, environ)
    if not enabled:
        raise RunYamlError(
            f"{path} has no enabled inference provider of type {PROVIDER_TYPE}. "
            "`llama-stack-nvidia init` writes a run.yaml with one."
        )
    by_folder = _registered_by_folder(document, syntax, environ)
    ids = [provider_id for provider_id, _ in enabled]
    entries = []
    for number, (provider_id, entry) in enumerate(enabled):
        module = str(entry.get("module") or "").partition("==")[0].strip()
        config, problem = _config(entry.get("config"), syntax, environ)
        entries.append(
            ProviderEntry(
                provider_id,
                config,
                problem,
                is_ours=module == MODULE or (by_folder and not module),
                module=module,
                replaced=provider_id in ids[number + 1 :],
            )
        )
    return entries


def _enabled(
    listed: list[Any], syntax: Syntax, environ: Mapping[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    """Return the enabled providers of our type, by their substituted names."""
    found = []
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict) or entry.get("provider_type") != PROVIDER_TYPE:
            continue
        provider_id = entry.get("provider_id")
        try:
            path = f"providers.inference[{number}]"
            provider_id = substitute(provider_id, syntax, environ, path)
        except UnsetVariableError:
            pass  # the name as written then has to do
        if provider_id not in _DISABLED:
            found.append((str(provider_id), entry))
    return found


def _document(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise RunYamlError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RunYamlError(f"{path} is not a text file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise RunYamlError(
            f"{path} is not valid YAML: {getattr(error, 'problem', error)}{line}"
        ) from None
    if not isinstance(document, dict):
        raise RunYamlError(f"{path} is not a run.yaml: it is not a mapping")
    return document


def _config(
    given: Any, syntax: Syntax, environ: Mapping[str, str]
) -> tuple[NVIDIAConfig | None, tuple[str, str] | None]:
    try:
        return NVIDIAConfig.model_validate(substitute(given or {}, syntax, environ, "config")), None
    except UnsetVariableError as error:
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
        if _has_foreign_syntax(given, syntax):
            remedy = (
                f"The installed release writes defaults as {syntax.default('NAME', 'default')}: "
                "change the variables in run.yaml."
            )
        return None, ("; ".join(found), remedy)


def _has_foreign_syntax(given: Any, syntax: Syntax) -> bool:
    """Return whether variables are written in the syntax of other releases."""
    if isinstance(given, dict):
        return any(_has_foreign_syntax(item, syntax) for item in given.values())
    if isinstance(given, list):
        return any(_has_foreign_syntax(item, syntax) for item in given)
    if not isinstance(given, str) or "${env." not in given:
        return False
    if syntax is Syntax.COLON:
        return ":=" in given or ":+" in given
    return Syntax.SHELL.value.search(given) is None


def _registered_by_folder(
    document: Mapping[str, Any], syntax: Syntax, environ: Mapping[str, str]
) -> bool:
    """Return whether ``external_providers_dir`` holds this package's spec."""
    try:
        folder = substitute(document.get("external_providers_dir"), syntax, environ)
    except UnsetVariableError:
        return False
    if not isinstance(folder, str):
        return False
    spec = Path(folder).expanduser() / "remote" / "inference" / "nvidia.yaml"
    return spec.is_file() and MODULE in spec.read_text("utf-8", "replace")
