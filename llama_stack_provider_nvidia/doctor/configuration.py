"""Checks of a provider's entry in run.yaml."""

import os
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from ..run_yaml.installed_server import log_format_variable
from .results import CheckReport, Status, not_run

if TYPE_CHECKING:
    from ..run_yaml.provider_entries import ProviderEntry

_MODULE = "llama_stack_provider_nvidia"
_SIMILAR = 0.75


def check_entry(entry: "ProviderEntry") -> list[CheckReport]:
    """Check an entry; an address given on the command line needs no check."""
    if not entry.provider_id:
        return []
    if entry.replaced:
        replaced = CheckReport(
            "provider",
            Status.FAILED,
            f"a later entry has the same provider_id, {entry.provider_id}: the server ignores this "
            "one",
            "Remove the entry that you do not need, or give it another provider_id.",
        )
        return [replaced, not_run("configuration", "the server ignores this entry")]
    if entry.problem is not None:
        detail, remedy = entry.problem
        configuration = CheckReport("configuration", Status.FAILED, detail, remedy)
    else:
        configuration = CheckReport("configuration", Status.OK, "all keys and values are valid")
    return [_check_provider(entry), configuration]


def check_server_log() -> list[CheckReport]:
    """Warn of a server that draws the tracebacks of its errors, and answers nobody meanwhile."""
    variable = log_format_variable()
    if variable is None or os.environ.get(variable, "").lower() == "json":
        return []
    return [
        CheckReport(
            "server log",
            Status.WARNING,
            f"{variable} is not `json` in this environment: the server draws the traceback of each "
            "error of its own, and answers nobody for seconds",
            f"Start the server with {variable}=json.",
        )
    ]


def _check_provider(entry: "ProviderEntry") -> CheckReport:
    if entry.is_ours:
        return CheckReport("provider", Status.OK, "the server loads this package")
    if not entry.module:
        return CheckReport(
            "provider",
            Status.FAILED,
            "the server loads its built-in provider",
            f"Add `module: {_MODULE}` to the provider; for Llama Stack before 0.2.16 set "
            "external_providers_dir to what `llama-stack-nvidia providers-dir` prints.",
        )
    written = entry.module.replace("-", "_").lower()
    similar = SequenceMatcher(None, written, _MODULE).ratio() >= _SIMILAR
    return CheckReport(
        "provider",
        Status.FAILED,
        f"`module: {entry.module}` is not this package",
        f"Correct the spelling: `module: {_MODULE}`."
        if similar
        else f"Change it to `module: {_MODULE}`, unless the other package is meant.",
    )
