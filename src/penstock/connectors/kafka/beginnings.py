"""Where a topic is read from, and whether it is still what it was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from penstock.connectors.kafka.cluster import Desk, Topic, log
from penstock.connectors.kafka.driver import admin
from penstock.connectors.kafka.options import Options
from penstock.core.errors import SourceChanged, SourceUnavailable
from penstock.core.ports.data import Place, Position

_SURE_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_ANEW = "restart=True begins anew (what has landed stays)"


class Beginnings:
    """Compares positions with what the cluster has."""

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk, self._options = desk, options
        self._place: Place = options.kafka.place(options.topic)

    def begin(self, position: Position | None) -> tuple[Topic, dict[int, int]]:
        """The topic, and where each of its partitions goes on.

        Raises:
            SourceUnavailable: there is no such topic, or it cannot be asked for.
            SourceChanged: it is another than that of the position, or does not have what comes next.
        """
        topic = self._desk.topic(self._options.topic)
        if topic is None and position is not None:
            topic = self.same(Topic(position["topic"], ()))
        if topic is None:
            raise SourceUnavailable(
                f"Kafka at {self._options.kafka.brokers} has no topic {self._options.topic!r}.",
                hint="make it, or look at its name",
            )
        if position is not None:
            self.same(Topic(position["topic"], ()), topic)
        chosen = self._chosen(topic)
        known = offsets_in(position)
        low = self.low(chosen)
        high = self._desk.offsets(self._options.topic, chosen, admin.OffsetSpec.latest(), committed=False)
        # A partition that was added to the topic since the pipe began is read from its beginning.
        fresh = low if position is not None else self._first(chosen, low, high)
        offsets = {number: known.get(number, fresh[number]) for number in chosen}
        return topic, self._checked(offsets, low, high)

    def low(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that there is in each."""
        return self._desk.offsets(self._options.topic, partitions, admin.OffsetSpec.earliest())

    def ends(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """Where each partition ends now: behind what has been committed."""
        found = self._desk.offsets(self._options.topic, offsets, admin.OffsetSpec.latest())
        return {number: max(end, offsets[number]) for number, end in found.items()}

    def same(self, before: Topic, now: Topic | None = None) -> Topic:
        """What the topic is now.

        Raises:
            SourceChanged: it is not the same topic any more.
        """
        deadline = time.monotonic() + _SURE_SECONDS
        now = now or self._desk.topic(self._options.topic)
        while now is None and time.monotonic() < deadline:  # a broker that has just started may not know it yet
            time.sleep(_PAUSE_SECONDS)
            now = self._desk.topic(self._options.topic)
        if now is None:
            raise SourceChanged(f"{self._place} is not there any more.", hint=_ANEW)
        if before.id and now.id and before.id != now.id:
            raise SourceChanged(f"{self._place} was deleted and made again: it is another topic.", hint=_ANEW)
        return now

    def refuse_missing(self, offsets: Mapping[int, int], low: Mapping[int, int], why: str) -> None:
        """Raise SourceChanged, or warn, where what comes next has been deleted."""
        gone = sorted(number for number, offset in offsets.items() if offset < low[number])
        if not gone:
            return
        told = ", ".join(f"{number}@{offsets[number]} to {low[number] - 1}" for number in gone)
        text = f"{self._place}: messages were deleted before they were read: {told} ({why})."
        if self._options.missing == "refuse":
            raise SourceChanged(text, hint="missing='earliest' goes on with the oldest there are; these are lost")
        log.warning("%s Going on with the oldest there are.", text)

    def _chosen(self, topic: Topic) -> tuple[int, ...]:
        wanted = self._options.partitions
        if wanted is None:
            return topic.partitions
        absent = sorted(set(wanted) - set(topic.partitions))
        if absent:
            raise SourceUnavailable(
                f"{self._place} has no partition {', '.join(map(str, absent))}.",
                hint=f"partitions= names some of {', '.join(map(str, topic.partitions))}",
            )
        return wanted

    def _first(self, chosen: Iterable[int], low: Mapping[int, int], high: Mapping[int, int]) -> Mapping[int, int]:
        start = self._options.start
        if start == "earliest":
            return low
        if start == "latest":
            return high
        if isinstance(start, datetime):
            moment = admin.OffsetSpec.for_timestamp(int(start.timestamp() * 1000))
            found = self._desk.offsets(self._options.topic, chosen, moment)
            return {number: offset if offset >= 0 else high[number] for number, offset in found.items()}
        return {number: start.get(number, low[number]) for number in chosen}

    def _checked(self, offsets: dict[int, int], low: Mapping[int, int], high: Mapping[int, int]) -> dict[int, int]:
        beyond = [number for number, offset in offsets.items() if offset > high[number]]
        if beyond:
            told = ", ".join(f"{number} (read up to {offsets[number]}, ends at {high[number]})" for number in beyond)
            raise SourceChanged(f"{self._place} has become shorter in partition {told}.", hint=_ANEW)
        self.refuse_missing(offsets, low, "the retention of the topic has deleted them")
        return {number: max(offset, low[number]) for number, offset in offsets.items()}


def offsets_in(position: Position | None) -> dict[int, int]:
    """The offsets of a position."""
    return {int(number): offset for number, offset in position["offsets"].items()} if position else {}


def position_of(topic: Topic, offsets: Mapping[int, int]) -> Position:
    """A position: which topic, and the next offset of each partition."""
    return {"topic": topic.id, "offsets": {str(number): offsets[number] for number in sorted(offsets)}}
