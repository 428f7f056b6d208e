"""Changes as Debezium tells them and as Penstock does, brought to one form, value by value.

Only what is a matter of notation is made equal here: days since 1970 and dates, hexadecimal digits and bytes, the order
of a JSON object's names. Whatever is different beyond that is a difference, and stands in differences.toml.
"""

from __future__ import annotations

import base64
import datetime
import json
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

UNCHANGED = "(unchanged)"
"""Stands for a large value that the log leaves out."""
_PLACEHOLDER = "__debezium_unavailable_value"
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_BEGIN = datetime.datetime(1970, 1, 1)
_JSON = {"a_json", "a_jsonb", "json"}
_MICROSECOND = datetime.timedelta(microseconds=1)

Row = dict[str, Any]


class Change(NamedTuple):
    """A change of a row.

    Attributes:
        op: insert, update, delete or truncate.
        before: the row before, or its key, as far as the log has it.
        after: the row after it.
    """

    table: str
    op: str
    before: Row | None
    after: Row | None


def of_debezium(told: Mapping[str, Any]) -> Change:
    """A change as Debezium tells it."""
    ops = {"c": "insert", "u": "update", "d": "delete", "t": "truncate"}
    kinds = told["types"]
    before, after = (
        {name: debezium_value(name, kinds[name], value) for name, value in side.items()} if side is not None else None
        for side in (told["before"], told["after"])
    )
    return Change(told["table"], ops[told["op"]], before, after)


def debezium_value(name: str, kind: str, value: Any) -> Any:
    """One value of Debezium's JSON."""
    if value is None:
        return None
    if value in (_PLACEHOLDER, _PLACEHOLDER.encode().hex(), [_PLACEHOLDER]):
        return UNCHANGED
    if kind == "io.debezium.time.Date":
        return _date(value)
    if kind == "io.debezium.time.MicroTime":
        return _time(value)
    if kind in ("io.debezium.time.MicroTimestamp", "io.debezium.time.Timestamp"):
        return _moment(value * (1000 if kind.endswith(".Timestamp") else 1))
    if kind == "io.debezium.time.ZonedTimestamp":
        return _zoned(value)
    if kind == "io.debezium.data.Bits":
        return {"bits": base64.b64decode(value).hex()}
    if name in _JSON:
        return _json(value)
    if kind in ("float", "float32", "double", "float64"):
        return _float(value, short=kind in ("float", "float32"))
    if kind == "array" and value and name == "days":
        return [each if each is None else _date(each) for each in value]
    return value


def of_penstock(table: str, row: Mapping[str, Any], keys: Sequence[str], short: Collection[str]) -> Iterator[Change]:
    """A row of the log (`as_changes=True`); an update of a key is told as Debezium does, as a delete and an insert.

    Args:
        table: of the row.
        row: the row.
        keys: of the table.
        short: columns of four-byte floats.
    """
    out = row["unchanged"] or []
    before, after = (
        {name: penstock_value(name, value, name in short) for name, value in side.items()} if side is not None else None
        for side in (row["before"], row["after"])
    )
    if after is not None:
        after.update(dict.fromkeys(out, UNCHANGED))
    if before is not None and after is not None and any(before[key] != after[key] for key in keys):
        yield Change(table, "delete", before, None)
        yield Change(table, "insert", None, after)
        return
    yield Change(table, row["op"], before, after)


def rows_of(rows: Any) -> list[Row]:
    """The rows of an Arrow table; moments that Python does not have are told as Debezium's."""
    found = [
        dict(zip(rows.column_names, values, strict=True)) for values in zip(*map(_column, rows.columns), strict=True)
    ]
    return found


def _column(column: Any) -> list[Any]:
    kind = column.type
    if pa.types.is_struct(kind):
        whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        sides = [_column(pa.chunked_array([whole.field(place)])) for place in range(kind.num_fields)]
        names = [field.name for field in kind]
        there = whole.is_valid().to_pylist()
        values = zip(*sides, strict=True) if sides else ((),) * len(whole)
        return [
            dict(zip(names, row, strict=True)) if is_there else None
            for is_there, row in zip(there, values, strict=True)
        ]
    if pa.types.is_date(kind):
        return [None if days is None else _date(days) for days in column.cast(pa.int32()).to_pylist()]
    if pa.types.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        moments = [None if each is None else _moment(each) for each in column.cast(pa.int64()).to_pylist()]
        return [f"{each}{zone}" if isinstance(each, str) else each for each in moments]
    found: list[Any] = column.to_pylist()
    return found


def penstock_value(name: str, value: Any, short: bool = False) -> Any:
    """One value of an Arrow table."""
    if isinstance(value, list):
        return [penstock_value(name, each, short) for each in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return _float(value, short=short)
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return _json(value) if name in _JSON and value is not None else value


def _date(days: int) -> Any:
    try:
        return datetime.date.fromordinal(_EPOCH + days).isoformat()
    except (ValueError, OverflowError):
        return {"days": days}


def _time(microseconds: int) -> Any:
    if microseconds >= 86_400_000_000:
        return {"microseconds": microseconds}
    return (_BEGIN + microseconds * _MICROSECOND).time().isoformat(timespec="microseconds")


def _moment(microseconds: int) -> Any:
    try:
        return (_BEGIN + microseconds * _MICROSECOND).isoformat(timespec="microseconds")
    except OverflowError:
        return {"microseconds": microseconds}


def _zoned(text: str) -> Any:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return found.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _float(value: Any, *, short: bool) -> Any:
    number = float(value)
    return repr(struct.unpack("f", struct.pack("f", number))[0] if short else number)


def _json(text: str) -> Any:
    """Numbers keep their digits; the order of names and the spaces do not matter."""
    return {"json": json.dumps(json.loads(text, parse_float=str), sort_keys=True)}
