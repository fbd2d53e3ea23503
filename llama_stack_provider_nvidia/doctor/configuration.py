"""Is the provider what its run.yaml means it to be."""

from typing import TYPE_CHECKING

from .outcome import Outcome, Status

if TYPE_CHECKING:
    from ..run_yaml.entries import Entry


def outcomes(entry: "Entry") -> list[Outcome]:
    """Judge a provider of a run.yaml; an address given by hand needs no judging."""
    if not entry.provider_id:
        return []
    made = [_provider(entry)]
    if entry.problem is not None:
        detail, remedy = entry.problem
        made.append(Outcome("configuration", Status.FAILED, detail, remedy))
    else:
        made.append(Outcome("configuration", Status.OK, "all keys and values can be used"))
    return made


def _provider(entry: "Entry") -> Outcome:
    if entry.is_ours:
        return Outcome("provider", Status.OK, "this package stands behind it")
    return Outcome(
        "provider",
        Status.FAILED,
        "the built-in provider stands behind it",
        "Add `module: llama_stack_provider_nvidia` to the provider; for Llama Stack before 0.2.16 "
        "set external_providers_dir to what `llama-stack-nvidia providers-dir` prints.",
    )
