"""A topic as a sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from penstock.connectors.kafka.cluster import Desk, Kafka, refuse
from penstock.connectors.kafka.landing import KafkaLanding, Outgoing
from penstock.connectors.kafka.pipes import CONTROL, Pipes, topic_is_there
from penstock.connectors.kafka.producing import Transactions
from penstock.connectors.kafka.registry import SchemaRegistry
from penstock.core.errors import SinkUnavailable
from penstock.core.ports.data import Landing, Place, Sink

_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


class KafkaSink(Sink):
    """Writes rows as messages, each once: rows, position and counts are one transaction of Kafka's.

    Whoever reads the topic with `isolation.level=read_committed` (the default of Java's clients is not that) sees each
    row once. Rows to add and rows that changed become messages; a row that was deleted becomes a message without a
    value. Rejected records go to a topic of their own, in the same transaction.

    Args:
        kafka: `host:port` of a broker, or a `Kafka` where more is to be said.
        topic: its name. With `{table}` in it, each table of the source has a topic.
        key: the column that becomes the key, as text; of several, a JSON object. Rows with one key keep their order.
        value: `json`, or `avro` with a registry.
        headers: columns that become headers, and are not in the value.
        partition: a column with the number of the partition; else the key decides, as in Java's clients.
        timestamp: a column with the message's timestamp; else it is the time of writing. Like `partition`, it is not in
            the value.
        registry: the schema registry, or its URL.
        partitions: make a topic that is not there, with so many partitions.
        compression: of what is sent.
        rejected: the topic of rejected records; made where it is not there. Default: `<topic>.rejected`.
        control: the topic that keeps how far pipes have come; made where it is not there.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        kafka: str | Kafka,
        topic: str,
        *,
        key: str | Sequence[str] = (),
        value: Literal["json", "avro"] = "json",
        headers: Sequence[str] = (),
        partition: str | None = None,
        timestamp: str | None = None,
        registry: SchemaRegistry | str | None = None,
        partitions: int | None = None,
        compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4",
        rejected: str | None = None,
        control: str = CONTROL,
    ) -> None:
        self._kafka = Kafka(kafka) if isinstance(kafka, str) else kafka
        self._topic, self._partitions, self._compression, self._control = topic, partitions, compression, control
        keys = (key,) if isinstance(key, str) else tuple(key)
        registry = SchemaRegistry.of(registry, self._kafka)
        refuse(f"KafkaSink for {topic!r}", self._mistakes(value, registry, keys))
        self._outgoing = Outgoing(
            topic=topic,
            rejected=rejected or f"{topic}.rejected",
            key=keys,
            headers=tuple(headers),
            partition=partition,
            timestamp=timestamp,
            registry=registry,
            avro=value == "avro",
        )

    def _mistakes(self, value: str, registry: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        if not self._topic:
            yield "topic", "names none"
        if value not in ("json", "avro"):
            yield "value", f"{value!r} is neither json nor avro"
        if value == "avro" and registry is None:
            yield "value", "avro needs registry="
        if self._compression not in _COMPRESSIONS:
            yield "compression", f"{self._compression!r} is none of {', '.join(_COMPRESSIONS)}"
        if self._partitions is not None and self._partitions < 1:
            yield "partitions", "is 1 or more"
        if len(set(keys)) < len(keys):
            yield "key", "names a column twice"

    def __repr__(self) -> str:
        return f"KafkaSink({self._kafka.brokers!r}, {self._topic!r})"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return self._kafka.place(self._topic)

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        pipes = self._pipes()
        most = None
        if "{table}" not in self._topic:
            desk = Desk(self._kafka, SinkUnavailable)
            topic_is_there(desk, self._kafka, self._topic, self._partitions)
            most = desk.largest(self._topic)
        transactions = self._transactions(pipes, pipe, most)
        try:
            known = pipes.read(pipe)
        except BaseException:
            transactions.close()
            raise
        return KafkaLanding(self._kafka, self._outgoing, transactions, pipes, pipe, known, self._partitions)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        pipes = self._pipes()
        transactions = self._transactions(pipes, pipe)
        try:
            transactions.commit([(pipes.control, [{"key": pipes.key(pipe), "partition": pipes.partition(pipe)}])])
        finally:
            transactions.close()

    def _pipes(self) -> Pipes:
        pipes = Pipes(self._kafka, self._topic, self._control)
        pipes.prepare()
        return pipes

    def _transactions(self, pipes: Pipes, pipe: str, most: int | None = None) -> Transactions:
        settings: dict[str, Any] = {"compression.type": self._compression}
        if most is not None:
            settings["message.max.bytes"] = most  # the driver would fill batches that the topic does not take
        return Transactions(self._kafka, pipes.transactional_id(pipe), pipe, settings)
