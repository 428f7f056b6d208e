"""Where deliveries are kept: a small port, and the journal behind it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from penstock.control.webhooks.hooks import Hook
from penstock.control.webhooks.requests import DeliveryNotFound, Request, request_of, stored
from penstock.core.errors import SequenceConflict
from penstock.core.events import Event, Record
from penstock.core.plans import Happened, stream_of
from penstock.core.ports import Journal
from penstock.core.webhooks import KIND, StoredDelivery, WebhookReceived

_REFUSED_PER_SECOND, _REFUSED_BURST = 1.0, 100


class Kept(msgspec.Struct, frozen=True):
    """A delivery with all that was kept of it.

    Attributes:
        row: what is listed.
        request: as it came; its body is left out where nobody knows who sent it.
        events: what it said has happened.
    """

    row: StoredDelivery
    request: Request
    events: tuple[Happened, ...] = ()


class Deliveries(ABC):
    """What keeps deliveries."""

    @abstractmethod
    def keep(self, received: WebhookReceived, request: Request, events: Sequence[Happened], once: str | None) -> bool:
        """Keep a delivery and the events it was made into: all of it or nothing, and for good when this returns.

        Args:
            received: what became of it.
            request: what is kept of the request.
            events: what it says has happened.
            once: nothing is kept where a delivery with this key to this webhook was; None keeps it anyway.

        Returns:
            Whether it was kept.
        """

    @abstractmethod
    def turn(self, hook: Hook, now: int) -> bool:
        """Whether the webhook may accept one more now, by its rate; it counts then."""

    @abstractmethod
    def refusal_turn(self, hook: Hook, now: int) -> bool:
        """Whether one more that was refused is put on record: whoever floods us is not to fill the disk."""


class JournalDeliveries(Deliveries):
    """Deliveries in the journal. Automations and flows find their events there as they find every event."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep(self, received: WebhookReceived, request: Request, events: Sequence[Happened], once: str | None) -> bool:
        """See `Deliveries.keep`: the journal refuses to begin a stream twice."""
        told: list[Event] = list(events)
        records = [Record(received, stored(request)), *map(Record, told)]
        try:
            self._journal.append(stream_for(received, once), 0, records)
        except SequenceConflict:
            return False
        return True

    def turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.turn`: one rate over all servers with this journal."""
        if hook.per_second is None:
            return True
        return self._reserved(f"{KIND}/{hook.slug}", hook.per_second, hook.burst, now)

    def refusal_turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.refusal_turn`."""
        return self._reserved(f"{KIND}/{hook.slug}/refused", _REFUSED_PER_SECOND, _REFUSED_BURST, now)

    def _reserved(self, limit: str, per_second: float, burst: int, now: int) -> bool:
        return self._journal.reserve(limit, 1, per_second, burst, now, latest=now) <= now


def stream_for(received: WebhookReceived, once: str | None) -> str:
    """Where a delivery is told: in a stream that ends some time, as those of users' own events."""
    if once is None:
        return stream_of("event", f"{KIND}/{received.hook}/{received.id}")
    digest = hashlib.blake2b(once.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return stream_of("event", f"{KIND}/{received.hook}/once/{digest}")


def find_delivery(journal: Journal, name: str) -> Kept:
    """A delivery by its id, the end of it, or the id its sender gave it.

    Raises:
        DeliveryNotFound: there is none, or more than one.
    """
    found = journal.deliveries(named=name, limit=2) if name else []
    if len(found) != 1:
        told = f"There is no delivery {name!r}." if not found else f"More than one delivery is called {name!r}."
        raise DeliveryNotFound(told, hint="`penstock webhook deliveries` shows them, with their ids")
    request, events = Request(at=found[0].at), []
    for record in journal.load(found[0].stream):
        if isinstance(record.event, WebhookReceived) and record.data:
            request = request_of(record.data)
        elif isinstance(record.event, Happened):
            events.append(record.event)
    return Kept(found[0], request, tuple(events))
