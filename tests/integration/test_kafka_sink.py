"""A topic as a sink, on a real broker."""
# ruff: noqa: F401, F811 - fixtures are imported

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from tests.integration.kafka_lab import Lab, lab
from tests.integration.schema_registry import FakeRegistry, registry

from penstock.connectors.kafka import Kafka, KafkaSink, KafkaTopic
from penstock.core.errors import ConfigurationError, PipeTakenOver, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Part, Rejected, Sink
from penstock.data import ingest
from penstock.testing.data_memory import Memory, MemorySink, MemorySource, table_of
from penstock.testing.data_sinks import SinkConformance

pytestmark = pytest.mark.integration

UTC = datetime.UTC


@pytest.fixture(autouse=True, scope="module")
def control() -> str:
    """A control topic of this module's own: what others have left in the usual one is read by every pipe."""
    return f"test-pipes-{uuid4().hex}"


def sink_of(lab: Lab, topic: str, control: str, **options: Any) -> KafkaSink:
    return KafkaSink(lab.kafka, topic, control=control, **options)


def one(rows: Sequence[dict[str, Any]] | pa.Table, **more: Any) -> Batch:
    table = rows if isinstance(rows, pa.Table) else table_of(rows)
    return Batch(parts=(Part(table),), position={"next": 1}, **more)


class TestKafkaSink(SinkConformance):
    kinds = ("id", "whole", "half", "truth", "text")

    @pytest.fixture(autouse=True)
    def _lab(self, lab: Lab, control: str) -> None:
        self.lab, self.control = lab, control
        self.topic = lab.topic(1)

    def make_sink(self, **options: Any) -> Sink:
        return sink_of(self.lab, self.topic, self.control, **options)

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        found = [json.loads(message.value()) for message in self.lab.messages(self.topic)]
        names = list(dict.fromkeys(name for row in found for name in row))
        return [{name: row.get(name) for name in names} for row in found]

    def rejected(self, table: str = "rows") -> list[Rejected]:
        told = (json.loads(message.value()) for message in self.lab.messages(f"{self.topic}.rejected"))
        return [Rejected(row["reason"], row["where"], row["raw"], row["table"]) for row in told]

    def test_a_value_that_does_not_fit_is_rejected_and_the_others_land(self) -> None:
        """A topic of JSON takes any value: nothing is there that it would have to fit."""
        with self.opened() as landing:
            landing.land(one([{"id": 1, "amount": 5}]))
            assert landing.land(one([{"id": "2", "amount": "seven"}])).counts == Counts(1, 1)


def test_each_type_has_its_form_in_json(lab: Lab, control: str) -> None:
    topic = lab.topic()
    row = {
        "at": datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
        "local": datetime.datetime(1900, 1, 1),
        "day": datetime.date(9999, 12, 31),
        "time": datetime.time(1, 2, 3),
        "price": decimal.Decimal("12345678901234.5678"),
        "data": b"\x00\xff",
        "nan": float("nan"),
        "inside": [{"at": datetime.datetime(2024, 1, 1, tzinfo=UTC), "raw": b"x"}],
        "none": None,
    }
    rows = table_of([row, dict.fromkeys(row)])
    rows = rows.append_column("map", pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())))
    rows = rows.append_column("kind", pa.array(["x", None]).dictionary_encode())
    with sink_of(lab, topic, control).open("pipe") as landing:
        landing.land(one(rows.drop(["map"])))
        landing.land(one(rows))
    expected = {
        "at": "2024-02-29T23:59:59.123456Z",
        "local": "1900-01-01T00:00:00.000000",
        "day": "9999-12-31",
        "time": "01:02:03.000000",
        "price": "12345678901234.5678",
        "data": "AP8=",
        "nan": None,
        "inside": [{"at": "2024-01-01T00:00:00.000000Z", "raw": "eA=="}],
        "none": None,
        "kind": "x",
    }
    nothing = dict.fromkeys(expected)
    found = [json.loads(message.value()) for message in lab.messages(topic)]
    assert found == [expected, nothing, expected | {"map": {"a": 1}}, nothing | {"map": None}]


