"""How far pipes into Kafka have come: records in a compacted topic, written in the transactions of the rows."""

from __future__ import annotations

import hashlib
import json
import zlib
from contextlib import closing
from typing import Any, NamedTuple

from penstock.connectors.kafka.cluster import Desk, Kafka
from penstock.connectors.kafka.driver import admin, ck
from penstock.connectors.kafka.reading import Reader
from penstock.core.errors import DataError, SinkUnavailable
from penstock.core.ports.data import Counts, Position

CONTROL = "__penstock_pipes"
_PARTITIONS = 8
_CONFIG = {"cleanup.policy": "compact", "segment.bytes": "16777216", "min.cleanable.dirty.ratio": "0.2"}


class Known(NamedTuple):
    """What is kept of a pipe."""

    position: Position | None = None
    counts: Counts = Counts()


class Pipes:
    """Reads and words the records of one topic's pipes.

    Args:
        kafka: how the cluster is reached.
        topic: the one that is written.
        control: the topic of the records; made where it is not there.
    """

    def __init__(self, kafka: Kafka, topic: str, control: str = CONTROL) -> None:
        self._kafka, self._topic, self.control = kafka, topic, control
        self._desk = Desk(kafka, SinkUnavailable)
        self._partitions: tuple[int, ...] = ()

    def prepare(self) -> None:
        """Make the control topic where it is not there."""
        found = self._desk.topic(self.control)
        if found is None:
            self._desk.create(self.control, _PARTITIONS, -1, _CONFIG)
            found = self._desk.topic(self.control)
        if found is None:
            raise SinkUnavailable(f"Kafka at {self._kafka.brokers} has made no topic {self.control!r}.")
        self._partitions = found.partitions

    def transactional_id(self, pipe: str) -> str:
        """Whoever takes this name last is the only one that can commit."""
        return f"penstock-{hashlib.sha256(self.key(pipe)).hexdigest()[:32]}"

    def key(self, pipe: str) -> bytes:
        """The key of a pipe's records."""
        return json.dumps([self._topic, pipe], ensure_ascii=False).encode("utf-8", "surrogatepass")

    def partition(self, pipe: str) -> int:
        """Where a pipe's records are."""
        return self._partitions[zlib.crc32(self.key(pipe)) % len(self._partitions)]

    def value(self, position: Position, counts: Counts) -> bytes:
        """A record."""
        told = [counts.read, counts.landed, counts.superseded, counts.rejected]
        return json.dumps({"position": position, "counts": told}).encode()

    def read(self, pipe: str) -> Known:
        """The last record of a pipe, once every transaction that was open is over."""
        number = self.partition(pipe)
        low = self._desk.offsets(self.control, [number], admin.OffsetSpec.earliest())
        high = self._desk.offsets(self.control, [number], admin.OffsetSpec.latest(), committed=False)
        key, found = self.key(pipe), None
        try:
            with closing(Reader(self._kafka, self.control, low, ends=high)) as reader:
                while not reader.finished:
                    messages, _ = reader.take(10_000, 16_000_000, self._kafka.patience_seconds)
                    for message in messages:
                        if message.key() == key:
                            found = message.value()
        except DataError as error:
            raise SinkUnavailable(error.message) from None
        if found is None:
            return Known()
        told: dict[str, Any] = json.loads(found)
        return Known(told["position"], Counts(*told["counts"]))


def topic_is_there(desk: Desk, kafka: Kafka, topic: str, partitions: int | None) -> None:
    """Make a topic that is missing, if it was said how many partitions it shall have.

    Raises:
        SinkUnavailable: it is not there and was not to be made.
    """
    if desk.topic(topic) is not None:
        return
    if partitions is None:
        raise SinkUnavailable(
            f"Kafka at {kafka.brokers} has no topic {topic!r}.", hint="make it, or have it made with partitions=3"
        )
    desk.create(topic, partitions, -1, {})


def is_fenced(error: Any) -> bool:
    """Somebody else has taken the transactional id."""
    codes = (ck.KafkaError._FENCED, ck.KafkaError.PRODUCER_FENCED, ck.KafkaError.INVALID_PRODUCER_EPOCH)
    return error.code() in codes
