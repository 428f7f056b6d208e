"""Bytes of messages made into columns: all at once where that is right, one by one where it is not."""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import json
import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2, duration_pb2, timestamp_pb2, wrappers_pb2  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.connectors.kafka.avro_values import Avro, AvroReader
from penstock.connectors.kafka.formats import Bytes, Decoded, Text
from penstock.connectors.kafka.json_values import Json
from penstock.connectors.kafka.protobuf_values import Protobuf
from penstock.connectors.kafka.registry import Schema, UnknownSchema
from penstock.core.errors import ConfigurationError

UTC = datetime.UTC


def told(decoded: Decoded, count: int) -> list[dict[str, Any]]:
    assert decoded.rows.num_rows + len(decoded.bad) == count
    return decoded.rows.to_pylist()


def json_rows(*values: bytes, reader: Json | None = None) -> list[dict[str, Any]]:
    decoded = (reader or Json()).decode(values)
    assert not decoded.bad
    return told(decoded, len(values))


# ---------------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ([b'{"a":1}', b'{"a":2.5}'], [{"a": 1.0}, {"a": 2.5}]),
        ([b'{"a":9007199254740993}', b'{"a":1}'], [{"a": 9007199254740993}, {"a": 1}]),
        ([b'{"a":9007199254740993}', b'{"a":2.5}'], [{"a": "9007199254740993"}, {"a": "2.5"}]),
        ([b'{"a":18446744073709551615}'], [{"a": "18446744073709551615"}]),
        ([b'{"a":123456789012345678901234567890}'], [{"a": "123456789012345678901234567890"}]),
        ([b'{"a":{"b":[9007199254740993,1.5]}}'], [{"a": '{"b":[9007199254740993,1.5]}'}]),
        ([b'{"a":"2024-01-01T00:00:00Z"}'], [{"a": "2024-01-01T00:00:00Z"}]),
        ([b'{"a":{"b":["2024-01-01"]}}'], [{"a": {"b": ["2024-01-01"]}}]),
        ([b'{"a":1}', b'{"a":"x"}', b'{"a":[1]}'], [{"a": "1"}, {"a": "x"}, {"a": "[1]"}]),
        ([b'{"a":true}', b'{"a":1}'], [{"a": "true"}, {"a": "1"}]),
        ([b'{"a":{"b":1}}', b'{"a":{"c":2}}'], [{"a": {"b": 1, "c": None}}, {"a": {"b": None, "c": 2}}]),
        ([b'{"a":[]}', b'{"a":[1]}', b'{"a":null}', b"{}"], [{"a": []}, {"a": [1]}, {"a": None}, {"a": None}]),
        ([b'{"a":{}}'], [{"a": "{}"}]),
        ([b'{"a":1,"a":2}'], [{"a": 2}]),
        ([b' {"a":1}\n', b'{\n"a"\r\n:2}'], [{"a": 1}, {"a": 2}]),
        ([b'{"a":"\\ud83d\\ude00 \\u0000 \\n"}'], [{"a": "😀 \0 \n"}]),
        ([b'{"a":-0.0,"b":1e300}'], [{"a": -0.0, "b": 1e300}]),
        ([b'{"":1,"x.y":2,"a b":3}'], [{"": 1, "x.y": 2, "a b": 3}]),
    ],
)
def test_json_values_are_what_is_written(values: list[bytes], rows: list[dict[str, Any]]) -> None:
    assert json_rows(*values) == rows


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"null",
        b"5",
        b'"x"',
        b"[1]",
        b'{"a":1',
        b'{"a":1} {"a":2}',
        b'{"a":1}\n{"a":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":1e400}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b"{'a':1}",
        b'{"a":1}x',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' * 5000,
    ],
)
def test_json_that_is_none_is_rejected_and_nothing_else(value: bytes) -> None:
    good = [b'{"a":1}', b'{"a":3}']
    for values, place in (([value, *good], 0), ([good[0], value, good[1]], 1), ([*good, value], 2)):
        decoded = Json().decode(values)
        assert list(decoded.bad) == [place]
        assert told(decoded, 3) == [{"a": 1}, {"a": 3}]
    assert list(Json().decode([value]).bad) == [0]