def test_keys_headers_partitions_and_timestamps(lab: Lab, control: str) -> None:
    topic = lab.topic(3)
    at = datetime.datetime(2024, 1, 1, 0, 0, 0, 5000, tzinfo=UTC)
    rows = [
        {"id": 1, "to": 2, "at": at, "trace": "a", "n": 1},
        {"id": None, "to": 0, "at": None, "trace": None, "n": 2},
        {"id": 3, "to": 9, "at": at, "trace": "c", "n": 3},
        {"id": 4, "to": None, "at": at, "trace": "d", "n": 4},
    ]
    sink = sink_of(lab, topic, control, key="id", partition="to", timestamp="at", headers=["trace"])
    with sink.open("pipe") as landing:
        assert landing.land(one(rows)).counts == Counts(4, 2, 0, 2)
    second, first = lab.messages(topic)
    assert (first.partition(), first.key(), first.headers()) == (2, b"1", [("trace", b"a")])
    assert first.timestamp()[1] == int(at.timestamp() * 1000)
    assert json.loads(first.value()) == {"id": 1, "n": 1}
    assert (second.partition(), second.key(), second.headers()) == (0, None, None)
    told = [json.loads(message.value()) for message in lab.messages(f"{topic}.rejected")]
    assert ["no partition 9" in told[0]["reason"], "no partition" in told[1]["reason"]] == [True, True]


def test_keys_go_to_the_partitions_that_java_puts_them_in(lab: Lab, control: str) -> None:
    topic = lab.topic(7)
    hashes = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
    with sink_of(lab, topic, control, key="k").open("pipe") as landing:
        landing.land(one([{"k": key} for key in hashes]))
    found = {message.key().decode(): message.partition() for message in lab.messages(topic)}
    assert found == {key: (number & 0x7FFFFFFF) % 7 for key, number in hashes.items()}


def test_keys_of_several_columns_and_rows_with_one_key_keep_their_order(lab: Lab, control: str) -> None:
    topic = lab.topic(4)
    rows = [{"a": "x" if number % 2 else "y", "b": number % 5, "n": number} for number in range(2000)]
    with sink_of(lab, topic, control, key=["a", "b"]).open("pipe") as landing:
        landing.land(one(rows))
    last: dict[bytes, int] = {}
    for message in lab.messages(topic):
        row = json.loads(message.value())
        assert json.loads(message.key()) == {"a": row["a"], "b": row["b"]}
        assert row["n"] > last.get(message.key(), -1)
        last[message.key()] = row["n"]
    assert len(last) == 10


def test_changes_become_messages_and_deletions_messages_without_a_value(lab: Lab, control: str) -> None:
    topic = lab.topic()
    parts = (
        Part(table_of([{"id": 1, "n": "a"}, {"id": 2, "n": "b"}]), how="upsert", key=("id",)),
        Part(table_of([{"id": 1}, {"id": None}]), how="delete", key=("id",)),
    )
    with sink_of(lab, topic, control).open("pipe") as landing:
        assert landing.land(Batch(parts=parts, position={})).counts == Counts(4, 3, 0, 1)
        with pytest.raises(SchemaRefused, match="cannot be emptied"):
            landing.land(Batch(parts=(Part(table_of([]), how="truncate"),), position={}))
        with pytest.raises(SchemaRefused, match="known by its key"):
            landing.land(Batch(parts=(Part(table_of([{"id": 1}]), how="delete"),), position={}))
    found = [(message.key(), message.value()) for message in lab.messages(topic)]
    assert found == [(b"1", b'{"id":1,"n":"a"}'), (b"2", b'{"id":2,"n":"b"}'), (b"1", None)]
    memory = Memory()
    source = KafkaTopic(lab.kafka, topic, key="json", upsert="id", metadata=False)
    assert ingest(source, MemorySink(memory, keys=["id"]), name="back").counts == Counts(3, 2, 1)
    assert memory.tables["rows"] == [{"id": 2, "n": "b"}]


