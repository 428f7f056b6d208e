"""Where deliveries are kept: a small port, and the journal behind it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from penstock.control.webhooks.hooks import Hook
from penstock.control.webhooks.requests import Request, request_of, stored
from penstock.core.errors import DeliveryNotFound, SequenceConflict
from penstock.core.events import Append, Event, Record
from penstock.core.plans import Happened, stream_of
from penstock.core.ports import Journal
from penstock.core.webhooks import KIND, StoredDelivery, WebhookReceived

REFUSED_PER_SECOND, REFUSED_BURST = 1.0, 100
_CALLED = 50


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


class Keeping(msgspec.Struct, frozen=True):
    """A delivery that is to be kept.

    Attributes:
        received: what became of it.
        request: what is kept of the request.
        events: what it says has happened.
        once: nothing is kept where a delivery with this key to this webhook was; None keeps it anyway.
    """

    received: WebhookReceived
    request: Request
    events: tuple[Happened, ...] = ()
    once: str | None = None

    def append(self) -> Append:
        """What it adds to the journal."""
        told: list[Event] = list(self.events)
        records = [Record(self.received, stored(self.request)), *map(Record, told)]
        return Append(stream_for(self.received, self.once), 0, records)


class Deliveries(ABC):
    """What keeps deliveries."""

    @abstractmethod
    def keep(self, deliveries: Sequence[Keeping]) -> list[bool]:
        """Keep deliveries and the events they were made into; each whole or not at all, for good when this returns.

        Returns:
            Of each, whether it was kept.
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

    def keep(self, deliveries: Sequence[Keeping]) -> list[bool]:
        """See `Deliveries.keep`: the journal refuses to begin a stream twice. One transaction where none was begun."""
        appends = [each.append() for each in deliveries]
        new: dict[str, Append] = {}
        for append in appends:
            new.setdefault(append.stream, append)
        while new:
            try:
                self._journal.commit(list(new.values()))
                break
            except SequenceConflict as conflict:
                begun = [stream for stream in new if stream == conflict.stream or self._journal.last_seq(stream)]
                new = {stream: append for stream, append in new.items() if stream not in begun}
        return [new.get(append.stream) is append for append in appends]

    def turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.turn`: one rate over all servers with this journal."""
        if hook.per_second is None:
            return True
        return self._reserved(f"{KIND}/{hook.slug}", hook.per_second, hook.burst, now)

    def refusal_turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.refusal_turn`."""
        return self._reserved(f"{KIND}/{hook.slug}/refused", REFUSED_PER_SECOND, REFUSED_BURST, now)

    def _reserved(self, limit: str, per_second: float, burst: int, now: int) -> bool:
        return self._journal.reserve(limit, 1, per_second, burst, now, latest=now) <= now


def stream_for(received: WebhookReceived, once: str | None) -> str:
    """Where a delivery is told: in a stream that ends some time, as those of users' own events."""
    if once is None:
        return stream_of("event", f"{KIND}/{received.hook}/{received.id}")
    digest = hashlib.blake2b(once.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return stream_of("event", f"{KIND}/{received.hook}/once/{digest}")


def find_delivery(journal: Journal, name: str) -> Kept:
    """A delivery by its id, the id its sender gave it, or else the end of its id.

    Raises:
        DeliveryNotFound: there is none, or more than one.
    """
    called = journal.deliveries(named=name, limit=_CALLED) if name else []
    found = _exactly(journal, name) or [each for each in called if each.delivery == name] or called
    if len(found) != 1:
        told = f"There is no delivery {name!r}." if not found else f"More than one delivery is called {name!r}."
        raise DeliveryNotFound(told, hint="`penstock webhook deliveries` shows them, with their ids")
    return _whole(journal, found[0])


def delivery_of(journal: Journal, delivery_id: str) -> Kept:
    """A delivery by its whole id.

    Raises:
        DeliveryNotFound: there is none.
    """
    found = _exactly(journal, delivery_id)
    if not found:
        raise DeliveryNotFound(f"There is no delivery {delivery_id!r}.", hint="the list of deliveries shows them")
    return _whole(journal, found[0])


def _exactly(journal: Journal, delivery_id: str) -> list[StoredDelivery]:
    """The delivery of this id, by the index: it is the last one before the id with something behind it."""
    found = journal.deliveries(before=f"{delivery_id} ", limit=1)
    return [each for each in found if each.id == delivery_id]


def _whole(journal: Journal, row: StoredDelivery) -> Kept:
    request, events = Request(at=row.at), []
    for record in journal.load(row.stream):
        if isinstance(record.event, WebhookReceived) and record.data:
            request = request_of(record.data)
        elif isinstance(record.event, Happened):
            events.append(record.event)
    return Kept(row, request, tuple(events))
