"""Cached catalogue of the models that one NIM serves, without those that it refuses."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from .. import errors
from ..json_types import UNREADABLE
from ..model_facts.model_ids import ModelEntry, kind_of, parse_models

# Models come and go with the NIM's configuration, not by the second.
_FRESH_SECONDS = 300.0
# While a NIM does not answer, requests must not each wait for it.
_RETRY_SECONDS = 5.0
# A model that an account cannot call stays so for long.
_WITHDRAWN_SECONDS = 3600.0
_MOST_KEYS = 256

Fetch = Callable[[str | None], Awaitable[bytes]]


class _Listing:
    """The models listed for one key."""

    def __init__(self) -> None:
        self.entries: list[ModelEntry] | None = None
        self.fresh_until = 0.0
        self.retry_at = 0.0
        self.withdrawn: dict[str, float] = {}
        self.asking: asyncio.Task[None] | None = None

    @property
    def is_being_asked(self) -> bool:
        """True if a response is on its way to the running loop."""
        task = self.asking
        return (
            task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()
        )


class Catalogue:
    """The models of one endpoint. What one key may see is not for the others.

    Attributes:
        bases: The ids of the base models of LoRA adapters, by the adapter's id.
    """

    def __init__(self, url: str, fetch: Fetch, *, only: Sequence[str] | None = None) -> None:
        """Bind the catalogue to an endpoint.

        Args:
            url: Address of the endpoint.
            fetch: Gets the body of ``GET /v1/models`` with a key, or raises a ``NIMError``.
            only: The ids to use, which then need not be listed; None means all that are.
        """
        self._url = url
        self._fetch = fetch
        self._only = None if only is None else list(only)
        self.bases: dict[str, str] = {}
        self._listings: OrderedDict[str | None, _Listing] = OrderedDict()

    @property
    def is_restricted(self) -> bool:
        """True if the configuration says which models may be used."""
        return self._only is not None

    def known(self, key: str | None = None) -> list[ModelEntry] | None:
        """Return the models as far as they are known, without asking; None if they are not."""
        listing = self._listing(key)
        listed = listing.entries
        if listed is None:
            return None if self._only is None else [ModelEntry(i, kind_of(i)) for i in self._only]
        if self._only is not None:
            by_id = {entry.id: entry for entry in listed}
            listed = [by_id.get(i) or ModelEntry(i, kind_of(i)) for i in self._only]
        now = time.monotonic()
        return [entry for entry in listed if listing.withdrawn.get(entry.id, 0.0) < now]

    def lists(self, model: str, key: str | None = None) -> bool:
        """Return whether the NIM listed a model when it was last asked."""
        return any(entry.id == model for entry in self._listing(key).entries or ())

    def is_fresh(self, key: str | None = None) -> bool:
        """Return whether asking again would tell nothing new, or be in vain just now."""
        listing = self._listing(key)
        return not listing.is_being_asked and time.monotonic() < max(
            listing.fresh_until, listing.retry_at
        )

    async def models(self, key: str | None = None, *, fresh: bool = False) -> list[ModelEntry]:
        """Return the models, from the cache if they were listed in the last five minutes.

        Args:
            key: The request's own key, if it brought one.
            fresh: Ask in any case.

        Raises:
            NIMError: The NIM does not say.
        """
        listing = self._listing(key)
        if fresh or listing.entries is None or time.monotonic() >= listing.fresh_until:
            # Those who come meanwhile wait for the same answer: without it they would take a
            # NIM for one that does not say what it serves.
            await asyncio.shield(self._asking(listing, key))
        return self.known(key) or []

    def refresh_soon(self, key: str | None = None) -> None:
        """Ask again, without waiting for the answer, where what is known may be out of date."""
        listing = self._listing(key)
        if listing.entries is not None and not self.is_fresh(key):
            self._asking(listing, key)

    def doubt(self, model: str, key: str | None) -> None:
        """Note that the NIM does not know a model that it listed: the list is out of date."""
        if self.lists(model, key):
            self._listing(key).fresh_until = 0.0

    def _asking(self, listing: _Listing, key: str | None) -> "asyncio.Task[None]":
        if not listing.is_being_asked:
            listing.asking = asyncio.create_task(self._ask(listing, key))
            listing.asking.add_done_callback(_retrieve_error)
        assert listing.asking is not None
        return listing.asking

    async def no_longer_lists(self, model: str, key: str | None, *, unseen: bool) -> bool:
        """Return whether the NIM has stopped listing a model, asking it now; never raises.

        Args:
            model: The NIM's id of it.
            key: The request's own key, if it brought one.
            unseen: What to take a model for that was not listed before: it may have been.
        """
        before = self._listing(key).entries
        if not unseen and model not in {entry.id for entry in before or ()}:
            return False
        try:
            await self.models(key, fresh=True)
        except errors.NIMError:
            return False
        return model not in {entry.id for entry in self._listing(key).entries or ()}

    async def _ask(self, listing: _Listing, key: str | None) -> None:
        listing.retry_at = time.monotonic() + _RETRY_SECONDS
        listing.entries = self._read(await self._fetch(key))
        for entry in listing.entries:
            if entry.parent:
                self.bases[entry.id] = entry.parent
            else:
                self.bases.pop(entry.id, None)
        listing.fresh_until = time.monotonic() + _FRESH_SECONDS

    def withdraw(self, model: str, key: str | None) -> None:
        """Note that a listed model cannot be called with a key, after all."""
        self._listing(key).withdrawn[model] = time.monotonic() + _WITHDRAWN_SECONDS

    def _read(self, body: bytes) -> list[ModelEntry]:
        try:
            return parse_models(msgspec.json.decode(body))
        except UNREADABLE as error:
            raise errors.malformed(
                f"The NIM's list of models is not JSON: {error}.", endpoint=self._url
            ) from None

    def _listing(self, key: str | None) -> _Listing:
        listing = self._listings.setdefault(key, _Listing())
        self._listings.move_to_end(key)
        if len(self._listings) > _MOST_KEYS:
            self._listings.popitem(last=False)
        return listing


def _retrieve_error(task: "asyncio.Task[None]") -> None:
    """Retrieve an error that nobody may be waiting for any more: asyncio would complain."""
    if not task.cancelled():
        task.exception()