def test_each_table_has_its_topic(lab: Lab, control: str) -> None:
    prefix = f"test-{uuid4().hex}"
    sink = sink_of(lab, prefix + ".{table}", control, partitions=2)
    parts = (Part(table_of([{"a": 1}]), table="one"), Part(table_of([{"b": 2}]), table="two"))
    with sink.open("pipe") as landing:
        bad = (Rejected("no", "x:1", "raw", "two"),)
        landing.land(Batch(parts=parts, position={"next": 1}, rejected=bad))
    assert [message.value() for message in lab.messages(f"{prefix}.one")] == [b'{"a":1}']
    assert [message.value() for message in lab.messages(f"{prefix}.two")] == [b'{"b":2}']
    assert json.loads(lab.messages(f"{prefix}.two.rejected")[0].value())["raw"] == "raw"
    for name in ("one", "two", "two.rejected"):
        lab.delete(f"{prefix}.{name}")
    plain = lab.topic()
    with sink_of(lab, plain, control).open("pipe") as landing, pytest.raises(SchemaRefused, match="one topic"):
        landing.land(Batch(parts=parts, position={}))


def test_messages_that_are_too_large_are_rejected_and_the_others_land(lab: Lab, control: str) -> None:
    topic = lab.topic(max_message_bytes="20000")
    rows = [{"id": number, "text": "x" * (30_000 if number == 3 else 1000)} for number in range(100)]
    with sink_of(lab, topic, control, key="id", compression="none").open("pipe") as landing:
        assert landing.land(one(rows)).counts == Counts(100, 99, 0, 1)
        assert landing.land(one(rows[:3])).counts == Counts(3, 3)
    assert len(lab.messages(topic)) == 102
    (bad,) = lab.messages(f"{topic}.rejected")
    assert "larger than" in json.loads(bad.value())["reason"]
    assert json.loads(bad.value())["where"] == f"{topic}:3"


