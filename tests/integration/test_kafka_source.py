"""A topic as a source, on a real broker."""
# ruff: noqa: F401, F811 - fixtures are imported

from __future__ import annotations

import base64
import datetime
import json
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from tests.integration.kafka_lab import Lab, lab
from tests.integration.schema_registry import FakeRegistry, registry
from tests.ports import closed_port
from tests.unit.test_kafka_formats import ORDER, framed, order, proto_file, protobuf, written

from penstock.connectors.kafka import Kafka, KafkaTopic, SchemaRegistry
from penstock.core.errors import BadData, ConfigurationError, SourceChanged, SourceUnavailable
from penstock.core.ports.data import Batch, Counts, Position, Source
from penstock.data import ingest
from penstock.testing.data_memory import Memory, MemorySink
from penstock.testing.data_sources import SourceConformance, rows_in

pytestmark = pytest.mark.integration

UTC = datetime.UTC


def all_of(source: KafkaTopic, position: Position | None = None) -> list[Batch]:
    with source:
        return list(source.batches(position))


def ids(batches: Sequence[Batch]) -> list[int]:
    return sorted(row["id"] for row in rows_in(batches))


def numbered(*numbers: int) -> list[dict[str, int]]:
    return [{"id": number} for number in numbers]


class TestKafkaTopic(SourceConformance):
    @pytest.fixture(autouse=True)
    def _lab(self, lab: Lab) -> None:
        self.lab = lab

    def make_source(self, records: Sequence[dict[str, Any]]) -> Source:
        self.topic = self.lab.topic(3)
        self.add(records)
        return KafkaTopic(self.lab.kafka, self.topic, key="json", batch_rows=23)

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        self.lab.put(self.topic, records, key=lambda place: str(records[place]["id"]))


def test_what_kafka_says_about_messages(lab: Lab) -> None:
    topic = lab.topic(2)
    lab.put(
        topic, [{"id": 1}], key=lambda _: b"k", partition=1, timestamp=1709208000123, headers=[("a", b"1"), ("a", None)]
    )
    lab.put(topic, [{"id": 2}], partition=1)
    first, second = rows_in(all_of(KafkaTopic(lab.brokers, topic, key="text", headers=True)))
    assert first == {
        "id": 1,
        "_key": "k",
        "_partition": 1,
        "_offset": 0,
        "_timestamp": datetime.datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=UTC),
        "_headers": [{"key": "a", "value": b"1"}, {"key": "a", "value": None}],
    }
    assert (second["_key"], second["_offset"], second["_headers"]) == (None, 1, [])
    assert rows_in(all_of(KafkaTopic(lab.brokers, topic, metadata=False))) == [{"id": 1}, {"id": 2}]
    lab.put(topic, [{"id": 3, "_offset": 7}], partition=0)
    with pytest.raises(BadData, match="prefix="):
        all_of(KafkaTopic(lab.brokers, topic))
    assert len(rows_in(all_of(KafkaTopic(lab.brokers, topic, prefix="kafka_")))) == 3


def test_it_ends_with_what_was_there_when_it_began(lab: Lab) -> None:
    topic = lab.topic(2)
    lab.put(topic, numbered(*range(10)), partition=0)
    source = KafkaTopic(lab.kafka, topic, batch_rows=4)
    found = []
    for number, one in enumerate(source.batches(None)):
        found.append(one)
        lab.put(topic, numbered(100 + number), partition=number % 2)
    assert ids(found) == list(range(10))
    assert [one.last for one in found] == [False, False, True]
    assert ids(list(source.batches(found[-1].position))) == [100, 101, 102]
    source.close()


def test_transactions_that_were_aborted_or_are_open_are_not_seen(lab: Lab) -> None:
    topic = lab.topic()
    for number, end in ((1, "commit"), (2, "abort"), (3, "commit"), (4, "abort")):
        producer = lab.transaction(topic)
        lab.produce(producer, topic, numbered(number, number * 10))
        producer.flush(20)
        (producer.commit_transaction if end == "commit" else producer.abort_transaction)(20)
    source = KafkaTopic(lab.kafka, topic)
    before = list(source.batches(None))
    assert ids(before) == [1, 3, 10, 30]
    assert before[-1].position["offsets"] == {"0": 12}, "the marks of the transactions are behind it as well"
    assert rows_in(list(source.batches(before[-1].position))) == []

    producer = lab.transaction(topic)
    lab.produce(producer, topic, numbered(5))
    producer.flush(20)
    lab.put(topic, numbered(6))
    assert rows_in(list(source.batches(before[-1].position))) == [], "what is behind an open transaction waits for it"
    producer.commit_transaction(20)
    assert ids(list(source.batches(before[-1].position))) == [5, 6]
    source.close()


