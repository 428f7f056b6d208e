"""Several processes that share the partitions of a topic, as a consumer group."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from penstock.connectors.kafka.beginnings import Beginnings, position_of
from penstock.connectors.kafka.cluster import Topic, log, refuse
from penstock.connectors.kafka.driver import ck
from penstock.connectors.kafka.source import KafkaTopic
from penstock.core.errors import PipeTakenOver, SourceChanged, SourceUnavailable, Unbalanced
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Sink

_LOOK_SECONDS = 0.2
_CHUNK = 10_000

OnLanded: TypeAlias = Callable[[str, Landed], object]


def share(
    source: KafkaTopic,
    sink: Sink,
    *,
    name: str | None = None,
    stop: threading.Event | None = None,
    on_landed: OnLanded | None = None,
) -> Counts:
    """Bring a topic into a sink together with other processes that do the same, until told to stop.

    The group decides which process has which partition, and decides anew when one comes or goes. Each partition is a
    pipe of its own (`name/3`), with its position in the sink: whoever gets a partition opens its pipe, and goes on
    behind what has landed. What a process had read of a partition that it lost is dropped; should it not have noticed
    yet, the sink refuses its commit. So each message lands once.

    Args:
        source: with `group=`; it is read as one that follows. `partitions=` plays no part.
        sink: where to.
        name: names the pipes; by default it is made of what is read and what is written.
        stop: when set, what has been read is committed, and that is the end.
        on_landed: called after each commit with the name of the pipe.

    Returns:
        What became of the messages that this process has landed.

    Raises:
        ConfigurationError: the source has no group.
        SourceUnavailable, SourceChanged, BadData, SinkUnavailable, SchemaRefused: as `ingest` does.
        PipeTakenOver: somebody outside the group has opened a pipe of this process.
    """
    options = source._options
    refuse("share", [] if options.group else [("source", "needs group=, the name that the processes have in common")])
    member = _Member(source, sink, name or f"{source.place} -> {sink.place}", on_landed)
    with closing(member):
        while stop is None or not stop.is_set():
            member.step()
        member.land()
    return member.counts


@dataclass(slots=True)
class _Held:
    """A partition that this process has."""

    topic: Topic
    offset: int
    landing: Landing
    pending: list[Any] = field(default_factory=list)
    taken_over: float = math.inf


class _Member:
    """A process of the group. What the group decides is heard while messages are asked for, in the same thread."""

    def __init__(self, source: KafkaTopic, sink: Sink, name: str, on_landed: OnLanded | None) -> None:
        self.counts = Counts()
        self._source, self._sink, self._name, self._on_landed = source, sink, name, on_landed
        self._options = source._options
        self._held: dict[int, _Held] = {}
        self._error: BaseException | None = None
        self._waiting = self._size = 0
        self._until = 0.0
        config = self._options.kafka.config(
            group_id=self._options.group,
            partition_assignment_strategy="cooperative-sticky",
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
        )
        self._consumer = self._options.kafka.make(ck.Consumer, config)
        self._consumer.subscribe(
            [self._options.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def step(self) -> None:
        """Read a little, and land what is there when its time has come."""
        for message in self._consumer.consume(_CHUNK, _LOOK_SECONDS):
            if message.error() is not None:
                self._notice(message)
                continue
            held = self._held.get(message.partition())
            if held is None or held.taken_over < math.inf:
                continue
            held.pending.append(message)
            if not self._waiting:
                self._until = time.monotonic() + self._options.batch_seconds
            self._waiting += 1
            self._size += len(message)
        if self._error is not None:
            raise self._error
        self._check_taken_over()
        full = self._waiting >= self._options.batch_rows or self._size >= self._options.batch_bytes
        if self._waiting and (full or time.monotonic() >= self._until):
            self.land()

    def land(self) -> None:
        """Commit what has been read, partition by partition."""
        for number, held in self._held.items():
            if held.pending:
                try:
                    self._land(number, held)
                except PipeTakenOver:
                    log.info("%s: another process has it now", self._pipe(number))
                    held.taken_over = time.monotonic()
                held.pending = []
        self._waiting = self._size = 0

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
        for held in self._held.values():
            held.landing.close()
        self._source.close()

    def _land(self, number: int, held: _Held) -> None:
        arranged = self._source._arranger.arrange(held.pending)
        self._source._beginnings.same(held.topic)
        if self._source._dead is not None:
            self._source._dead.send(held.pending, arranged.rejected)
        offset = held.pending[-1].offset() + 1
        position = position_of(held.topic, {number: offset})
        landed = held.landing.land(Batch(arranged.parts, position, arranged.rejected, arranged.superseded))
        if not landed.counts.balanced or landed.counts.read != len(held.pending):
            raise Unbalanced(f"{self._pipe(number)}: {len(held.pending)} records were committed as {landed.counts}.")
        held.offset = offset
        self.counts += landed.counts
        with suppress(ck.KafkaException):  # for those who watch the group; where to go on is in the sink
            self._consumer.commit(offsets=[self._place(number, offset)], asynchronous=True)
        if self._on_landed is not None:
            self._on_landed(self._pipe(number), landed)

    def _check_taken_over(self) -> None:
        """Whoever has opened a pipe of ours should have been given its partition by now."""
        latest = time.monotonic() - self._options.kafka.patience_seconds
        for number, held in self._held.items():
            if held.taken_over < latest:
                raise PipeTakenOver(f"{self._pipe(number)}: somebody outside the group goes on with it.")

    def _pipe(self, number: int) -> str:
        return f"{self._name}/{number}"

    def _place(self, number: int, offset: int = -1001) -> Any:
        return ck.TopicPartition(self._options.topic, number, offset)

    def _assigned(self, consumer: Any, places: Sequence[Any]) -> None:
        """Called by the driver: these partitions are ours now. An error waits until the driver is done."""
        try:
            for place in places:
                self._held[place.partition] = self._opened(place.partition)
        except BaseException as error:
            self._error = self._error or error
        mine = [place.partition for place in places if place.partition in self._held]
        consumer.incremental_assign([self._place(number, self._held[number].offset) for number in mine])

    def _opened(self, number: int) -> _Held:
        landing = self._sink.open(self._pipe(number))
        try:
            beginnings = Beginnings(self._source._desk, replace(self._options, partitions=(number,)))
            topic, offsets = beginnings.begin(landing.position)
        except BaseException:
            landing.close()
            raise
        return _Held(topic, offsets[number], landing)

    def _revoked(self, consumer: Any, places: Sequence[Any]) -> None:
        """Called by the driver: these partitions are not ours any more. What was read of them is dropped."""
        for place in places:
            held = self._held.pop(place.partition, None)
            if held is not None:
                self._waiting -= len(held.pending)
                held.landing.close()
        consumer.incremental_unassign(places)

    def _notice(self, notice: Any) -> None:
        error = notice.error()
        if error.code() in (ck.KafkaError._AUTO_OFFSET_RESET, ck.KafkaError.OFFSET_OUT_OF_RANGE):
            raise SourceChanged(
                f"{self._source.place}: messages were deleted before they were read: {error.str()}.",
                hint="start again with missing='earliest' to go on with the oldest there are",
            )
        if error.fatal() or error.code() in (
            ck.KafkaError.UNKNOWN_TOPIC_OR_PART,
            ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
            ck.KafkaError.GROUP_AUTHORIZATION_FAILED,
        ):
            raise SourceUnavailable(f"{self._source.place}: {self._options.kafka.told(error)}.")
        log.warning("%s: %s", self._source.place, self._options.kafka.told(error))