def test_two_objects_in_one_message_do_not_stand_for_an_empty_one() -> None:
    decoded = Json().decode([b'{"a":1} {"a":2}', b"", b'{"a":3}'])
    assert list(decoded.bad) == [0, 1]
    assert told(decoded, 3) == [{"a": 3}]


def test_a_column_keeps_the_type_it_has_had() -> None:
    reader = Json()
    assert json_rows(b'{"a":1.5,"at":"2024-01-01","b":1}', reader=reader) == [{"a": 1.5, "at": "2024-01-01", "b": 1}]
    decoded = reader.decode([b'{"a":2,"at":"2024-01-02","b":2}'])
    assert decoded.rows.schema.field("a").type == pa.float64()
    assert json_rows(b'{"a":2,"b":2.5}', reader=reader) == [{"a": 2.0, "at": None, "b": 2.5}]
    assert json_rows(b'{"a":"x","b":1}', reader=reader)[0]["a"] == "x"


keys = st.text(st.characters(codec="utf-8"), max_size=3)
numbers = st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(st.characters(codec="utf-8"), max_size=5)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)


@settings(max_examples=100)
@given(
    st.lists(st.lists(st.dictionaries(keys, documents, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3),
    st.booleans(),
)
def test_whatever_is_valid_json_is_a_row_that_says_the_same(batches: list[list[dict[str, Any]]], plain: bool) -> None:
    reader = Json()
    for objects in batches:
        values = [json.dumps(one, ensure_ascii=plain).encode() for one in objects]
        decoded = reader.decode(values)
        assert not decoded.bad
        for one, row in zip(objects, told(decoded, len(values)), strict=True):
            assert _same(one, row), (one, row)


def _same(value: Any, found: Any) -> bool:
    """Equal, where what is missing may be null, and what does not fit its column is JSON text."""
    if isinstance(found, str) and not isinstance(value, str):
        return bool(json.loads(found) == value)
    if isinstance(value, dict) and isinstance(found, dict):
        return all(_same(value.get(name), found.get(name)) for name in {*value, *found})
    if isinstance(value, list) and isinstance(found, list):
        return len(value) == len(found) and all(map(_same, value, found))
    return bool(value == found) and isinstance(value, bool) == isinstance(found, bool)


def test_the_json_test_suite(test_data: Path) -> None:
    files = sorted((test_data / "JSONTestSuite" / "test_parsing").glob("*.json"))
    assert len(files) > 300
    for file in files:
        value = b'{"a":' + file.read_bytes() + b"}"
        single = Json().decode([value])
        among = Json().decode([b'{"a":1}', value, b'{"a":2}'])
        assert list(single.bad) == ([0] if among.bad else []), file.name
        assert len(among.rows) == (2 if among.bad else 3)
        if file.name.startswith("y_"):
            assert not single.bad, (file.name, single.bad)
            assert _same(json.loads(value), single.rows.to_pylist()[0]), file.name
        if file.name.startswith("n_"):
            assert single.bad, (file.name, single.rows.to_pylist())


def test_json_keys_need_not_be_objects() -> None:
    assert Json(scalars=True).decode([b"1", b"2"]).rows.to_pylist() == [{"value": 1}, {"value": 2}]
    assert Json(scalars=True).decode([b"1", b'"x"', b"{}"]).rows.to_pylist() == [
        {"value": "1"},
        {"value": "x"},
        {"value": "{}"},
    ]
    assert Json(scalars=True).decode([b'{"id":1}']).fields


# ---------------------------------------------------------------------------------------------------- text, bytes


def test_text_and_bytes() -> None:
    values = ["a✓".encode(), b"", b"\xff", b"b"]
    assert told(Bytes().decode(values), 4) == [{"value": one} for one in values]
    decoded = Text().decode(values)
    assert told(decoded, 4) == [{"value": "a✓"}, {"value": ""}, {"value": "b"}]
    assert "byte 1" in decoded.bad[2]
    assert Text().decode([]).rows.num_rows == 0


# ---------------------------------------------------------------------------------------------------- Avro

ORDER: dict[str, Any] = {
    "type": "record",
    "name": "order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "count", "type": "int"},
        {"name": "half", "type": "double"},
        {"name": "single", "type": "float"},
        {"name": "truth", "type": "boolean"},
        {"name": "text", "type": "string"},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "number", "type": ["long", "null"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "who", "type": {"type": "record", "name": "who", "fields": [{"name": "name", "type": "string"}]}},
    ],
}
SLOW: dict[str, Any] = {
    "type": "record",
    "name": "slow",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["NEW", "OLD"]}},
        {"name": "hash", "type": {"type": "fixed", "name": "hash", "size": 4}},
        {"name": "raw", "type": "bytes"},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {"name": "either", "type": ["null", "long", "string", {"type": "array", "items": "long"}]},
        {"name": "hour", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "next", "type": ["null", "slow"]},
    ],
}