def test_one_that_was_killed_in_the_middle_leaves_nothing(
    lab: Lab, control: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    topic = lab.topic(3)
    source = MemorySource([{"id": number} for number in range(40)], rows=7)
    commits = 0

    def commit(self: Any, *args: Any) -> None:
        nonlocal commits
        commits += 1
        real(self, *args)
        if commits == 4:
            raise Killed

    def flush(self: Any, expected: int) -> None:
        real_flush(self, expected)
        if commits == 2:
            raise Killed

    from penstock.connectors.kafka.producing import Transactions

    real, real_flush = Transactions.commit, Transactions._flush
    monkeypatch.setattr(Transactions, "commit", commit)
    monkeypatch.setattr(Transactions, "_flush", flush)
    for _ in range(2):
        with pytest.raises(Killed):
            ingest(source, sink_of(lab, topic, control), name="pipe")
        commits += 10 if commits == 4 else 1
    done = ingest(source, sink_of(lab, topic, control), name="pipe")
    assert done.counts.read < 40
    assert sorted(json.loads(message.value())["id"] for message in lab.messages(topic)) == list(range(40))
    with sink_of(lab, topic, control).open("pipe") as landing:
        assert landing.counts == Counts(40, 40)


def test_a_transaction_that_another_pipe_leaves_open_is_waited_for(lab: Lab, control: str) -> None:
    topic = lab.topic()
    with sink_of(lab, topic, control).open("pipe") as landing:
        landing.land(one([{"id": 1}]))
    number = next(message.partition() for message in lab.messages(control) if topic.encode() in (message.key() or b""))
    other = lab.transaction("another")
    other.produce(control, b"{}", b"another", partition=number)
    other.flush(20)
    hasty = KafkaSink(Kafka(lab.brokers, patience_seconds=3), topic, control=control)
    with pytest.raises(SinkUnavailable, match="no answer"):
        hasty.open("pipe")
    other.abort_transaction(20)
    with sink_of(lab, topic, control).open("pipe") as again:
        assert again.counts == Counts(1, 1)


def test_from_topic_to_topic(lab: Lab, control: str) -> None:
    first, second = lab.topic(3), lab.topic(2)
    lab.put(first, [{"id": number} for number in range(100)] + [b"poison"], key=lambda place: str(place))
    source = KafkaTopic(lab.kafka, first, batch_rows=17, metadata=False)
    sink = sink_of(lab, second, control, key="id")
    done = ingest(source, sink)
    assert done.counts == Counts(101, 100, 0, 1)
    assert ingest(source, sink).counts == Counts()
    lab.put(first, [{"id": 100}])
    assert ingest(source, sink).counts == Counts(1, 1)
    assert sorted(json.loads(message.value())["id"] for message in lab.messages(second)) == list(range(101))


def test_avro_goes_there_and_back(lab: Lab, control: str, registry: FakeRegistry) -> None:
    topic = lab.topic()
    rows = [
        {
            "id": number,
            "text": "ünï" if number % 2 else None,
            "price": decimal.Decimal("19.99"),
            "at": datetime.datetime(2024, 1, 1, 0, 0, 0, number, tzinfo=UTC),
            "day": datetime.date(2024, 1, 1),
            "raw": b"\xff",
            "tags": ["a", None],
            "who": {"name": "Ada", "born": 1815},
        }
        for number in range(20)
    ]
    sink = sink_of(lab, topic, control, value="avro", registry=registry.url)
    with sink.open("pipe") as landing:
        landing.land(one(rows))
        landing.land(one([{"id": 99, "new": True}]))
        with pytest.raises(SchemaRefused, match="Avro"):
            landing.land(one(pa.table({"id": pa.array([1], pa.uint64())})))
        with pytest.raises(SchemaRefused, match="no field of the name"):
            landing.land(one([{"not a name": 1}]))
    assert list(registry.subjects) == [f"{topic}-value"]
    memory = Memory()
    ingest(KafkaTopic(lab.kafka, topic, value="avro", registry=registry.url, metadata=False), MemorySink(memory))
    found = memory.tables["rows"]
    assert [{name: row[name] for name in rows[0]} for row in found[:20]] == rows
    assert (found[20]["id"], found[20]["new"], found[20]["text"]) == (99, True, None)


def test_a_topic_is_made_where_that_was_asked_for(lab: Lab, control: str) -> None:
    name = f"test-{uuid4().hex}"
    with pytest.raises(SinkUnavailable, match="has no topic"):
        sink_of(lab, name, control).open("pipe")
    sink_of(lab, name, control, partitions=3).open("pipe").close()
    assert len(lab.admin.list_topics(name, 20).topics[name].partitions) == 3
    lab.delete(name)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        KafkaSink("host:9092", "", value="avro", compression="zip", partitions=0, key=["a", "a"])  # type: ignore[arg-type]
    for word in ("5 mistakes", "topic", "registry=", "compression", "partitions", "key"):
        assert word in str(told.value)
    assert str(KafkaSink("host:9092", "orders").place) == "kafka://host:9092/orders"


def test_a_process_that_was_replaced_cannot_write_even_what_it_had_begun(lab: Lab, control: str) -> None:
    topic = lab.topic()
    first = sink_of(lab, topic, control).open("pipe")
    transactions = first._transactions  # type: ignore[attr-defined]
    transactions._producer.begin_transaction()
    transactions._producer.produce(topic, b"late")
    transactions._producer.flush(20)
    with sink_of(lab, topic, control).open("pipe") as second:
        second.land(one([{"id": 1}]))
    with pytest.raises(PipeTakenOver):
        transactions._patiently("commit", lambda timeout: transactions._producer.commit_transaction(timeout))
    with pytest.raises(PipeTakenOver):
        first.land(one([{"id": 2}]))
    first.close()
    assert [message.value() for message in lab.messages(topic)] == [b'{"id":1}']
