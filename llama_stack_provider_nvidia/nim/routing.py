"""Routing of a model to the NIM that serves it, and to its id there."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from . import errors
from .endpoint import Endpoint
from .model_facts.model_ids import may_be_alias, served_id

_MOST_NAMED = 8


class Target(NamedTuple):
    """The NIM that a request goes to.

    Attributes:
        endpoint: The NIM.
        model: Its own id of the model.
    """

    endpoint: Endpoint
    model: str


async def find_target(endpoints: Sequence[Endpoint], wanted: str, key: str | None) -> Target:
    """Return the NIM that serves a model; the first one where several do.

    One NIM gets whatever is asked for: it knows best. Among several, what they list decides; one
    that has not said what it serves is taken for a model that no other has.

    Args:
        endpoints: At least one.
        wanted: What the stack knows the model by: a NIM id, a Llama descriptor or a Hugging
            Face name.
        key: The request's own key, if it brought one.

    Raises:
        ModelNotFoundError: All have said what they serve, and it is not there.
    """
    first = endpoints[0]
    if len(endpoints) == 1 and not may_be_alias(wanted):
        return Target(first, wanted)
    for endpoint in endpoints:
        endpoint.catalogue.refresh_soon(key)
    target = _listed(endpoints, wanted, key)
    if target is None:
        await refresh(endpoints, key)
        target = _listed(endpoints, wanted, key)
    if target is not None:
        return target
    if len(endpoints) == 1:
        return Target(first, served_id(wanted, listed_ids(first, key)))
    silent = [one for one in endpoints if _may_serve_more(one, key)]
    if not silent:
        raise _not_served(endpoints, wanted, key)
    return Target(silent[0], served_id(wanted, listed_ids(silent[0], key)))


def _may_serve_more(endpoint: Endpoint, key: str | None) -> bool:
    """Return whether a NIM may serve what it does not list: the hosted catalogue lists not all."""
    known = endpoint.catalogue.known(key)
    return known is None or (endpoint.is_hosted and not endpoint.catalogue.is_restricted)


def _listed(endpoints: Sequence[Endpoint], wanted: str, key: str | None) -> Target | None:
    for endpoint in endpoints:
        ids = listed_ids(endpoint, key)
        if ids is not None and (model := served_id(wanted, ids)) in ids:
            return Target(endpoint, model)
    return None


def listed_ids(endpoint: Endpoint, key: str | None) -> set[str] | None:
    """Return the ids of a NIM's models as far as they are known, None if they are not."""
    known = endpoint.catalogue.known(key)
    return None if known is None else {entry.id for entry in known}


async def refresh(endpoints: Sequence[Endpoint], key: str | None) -> None:
    """Ask those NIMs again that may have news; one that is down stops nobody."""
    asked = [one.catalogue.models(key) for one in endpoints if not one.catalogue.is_fresh(key)]
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, errors.NIMError):
            raise outcome


def _not_served(endpoints: Sequence[Endpoint], wanted: str, key: str | None) -> errors.NIMError:
    served = [f"{one.name}: {named(listed_ids(one, key) or ())}" for one in endpoints]
    return errors.make(
        "model_not_served",
        f"None of the configured NIMs serves {wanted!r}. They serve: {'; '.join(served)}.",
        model=wanted,
    )


def named(ids: "Sequence[str] | set[str]") -> str:
    """Return the names of a few models, for an error."""
    shown = sorted(ids)
    more = len(shown) - _MOST_NAMED
    return ", ".join(shown[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "") or "nothing"