def order(number: int) -> dict[str, Any]:
    return {
        "id": number << 40,
        "count": -number,
        "half": number / 3,
        "single": 0.5,
        "truth": number % 2 == 0,
        "text": "ünï ✓" * (number % 3),
        "maybe": None if number % 2 else "x",
        "number": None if number % 3 else number,
        "at": datetime.datetime(2024, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=number),
        "ms": datetime.datetime(1960, 1, 1, tzinfo=UTC) + datetime.timedelta(milliseconds=number),
        "day": datetime.date(2024, 1, 1) + datetime.timedelta(days=number),
        "tags": ["t"] * (number % 3),
        "who": {"name": f"n{number}"},
    }


def written(schema: Any, rows: Sequence[Any]) -> list[bytes]:
    parsed = fastavro.parse_schema(schema)
    found = []
    for row in rows:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed, row)
        found.append(stream.getvalue())
    return found


def test_avro_records_are_read_at_once() -> None:
    reader = AvroReader(ORDER)
    rows = [order(number) for number in range(50)]
    values = written(ORDER, rows)
    assert reader._at_once(values) is not None
    decoded = reader.decode(values)
    assert told(decoded, 50) == rows
    assert decoded.rows.schema.field("ms").type == pa.timestamp("ms", "UTC")


def test_avro_read_one_by_one_gives_the_same_table() -> None:
    reader = AvroReader(json.dumps(ORDER))
    values = written(ORDER, [order(number) for number in range(20)])
    quick = reader.decode(values).rows
    reader._header = None
    assert reader.decode(values).rows.equals(quick)
    assert reader.decode([]).rows.schema == quick.schema


@pytest.mark.parametrize("how", ["cut", "longer", "empty", "shift"])
def test_a_poison_value_in_avro_spoils_no_other(how: str) -> None:
    rows = [order(number) for number in range(6)]
    values = written(ORDER, rows)
    if how == "shift":  # what one lacks at its end, the next has at its beginning: together as long as they should be
        values[2:4] = [values[2][:-3], values[2][-3:] + values[3]]
        bad = [2, 3]
    else:
        values[2] = {"cut": values[2][:-1], "longer": values[2] + b"\0", "empty": b""}[how]
        bad = [2]
    decoded = Avro(schema=ORDER).decode(values)
    assert list(decoded.bad) == bad
    assert told(decoded, 6) == [row for at, row in enumerate(rows) if at not in bad]


def test_every_avro_type() -> None:
    row = {
        "id": 1,
        "price": decimal.Decimal("19.99"),
        "uuid": uuid.UUID(int=7),
        "kind": "OLD",
        "hash": b"abcd",
        "raw": b"\x00\xff",
        "counts": {"a": 1},
        "either": [1, 2],
        "hour": datetime.time(12, 30, 0, 5000),
        "local": datetime.datetime(2024, 1, 1, 1, 1, 1, 5000),
        "next": None,
    }
    inner = row | {"id": 2, "either": "x", "kind": "NEW"}
    decoded = Avro(schema=SLOW).decode(written(SLOW, [row, row | {"either": 5, "next": inner}]))
    first, second = told(decoded, 2)
    assert first == row | {"uuid": str(uuid.UUID(int=7)), "counts": [("a", 1)], "either": "[1,2]"}
    assert second["either"] == "5"
    assert json.loads(second["next"])["id"] == 2


def test_avro_scalars_have_one_column() -> None:
    assert told(Avro(schema='"string"').decode(written("string", ["a", "b"])), 2) == [{"value": "a"}, {"value": "b"}]
    assert not Avro(schema='"long"').decode(written("long", [1])).fields


