"""Topics of a test's own on the real broker, what is put into them and what is found there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType
from tests.conftest import service_url

from penstock.connectors.kafka import Kafka


class Lab:
    """A broker, and topics that are gone after the test."""

    def __init__(self, brokers: str, *, patience_seconds: float = 20) -> None:
        self.brokers = brokers
        self.kafka = Kafka(brokers, patience_seconds=patience_seconds)
        self.admin = AdminClient({"bootstrap.servers": brokers})
        self._topics: list[str] = []
        self._producer: Producer | None = None

    def topic(self, partitions: int = 1, name: str | None = None, **config: str) -> str:
        """Make one; underscores in the names of its settings stand for dots."""
        name = name or f"test-{uuid4().hex}"
        fresh = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()})
        self.admin.create_topics([fresh])[name].result()
        deadline = time.monotonic() + 20
        while name not in self.admin.list_topics(timeout=20).topics:
            assert time.monotonic() < deadline, "the topic does not appear"
            time.sleep(0.01)
        if name not in self._topics:
            self._topics.append(name)
        return name

    def delete(self, name: str) -> None:
        self._producer = None  # it would believe in the topic for minutes
        self.admin.delete_topics([name])[name].result()
        deadline = time.monotonic() + 20
        while name in self.admin.list_topics(timeout=20).topics:
            assert time.monotonic() < deadline, "the topic does not disappear"
            time.sleep(0.01)

    def grow(self, name: str, partitions: int) -> None:
        self.admin.create_partitions([NewPartitions(name, partitions)])[name].result()
        deadline = time.monotonic() + 30
        while len(self.admin.list_topics(name, timeout=10).topics[name].partitions) < partitions:
            assert time.monotonic() < deadline, "the partitions do not appear"
            time.sleep(0.02)
        self._producer = None  # it knows of the former partitions only

    def purge(self, name: str, offset: int, partition: int = 0) -> None:
        """Delete the messages before an offset, as retention does."""
        place = TopicPartition(name, partition, offset)
        self.admin.delete_records([place])[place].result()

    def set(self, name: str, **config: str) -> None:
        resource = ConfigResource(ResourceType.TOPIC, name)
        for key, value in config.items():
            resource.set_config(key.replace("_", "."), value)
        self.admin.alter_configs([resource])[resource].result()

    def put(self, name: str, values: Sequence[Any], **options: Any) -> None:
        """Produce values: bytes and None as they are, others as JSON."""
        if self._producer is None:
            one_by_one = {"linger.ms": 0, "batch.num.messages": 1, "enable.idempotence": True}
            self._producer = Producer({"bootstrap.servers": self.brokers} | one_by_one)
        self.produce(self._producer, name, values, **options)
        assert self._producer.flush(20) == 0

    def produce(
        self,
        producer: Producer,
        name: str,
        values: Sequence[Any],
        *,
        key: Callable[[int], Any] | None = None,
        **more: Any,
    ) -> None:
        for place, value in enumerate(values):
            text = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            keyed = {} if key is None else {"key": key(place)}
            producer.produce(name, text, **keyed, **more)

    def transaction(self, name: str) -> Producer:
        """A producer that has begun one."""
        producer = Producer({"bootstrap.servers": self.brokers, "transactional.id": name, "linger.ms": 0})
        producer.init_transactions(20)
        producer.begin_transaction()
        return producer

    def messages(self, name: str, *, level: str = "read_committed") -> list[Any]:
        """Everything in a topic, partition by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.brokers,
                "group.id": "lab",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": level,
            }
        )
        found = []
        try:
            partitions = consumer.list_topics(name, 20).topics[name].partitions
            left = set(partitions)
            consumer.assign([TopicPartition(name, number, 0) for number in partitions])
            while left:
                for message in consumer.consume(1000, 0.2):
                    if message.error() is None:
                        found.append(message)
                    else:
                        assert message.error().name() == "_PARTITION_EOF", message.error()
                        left.discard(message.partition())
        finally:
            consumer.close()
        return sorted(found, key=lambda one: (one.partition(), one.offset()))

    def close(self) -> None:
        if self._topics:
            for future in self.admin.delete_topics(self._topics).values():
                future.exception()


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab(service_url("kafka"))
    yield lab
    lab.close()