def test_offsets_that_are_missing_in_a_compacted_topic(lab: Lab) -> None:
    topic = lab.topic(
        cleanup_policy="compact", segment_ms="50", min_cleanable_dirty_ratio="0.001", max_compaction_lag_ms="100"
    )
    for _ in range(3):
        lab.put(topic, numbered(*range(20)), key=lambda place: str(place))
        time.sleep(0.06)  # the broker closes a segment that is this old with the next message
    lab.put(topic, numbered(20), key=lambda _: "20")
    deadline = time.monotonic() + 60
    while len(lab.messages(topic)) > 60 and time.monotonic() < deadline:
        time.sleep(0.25)
    if len(lab.messages(topic)) == 61:
        pytest.skip("the broker has not compacted the topic")
    left, before = [one.offset() for one in lab.messages(topic)], [-1]
    while left != before:  # the broker has gone on with it meanwhile
        before, batches = left, all_of(KafkaTopic(lab.kafka, topic, batch_rows=7))
        left = [one.offset() for one in lab.messages(topic)]
    assert sorted(row["_offset"] for row in rows_in(batches)) == left
    assert batches[-1].position["offsets"] == {"0": 61}


def test_a_topic_that_was_made_again_is_another(lab: Lab) -> None:
    topic = lab.topic()
    lab.put(topic, numbered(1, 2))
    position = all_of(KafkaTopic(lab.kafka, topic))[-1].position
    lab.delete(topic)
    with pytest.raises(SourceChanged, match="not there any more"):
        all_of(KafkaTopic(lab.kafka, topic), position)
    _make_again(lab, topic)
    lab.put(topic, numbered(3, 4, 5))
    with pytest.raises(SourceChanged, match="another topic"):
        all_of(KafkaTopic(lab.kafka, topic), position)
    assert ids(all_of(KafkaTopic(lab.kafka, topic))) == [3, 4, 5]