class Registry:
    """Schemas by their ids."""

    def __init__(self, *schemas: Any, kind: str = "AVRO") -> None:
        self._schemas = [one if isinstance(one, Schema) else Schema(kind, json.dumps(one)) for one in schemas]

    def schema(self, number: int, *, form: str = "") -> Schema:
        if number >= len(self._schemas):
            raise UnknownSchema(f"the registry has no schema {number}")
        return self._schemas[number]

    def close(self) -> None:
        pass


def framed(number: int, value: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + value


def test_avro_of_several_schemas_keeps_its_order() -> None:
    first = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "int"}]}
    second = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "id", "type": "long"}, {"name": "n", "type": "string"}],
    }
    third = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "string"}]}
    avro = Avro(registry=Registry(first, second, third))  # type: ignore[arg-type]
    a, b = written(first, [{"id": 1}, {"id": 3}])
    (c,) = written(second, [{"id": 2, "n": "x"}])
    decoded = avro.decode([framed(0, a), framed(1, c), b"no header", framed(9, b""), framed(0, b), framed(1, b"\x05")])
    assert told(decoded, 6) == [{"id": 1, "n": None}, {"id": 2, "n": "x"}, {"id": 3, "n": None}]
    assert sorted(decoded.bad) == [2, 3, 5]
    assert "no schema 9" in decoded.bad[3]
    (d,) = written(third, [{"id": "z"}])
    assert told(avro.decode([framed(2, d), framed(0, a)]), 2) == [{"id": "z"}, {"id": "1"}]


def test_avro_schemas_that_refer_to_others() -> None:
    who = {"type": "record", "name": "shop.who", "fields": [{"name": "name", "type": "string"}]}
    order = {"type": "record", "name": "shop.order", "fields": [{"name": "who", "type": "shop.who"}]}
    named: dict[str, Any] = {}
    fastavro.parse_schema(who, named_schemas=named)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(order, named_schemas=named), {"who": {"name": "Ada"}})
    registry = Registry(Schema("AVRO", json.dumps(order), (("shop.who", Schema("AVRO", json.dumps(who))),)))
    decoded = Avro(registry=registry).decode([framed(0, stream.getvalue())])  # type: ignore[arg-type]
    assert told(decoded, 1) == [{"who": {"name": "Ada"}}]


def test_avro_that_cannot_be_set_up() -> None:
    for options in ({}, {"schema": ORDER, "registry": Registry()}):
        with pytest.raises(ConfigurationError, match="needs to know"):
            Avro(**options)  # type: ignore[arg-type]
    for schema in ("{", '{"type":"record"}', '{"type":"nothing"}', {"type": "record", "name": "r", "fields": [{}]}):
        with pytest.raises(ConfigurationError, match="no Avro schema"):
            Avro(schema=schema)
    wrong = Avro(registry=Registry(Schema("JSON", "{}")))  # type: ignore[arg-type]
    assert "JSON" in wrong.decode([framed(0, b"")]).bad[0]


# ---------------------------------------------------------------------------------------------------- Protobuf


def proto_file() -> descriptor_pb2.FileDescriptorProto:
    """orders.proto, without a compiler."""
    file = descriptor_pb2.FileDescriptorProto(name="orders.proto", package="shop", syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    other = file.message_type.add(name="Other")
    other.field.add(name="x", number=1, type=5, label=1)
    message = file.message_type.add(name="Order")
    kind = message.enum_type.add(name="Kind")
    for number, name in enumerate(("NEW", "PAID")):
        kind.value.add(name=name, number=number)
    item = message.nested_type.add(name="Item")
    item.field.add(name="sku", number=1, type=9, label=1)
    item.field.add(name="sizes", number=2, type=5, label=3)
    entry = message.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=3, label=1)
    message.oneof_decl.add(name="_note")
    message.field.add(name="id", number=1, type=3, label=1)
    message.field.add(name="big", number=2, type=4, label=1)
    message.field.add(name="half", number=3, type=1, label=1)
    message.field.add(name="raw", number=4, type=12, label=1)
    message.field.add(name="kind", number=5, type=14, label=1, type_name=".shop.Order.Kind")
    message.field.add(name="item", number=6, type=11, label=1, type_name=".shop.Order.Item")
    message.field.add(name="items", number=7, type=11, label=3, type_name=".shop.Order.Item")
    message.field.add(name="counts", number=8, type=11, label=3, type_name=".shop.Order.CountsEntry")
    message.field.add(name="at", number=9, type=11, label=1, type_name=".google.protobuf.Timestamp")
    message.field.add(name="maybe", number=10, type=11, label=1, type_name=".google.protobuf.Int64Value")
    message.field.add(name="note", number=11, type=9, label=1, oneof_index=0, proto3_optional=True)
    return file


