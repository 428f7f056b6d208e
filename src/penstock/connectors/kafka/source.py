"""A topic as a source."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from penstock.connectors.kafka.arranging import Arranged
from penstock.connectors.kafka.beginnings import Beginnings, offsets_in, position_of
from penstock.connectors.kafka.cluster import Desk, Kafka, Topic, log, refuse
from penstock.connectors.kafka.dead_letters import DeadLetters
from penstock.connectors.kafka.driver import ck
from penstock.connectors.kafka.formats import Format
from penstock.connectors.kafka.options import Options, Start, Word
from penstock.connectors.kafka.reading import OffsetGone, Reader, TopicGone
from penstock.connectors.kafka.registry import SchemaRegistry
from penstock.core.errors import SourceUnavailable
from penstock.core.ports.data import Batch, Place, Position, Size, Source

if TYPE_CHECKING:
    import pyarrow as pa

_HEARTBEAT_SECONDS = 0.5
_LOOK_SECONDS = 5.0
_COMMIT_SECONDS = 1.0


class KafkaTopic(Source):
    """The messages of a topic.

    How far it has been read is kept by the sink, with the rows: whatever consumer groups know plays no part. Messages
    of aborted transactions are not seen. One that does not follow ends with what was there when it began.

    Args:
        kafka: `host:port` of a broker, or a `Kafka` where more is to be said.
        topic: its name.
        value: what values are: `json` (objects), `avro` or `protobuf` (with a registry), `text`, `bytes`; or an `Avro`
            or a `Protobuf` of your own.
        key: what keys are, to have them in a column `_key`; None leaves them out.
        upsert: one column or several that tell rows apart, made from the message's key: a message replaces the row with
            its key, and one without a value deletes it. For compacted topics.
        types: what some of the columns shall be, such as `{"at": "timestamp[us, tz=UTC]"}` (or Arrow types); a value
            that cannot be that is rejected.
        metadata: add the columns `_partition`, `_offset` and `_timestamp`.
        headers: add a column `_headers`.
        prefix: what the names of the added columns begin with.
        registry: the schema registry, or its URL.
        partitions: read these only. Another pipe may read the others.
        start: where a new pipe begins; a moment, or an offset for each partition, may be given.
        follow: wait for more, for ever.
        missing: what to do when messages have been deleted before they were read: `refuse` to go on (SourceChanged), or
            go on with the `earliest` there is, with a warning.
        dead_letters: a topic that gets messages which cannot be read, as they were, with the reason in the headers; at
            least once (the quarantine of the sink has each of them once).
        group: a consumer group that is told what has landed, for monitoring.
        batch_rows: how many messages make a batch.
        batch_bytes: how many bytes do.
        batch_seconds: one that follows makes a batch of what has come in this time.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        kafka: str | Kafka,
        topic: str,
        *,
        value: Word | Format = "json",
        key: Word | Format | None = None,
        upsert: str | Sequence[str] = (),
        types: Mapping[str, Any] | pa.Schema | None = None,
        metadata: bool = True,
        headers: bool = False,
        prefix: str = "_",
        registry: SchemaRegistry | str | None = None,
        partitions: Iterable[int] | None = None,
        start: Start = "earliest",
        follow: bool = False,
        missing: Literal["refuse", "earliest"] = "refuse",
        dead_letters: str | None = None,
        group: str | None = None,
        batch_rows: int = 50_000,
        batch_bytes: int = 16_000_000,
        batch_seconds: float = 1.0,
    ) -> None:
        self._options = Options(
            kafka=Kafka(kafka) if isinstance(kafka, str) else kafka,
            topic=topic,
            value=value,
            key=key,
            upsert=(upsert,) if isinstance(upsert, str) else tuple(upsert),
            types=types,
            metadata=metadata,
            headers=headers,
            prefix=prefix,
            registry=registry,
            partitions=None if partitions is None else tuple(sorted(set(partitions))),
            start=start,
            follow=follow,
            missing=missing,
            dead_letters=dead_letters,
            group=group,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            batch_seconds=batch_seconds,
        )
        refuse(f"KafkaTopic for {topic!r}", self._options.mistakes())
        self._kafka = self._options.kafka
        self._formats = self._options.formats()
        self._arranger = self._options.arranger(*self._formats)
        self._desk = Desk(self._kafka)
        self._beginnings = Beginnings(self._desk, self._options)
        self._dead = None if dead_letters is None else DeadLetters(self._kafka, self._desk, dead_letters)
        self._told = 0.0
        self._untold: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"KafkaTopic({self._kafka.brokers!r}, {self._options.topic!r})"

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return self._kafka.place(self._options.topic)

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`."""
        options = self._options
        topic, offsets = self._beginnings.begin(position)
        ends = None if options.follow else self._beginnings.ends(offsets)
        known = offsets_in(position)
        group = options.group or "penstock"
        with closing(Reader(self._kafka, options.topic, offsets, ends=ends, group=group)) as reader:
            if not options.follow:
                yield from self._up_to_ends(reader, topic, known)
                return
            here = {**known, **reader.offsets}
            while True:
                messages, size = yield from self._gathered(reader, topic, here)
                here = {**known, **reader.offsets}
                yield self._batch(messages, self._arranger.arrange(messages), topic, here, size)

    def landed(self, position: Position) -> None:
        """See `Source.landed`: a group that was named is told, for monitoring."""
        if self._options.group is None:
            return
        self._untold = offsets_in(position)
        if time.monotonic() - self._told >= _COMMIT_SECONDS:
            self._tell_group()

    def size(self, position: Position | None) -> Size:
        """See `Source.size`: aborted, compacted and control records are counted too."""
        _, offsets = self._beginnings.begin(position)
        return Size(rows=sum(end - offsets[number] for number, end in self._beginnings.ends(offsets).items()))

    def close(self) -> None:
        """See `Source.close`."""
        if self._untold:
            self._tell_group()
        if self._dead is not None:
            self._dead.close()
        for one in self._formats:
            if one is not None:
                one.close()

    def _up_to_ends(self, reader: Reader, topic: Topic, known: Mapping[int, int]) -> Iterator[Batch]:
        """Batches, each made by another thread while the next is read."""
        rows, most, patience = self._options.batch_rows, self._options.batch_bytes, self._kafka.patience_seconds
        with ThreadPoolExecutor(1, "penstock-kafka") as pool:
            messages, size = self._take(reader, topic, rows, most, patience)
            while True:
                here, last = {**known, **reader.offsets}, reader.finished
                making = pool.submit(self._arranger.arrange, messages)
                following = ([], 0) if last else self._take(reader, topic, rows, most, patience)
                yield self._batch(messages, making.result(), topic, here, size, last=last)
                if last:
                    return
                messages, size = following

    def _batch(
        self,
        messages: Sequence[Any],
        done: Arranged,
        topic: Topic,
        here: Mapping[int, int],
        size: int,
        *,
        last: bool = False,
    ) -> Batch:
        # An id does not come back: if the topic still has it, all that was read is of that topic.
        self._beginnings.same(topic)
        if self._dead is not None:
            self._dead.send(messages, done.rejected)
        return Batch(done.parts, position_of(topic, here), done.rejected, done.superseded, last=last, size=size)

    def _gathered(
        self, reader: Reader, topic: Topic, here: Mapping[int, int]
    ) -> Generator[Batch, None, tuple[list[Any], int]]:
        """What comes until a batch is full or its time has come; meanwhile batches that say nothing."""
        rows, most = self._options.batch_rows, self._options.batch_bytes
        messages: list[Any] = []
        size, looked, until = 0, time.monotonic(), math.inf
        while True:
            wait = max(min(_HEARTBEAT_SECONDS, until - time.monotonic()), 0.0)
            fresh, more = self._take(reader, topic, rows - len(messages), most - size, wait)
            if fresh and not messages:
                until = time.monotonic() + self._options.batch_seconds
            messages += fresh
            size += more
            if len(messages) >= rows or size >= most or time.monotonic() >= until:
                return messages, size
            if not messages and here != {**here, **reader.offsets}:
                return messages, size  # what is there no record of has been passed
            if not fresh and not reader.down and time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                self._look(topic, reader)
            yield Batch((), position_of(topic, here))

    def _take(self, reader: Reader, topic: Topic, rows: int, size: int, seconds: float) -> tuple[list[Any], int]:
        try:
            return reader.take(rows, size, seconds)
        except (OffsetGone, TopicGone) as gone:
            self._beginnings.same(topic)
            self._beginnings.refuse_missing(reader.offsets, self._beginnings.low(reader.offsets), str(gone))
            raise SourceUnavailable(f"{self.place}: {gone}.") from None

    def _look(self, topic: Topic, reader: Reader) -> None:
        """Is it still the same topic? Partitions that were added to it are read too."""
        now = self._beginnings.same(topic)
        added = sorted(set(now.partitions) - set(reader.offsets)) if self._options.partitions is None else []
        if added:
            log.info("%s has more partitions: %s", self.place, added)
            reader.add(self._beginnings.low(added))

    def _tell_group(self) -> None:
        offsets, self._untold, self._told = self._untold, {}, time.monotonic()
        places = [ck.TopicPartition(self._options.topic, number, offset) for number, offset in sorted(offsets.items())]
        wanted = ck.ConsumerGroupTopicPartitions(self._options.group, places)
        try:
            for answer in self._desk.client.alter_consumer_group_offsets([wanted]).values():
                answer.add_done_callback(self._group_was_told)
        except ck.KafkaException as error:
            log.warning("group %s: %s", self._options.group, self._kafka.told(error))

    def _group_was_told(self, answer: Any) -> None:
        error = answer.exception()
        if error is not None:
            told = self._kafka.told(error)
            log.warning("group %s was not told how far %s has landed: %s", self._options.group, self.place, told)