def _make_again(lab: Lab, topic: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            lab.topic(name=topic)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_messages_that_retention_has_deleted(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    topic = lab.topic()
    lab.put(topic, numbered(*range(10)))
    source = KafkaTopic(lab.kafka, topic, batch_rows=3)
    reading = source.batches(None)
    position = next(reading).position
    reading.close()  # type: ignore[attr-defined]
    lab.purge(topic, 5)
    with pytest.raises(SourceChanged, match="0@3 to 4") as told:
        list(source.batches(position))
    assert "missing='earliest'" in (told.value.hint or "")
    with caplog.at_level("WARNING", "penstock.kafka"):
        assert ids(all_of(KafkaTopic(lab.kafka, topic, missing="earliest"), position)) == [5, 6, 7, 8, 9]
    assert "deleted before they were read" in caplog.text
    assert ids(all_of(KafkaTopic(lab.kafka, topic))) == [5, 6, 7, 8, 9], "a new pipe begins with what there is"


def test_messages_deleted_while_they_are_read(lab: Lab) -> None:
    topic = lab.topic()
    settings = {"queued.min.messages": 1, "fetch.message.max.bytes": 1000, "queued.max.messages.kbytes": 1}
    lab.put(topic, [{"id": number, "pad": "x" * 600} for number in range(200)])
    source = KafkaTopic(Kafka(lab.brokers, patience_seconds=20, settings=settings), topic, batch_rows=1)
    reading = source.batches(None)
    assert ids([next(reading)]) == [0]
    lab.purge(topic, 150)
    with pytest.raises(SourceChanged, match="deleted before they were read"):
        list(reading)
    source.close()


def test_a_topic_that_became_shorter(lab: Lab) -> None:
    topic = lab.topic()
    lab.put(topic, numbered(1))
    position = all_of(KafkaTopic(lab.kafka, topic))[-1].position
    beyond = {**position, "offsets": {"0": 99}}
    with pytest.raises(SourceChanged, match="become shorter"):
        all_of(KafkaTopic(lab.kafka, topic, missing="earliest"), beyond)


def test_partitions_that_were_added_are_read_from_their_beginning(lab: Lab) -> None:
    topic = lab.topic(1)
    lab.put(topic, numbered(1))
    position = all_of(KafkaTopic(lab.kafka, topic, start="latest"))[-1].position
    lab.grow(topic, 3)
    lab.put(topic, numbered(2), partition=2)
    assert ids(all_of(KafkaTopic(lab.kafka, topic, start="latest"), position)) == [2]


def test_some_partitions_only(lab: Lab) -> None:
    topic = lab.topic(4)
    for number in range(4):
        lab.put(topic, numbered(number), partition=number)
    first = all_of(KafkaTopic(lab.kafka, topic, partitions=[0, 2]))
    assert ids(first) == [0, 2]
    assert ids(all_of(KafkaTopic(lab.kafka, topic, partitions=(1, 3)))) == [1, 3]
    wider = all_of(KafkaTopic(lab.kafka, topic, partitions=[2, 3]), first[-1].position)
    assert ids(wider) == [3]
    assert wider[-1].position["offsets"] == {"0": 1, "2": 1, "3": 1}
    with pytest.raises(SourceUnavailable, match="no partition 7"):
        all_of(KafkaTopic(lab.kafka, topic, partitions=[7]))


def test_where_a_new_pipe_begins(lab: Lab) -> None:
    topic = lab.topic(2)
    at = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(6):
        stamp = int((at + datetime.timedelta(hours=number)).timestamp() * 1000)
        lab.put(topic, numbered(number), partition=number % 2, timestamp=stamp)

    def read(start: Any) -> list[int]:
        return ids(all_of(KafkaTopic(lab.kafka, topic, start=start)))

    assert read("earliest") == [0, 1, 2, 3, 4, 5]
    assert read("latest") == []
    assert read(at + datetime.timedelta(hours=3)) == [3, 4, 5]
    assert read(at + datetime.timedelta(days=1)) == []
    assert read({0: 2, 1: 1}) == [3, 4, 5]


def test_messages_that_cannot_be_read_are_rejected_and_sent_on(lab: Lab) -> None:
    topic, dead = lab.topic(2), f"dead-{uuid4().hex}"
    values = [{"id": 1}, b"poison", {"id": 2}, b"\xff\xfe", None, {"id": 3}]
    lab.put(topic, values, key=lambda place: f"k{place}", partition=1, headers=[("h", b"v")])
    memory = Memory()
    done = ingest(KafkaTopic(lab.kafka, topic, dead_letters=dead, batch_rows=2), MemorySink(memory), name="pipe")
    assert done.counts == Counts(6, 3, 0, 3)
    assert [one.where for one in memory.rejected] == [f"{topic}/1@{offset}" for offset in (1, 3, 4)]
    assert [one.raw for one in memory.rejected] == ["poison", "\\xff\\xfe", ""]
    assert "no JSON" in memory.rejected[0].reason
    assert "upsert=" in memory.rejected[2].reason
    sent = lab.messages(dead)
    assert [(one.key(), one.value()) for one in sent] == [(b"k1", b"poison"), (b"k3", b"\xff\xfe"), (b"k4", None)]
    headers = dict(sent[0].headers())
    assert headers["penstock.where"] == f"{topic}/1@1".encode()
    assert b"no JSON" in headers["penstock.reason"]
    assert headers["h"] == b"v"
    lab.delete(dead)


def test_values_that_are_not_of_the_type_that_was_asked_for(lab: Lab) -> None:
    topic = lab.topic()
    lab.put(topic, [{"id": 1, "at": "2024-01-01T00:00:00Z"}, {"id": 2, "at": "soon"}, {"id": 3}])
    (batch,) = all_of(
        KafkaTopic(lab.kafka, topic, types={"at": "timestamp[us, tz=UTC]", "note": "string"}, metadata=False)
    )
    assert rows_in([batch]) == [
        {"id": 1, "at": datetime.datetime(2024, 1, 1, tzinfo=UTC), "note": None},
        {"id": 3, "at": None, "note": None},
    ]
    assert "at: 'soon'" in batch.rejected[0].reason


def test_a_compacted_topic_as_changes_of_a_table(lab: Lab) -> None:
    topic = lab.topic()
    changes = [(1, "a"), (2, "b"), (1, "c"), (3, "d"), (2, None), (4, b"poison"), (3, None), (3, "e"), (5, None)]
    for key, name in changes:
        value = name if name is None or isinstance(name, bytes) else {"name": name, "id": "not the key"}
        lab.put(topic, [value], key=lambda _, key=key: str(key))
    lab.put(topic, [{"name": "without a key"}])
    (batch,) = all_of(KafkaTopic(lab.kafka, topic, key="json", upsert="id", metadata=False))
    upserts, deletes = batch.parts
    assert (upserts.how, upserts.key, upserts.rows.to_pylist()) == (
        "upsert",
        ("id",),
        [{"id": 1, "name": "c"}, {"id": 3, "name": "e"}],
    )
    assert (deletes.how, deletes.key, deletes.rows.to_pylist()) == ("delete", ("id",), [{"id": 2}, {"id": 5}])
    assert batch.superseded == 4
    assert len(batch.rejected) == 2
    assert batch.read == 10


def test_keys_with_several_fields(lab: Lab) -> None:
    topic = lab.topic()
    for shop, number, name in (("a", 1, "x"), ("b", 1, "y"), ("a", 1, "z")):
        lab.put(
            topic, [{"name": name}], key=lambda _, told=(shop, number): json.dumps({"shop": told[0], "id": told[1]})
        )
    (batch,) = all_of(KafkaTopic(lab.kafka, topic, key="json", upsert=["shop", "id"], metadata=False))
    assert batch.parts[0].rows.to_pylist() == [{"shop": "b", "id": 1, "name": "y"}, {"shop": "a", "id": 1, "name": "z"}]
    with pytest.raises(BadData, match="no field 'city'"):
        all_of(KafkaTopic(lab.kafka, topic, key="json", upsert=["city"]))
    with pytest.raises(BadData, match="single values"):
        all_of(KafkaTopic(lab.kafka, topic, key="text", upsert=["shop", "id"]))
    texts = all_of(KafkaTopic(lab.kafka, topic, key="text", upsert="key", metadata=False))
    assert len(rows_in(texts)) == 2


def test_one_that_follows_says_so_until_something_comes(lab: Lab) -> None:
    topic = lab.topic(1)
    lab.put(topic, numbered(1))
    source = KafkaTopic(lab.kafka, topic, follow=True, batch_seconds=0.1)
    reading = source.batches(None)
    first = _next_with_rows(reading)
    assert ids([first]) == [1]
    quiet = next(reading)
    assert (quiet.parts, quiet.position, quiet.last) == ((), first.position, False)
    lab.put(topic, numbered(2, 3))
    assert ids([_next_with_rows(reading)]) == [2, 3]
    reading.close()
    source.close()


def _next_with_rows(reading: Any) -> Batch:
    deadline = time.monotonic() + 30
    for one in reading:
        assert not one.last
        if one.parts:
            return one
        assert time.monotonic() < deadline, "nothing came"
    raise AssertionError("it has ended")


def test_one_that_follows_is_stopped_and_goes_on(lab: Lab) -> None:
    topic, memory = lab.topic(2), Memory()
    for start in (0, 5):
        stop = threading.Event()
        lab.put(topic, numbered(*range(start, start + 5)))

        def enough(progress: Any, until: int = start + 5, stop: threading.Event = stop) -> None:
            if len(memory.tables.get("rows", ())) == until:
                stop.set()

        source = KafkaTopic(lab.kafka, topic, follow=True, batch_seconds=0.1)
        with source:
            ingest(source, MemorySink(memory), name="pipe", stop=stop, on_progress=enough)
    assert sorted(row["id"] for row in memory.tables["rows"]) == list(range(10))


def test_one_that_follows_notices_that_its_topic_is_gone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.connectors.kafka.source._LOOK_SECONDS", 0.1)
    topic = lab.topic()
    lab.put(topic, numbered(1))
    reading = KafkaTopic(lab.kafka, topic, follow=True, batch_seconds=0.1).batches(None)
    _next_with_rows(reading)
    lab.delete(topic)
    with pytest.raises(SourceChanged, match="not there any more"):
        _next_with_rows(reading)


def test_one_that_follows_reads_partitions_that_are_added(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.connectors.kafka.source._LOOK_SECONDS", 0.1)
    topic = lab.topic(1)
    lab.put(topic, numbered(1))
    reading = KafkaTopic(lab.kafka, topic, follow=True, batch_seconds=0.1).batches(None)
    _next_with_rows(reading)
    lab.grow(topic, 2)
    lab.put(topic, numbered(2), partition=1)
    assert ids([_next_with_rows(reading)]) == [2]
    reading.close()  # type: ignore[attr-defined]


def test_a_group_is_told_what_has_landed(lab: Lab) -> None:
    topic, group = lab.topic(2), f"group-{uuid4().hex}"
    lab.put(topic, numbered(1, 2, 3), partition=1)
    with KafkaTopic(lab.kafka, topic, group=group) as source:
        ingest(source, MemorySink(), name="pipe")
    deadline = time.monotonic() + 20
    while True:
        asked = lab.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        known = {place.partition: place.offset for place in asked.topic_partitions}
        if known == {0: 0, 1: 3}:
            break
        assert time.monotonic() < deadline, known
        time.sleep(0.05)


def test_avro_with_a_registry(lab: Lab, registry: FakeRegistry) -> None:
    topic = lab.topic()
    registry.login = ("reader", "hidden")
    registry.troubles = [(500, "oops"), (503, "{}")]
    number = registry.register(f"{topic}-value", json.dumps(ORDER))
    rows = [order(one) for one in range(5)]
    lab.put(topic, [framed(number, one) for one in written(ORDER, rows)] + [framed(99, b""), b"x"])
    client = SchemaRegistry(registry.url, user="reader", password="hidden")
    batches = all_of(KafkaTopic(lab.kafka, topic, value="avro", registry=client, metadata=False, batch_rows=3))
    assert rows_in(batches) == rows
    assert [one.where for batch in batches for one in batch.rejected] == [f"{topic}/0@5", f"{topic}/0@6"]
    assert len(registry.asked) == 4, "each schema is asked for once"
    registry.login = ("somebody", "else")
    with pytest.raises(SourceUnavailable, match="401 Unauthorized"):
        all_of(KafkaTopic(lab.kafka, topic, value="avro", registry=registry.url))


def test_protobuf_with_a_registry(lab: Lab, registry: FakeRegistry) -> None:
    topic = lab.topic()
    text = base64.b64encode(proto_file().SerializeToString()).decode()
    number = registry.register(f"{topic}-value", 'syntax = "proto3"; ...', "PROTOBUF", serialized=text)
    kind = protobuf()[1]
    lab.put(topic, [framed(number, b"\x02\x02" + kind(id=one).SerializeToString()) for one in range(3)])
    source = KafkaTopic(lab.kafka, topic, value="protobuf", registry=registry.url)
    assert ids(all_of(source)) == [0, 1, 2]


def test_a_registry_that_is_none(lab: Lab, registry: FakeRegistry) -> None:
    topic = lab.topic()
    lab.put(topic, [framed(1, b"")])
    registry.troubles = [(200, "<html>")]
    with pytest.raises(SourceUnavailable, match="no schema registry"):
        all_of(KafkaTopic(lab.kafka, topic, value="avro", registry=registry.url))
    with closed_port() as port:
        nobody = SchemaRegistry(f"http://127.0.0.1:{port}", patience_seconds=0.2)
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            all_of(KafkaTopic(lab.kafka, topic, value="avro", registry=nobody))


def test_no_such_topic_and_nobody_there(lab: Lab) -> None:
    with pytest.raises(SourceUnavailable, match="no topic 'nothing'"):
        all_of(KafkaTopic(lab.kafka, "nothing"))
    with closed_port() as port, pytest.raises(SourceUnavailable, match="cannot be asked"):
        all_of(KafkaTopic(Kafka(f"127.0.0.1:{port}", patience_seconds=0.5), "orders"))


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        KafkaTopic("host:9092", "", value="xml", key="avro", start="now", missing="x", partitions=[], batch_rows=0)  # type: ignore[arg-type]
    for word in ("7 mistakes", "topic", "value", "key", "start", "missing", "partitions", "batch_rows"):
        assert word in str(told.value)
    with pytest.raises(ConfigurationError) as told:
        Kafka("http://host", user="me", mechanism="x", patience_seconds=0, settings={"group.id": "x"})  # type: ignore[arg-type]
    for word in ("5 mistakes", "brokers", "user", "mechanism", "patience", "group.id"):
        assert word in str(told.value)
    with pytest.raises(ConfigurationError, match="needs key="):
        KafkaTopic("host:9092", "orders", upsert="id")
    with pytest.raises(ConfigurationError, match="No such configuration property"):
        next(iter(KafkaTopic(Kafka("host:9092", settings={"no.such": 1}), "orders").batches(None)))


def test_nothing_secret_is_shown() -> None:
    kafka = Kafka("host:9092", user="me", password="topsecret", settings={"ssl.key.password": "hidden"})
    source = KafkaTopic(kafka, "orders")
    assert "topsecret" not in repr(source) + repr(kafka) + str(source.place)
    assert str(source.place) == "kafka://host:9092/orders"