def protobuf() -> tuple[Protobuf, Any]:
    """A format, and the class of its messages."""
    text = base64.b64encode(proto_file().SerializeToString()).decode()
    reader = Protobuf(registry=Registry(Schema("PROTOBUF", text)))  # type: ignore[arg-type]
    found = reader._opened(framed(0, b"\x02\x02"))[0]
    assert found.DESCRIPTOR.full_name == "shop.Order"
    return reader, found


def test_protobuf_messages_with_every_kind_of_field() -> None:
    reader, kind = protobuf()
    full = kind(
        id=-5,
        big=(1 << 64) - 1,
        half=0.5,
        raw=b"\xff",
        kind=1,
        item={"sku": "a", "sizes": [1, 2]},
        items=[{"sku": "b"}, {"sku": "c"}],
        counts={"x": 7},
        note="",
    )
    full.at.FromDatetime(datetime.datetime(2024, 1, 1, 0, 0, 0, 5))
    full.maybe.value = 0
    values = [framed(0, b"\x02\x02" + one.SerializeToString()) for one in (full, kind())]
    first, second = told(reader.decode(values), 2)
    assert first == {
        "id": -5,
        "big": (1 << 64) - 1,
        "half": 0.5,
        "raw": b"\xff",
        "kind": "PAID",
        "item": {"sku": "a", "sizes": [1, 2]},
        "items": [{"sku": "b", "sizes": []}, {"sku": "c", "sizes": []}],
        "counts": [("x", 7)],
        "at": datetime.datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
        "maybe": 0,
        "note": "",
    }
    assert second == {
        "id": 0,
        "big": 0,
        "half": 0.0,
        "raw": b"",
        "kind": "NEW",
        "item": None,
        "items": [],
        "counts": [],
        "at": None,
        "maybe": None,
        "note": None,
    }


def test_protobuf_poison_and_messages_of_several_types() -> None:
    reader, kind = protobuf()
    good = framed(0, b"\x02\x02" + kind(id=1).SerializeToString())
    other = framed(0, b"\x00" + b"\x08\x05")  # Other(x=5): the short form of the first message
    decoded = reader.decode([other, good, b"", framed(0, b"\x02\x02\x08"), framed(0, b"\x02\x0a"), framed(3, b"\x00")])
    assert [(row["x"], row["id"]) for row in told(decoded, 6)] == [(5, None), (None, 1)]
    assert sorted(decoded.bad) == [2, 3, 4, 5]
    assert "no message at [5]" in decoded.bad[4]


def test_protobuf_of_a_class() -> None:
    reader = Protobuf(message=timestamp_pb2.Timestamp)
    assert told(reader.decode([timestamp_pb2.Timestamp(seconds=5).SerializeToString()]), 1) == [
        {"seconds": 5, "nanos": 0}
    ]
    with pytest.raises(ConfigurationError, match="no generated message class"):
        Protobuf(message=int)
    with pytest.raises(ConfigurationError, match="needs to know"):
        Protobuf()


def test_protobuf_schemas_that_are_not_serialized() -> None:
    reader = Protobuf(registry=Registry(Schema("PROTOBUF", 'syntax = "proto3";')))  # type: ignore[arg-type]
    assert "format=serialized" in reader.decode([framed(0, b"\0")]).bad[0]


def test_floats_that_are_not_finite_come_from_formats_that_have_them() -> None:
    schema = {"type": "record", "name": "f", "fields": [{"name": "x", "type": "double"}]}
    first, second = told(Avro(schema=schema).decode(written(schema, [{"x": math.nan}, {"x": math.inf}])), 2)
    assert math.isnan(first["x"])
    assert second == {"x": math.inf}
