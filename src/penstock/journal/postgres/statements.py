"""The SQL that appends to a PostgreSQL journal: one statement, so one round trip and one commit, whatever is appended.

A statement inserts the events, and from their insertion alone follow the rows of the tables and of `logs`. The
events go in only where the stream's last record is the expected one; else nothing is written and no row is counted.
Streams that are begun together share a statement.

A position is the transaction's number times 2^20 plus the record's place in its append. A sequence would not do: its
numbers are drawn before the commit, so that a reader can pass one which is committed later. All transactions below
the snapshot's xmin have ended, hence nothing can appear any more below xmin * 2^20, which is where `read` stops.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from penstock.core.events import Append, Event, Record, UnknownEvent, encode_event, stored_name
from penstock.core.model import LogLine
from penstock.journal.access import wakes
from penstock.journal.projections import KEYS, RUN_COLUMNS, projections_of

PLACES = 20
POSITION = f"(pg_current_xact_id()::text::int8 << {PLACES})"
VISIBLE = f"position < (pg_snapshot_xmin(pg_current_snapshot())::text::int8 << {PLACES})"
CHANNEL = "penstock"
MOST_JOINED = 16
JOINED_POSITION = (
    "(SELECT (greatest(pg_snapshot_xmax(pg_current_snapshot())::text::int8 - 1, pg_current_xact_id()::text::int8) "
    f"<< {PLACES}) + {1 << PLACES - 1} + nextval(pg_get_serial_sequence('logs', 'id')) * {MOST_JOINED} "
    f"% {1 << PLACES - 1})"
)
"""Where an append goes that joins a transaction which has begun to write long before.

Under its own number it would come before what the run has recorded meanwhile. So it goes to the place of the newest
transaction that has ended, behind whatever that has written: behind everything its stream holds, and still not to be
seen by a reader before all transactions up to there, itself among them, have ended.
"""
MOST_RECORDS = 5_000
MOST_BYTES = 16_000_000

EVENT_COLUMNS = ("type", "version", "at", "body", "data")
_BEGUN_COLUMNS = ("stream", "seq", *EVENT_COLUMNS)
LOG_COLUMNS = ("run_id", "key", "at", "level", "logger", "message")

_COLUMNS_OF = {
    "bool": "cancel_requested declared outside pause_requested paused under_way verified",
    "bytea": "data",
    "float8": "per_second",
    "int4": "action attempt burst concurrency crashes level ordinal partitions priority slots version",
    "int8": (
        "at created_at due_at ended_at expires_at fired_at fired_until interval_end interval_start lease_until "
        "landed next_due number position read_at rejected scheduled_at seq size started_at updated_at written_at"
    ),
    "json": "body",
}
_KINDS = {column: kind for kind, columns in _COLUMNS_OF.items() for column in columns.split()}
_OIDS = {"bool": 16, "bytea": 17, "int8": 20, "int4": 23, "text": 25, "json": 114, "float8": 701}
_int4 = struct.Struct("!i").pack
_int8 = struct.Struct("!q").pack
_array = struct.Struct("!iiiii").pack
_NULL = _int4(-1)
_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "bool": lambda value: b"\1" if value else b"\0",
    "bytea": bytes,
    "float8": struct.Struct("!d").pack,
    "int4": _int4,
    "int8": _int8,
    "json": bytes,
    "text": str.encode,
}

Value = bytes | None
Clean = Callable[[Sequence[str], Any], Any]


class Group(NamedTuple):
    """Rows of one table that are written alike.

    Attributes:
        table, how, columns: see `Projection`.
        several: more than one row; they come as arrays.
    """

    table: str
    how: str
    columns: tuple[str, ...]
    several: bool


class Shape(NamedTuple):
    """What a statement writes; there is one SQL text for each shape.

    Attributes:
        begun: events of several streams that begin; they come as arrays, and each with its stream.
        several: more than one event; they come as arrays.
        groups: rows of tables.
        run: the columns set in runs; all of them make the row.
        logs: with log lines.
        wakes: tell those who listen.
    """

    begun: bool
    several: bool
    groups: tuple[Group, ...]
    run: tuple[str, ...]
    logs: bool
    wakes: bool


class Batch(NamedTuple):
    """A shape and its parameters, in PostgreSQL's binary formats."""

    shape: Shape
    values: list[Value]


def body_of(event: Event) -> bytes:
    """An event as it is stored; one of another version as it was."""
    return encode_event(event.body if isinstance(event, UnknownEvent) else event)


def _kind(column: str) -> str:
    return _KINDS.get(column, "text")


def _encoders(columns: Sequence[str]) -> tuple[Callable[[Any], bytes], ...]:
    return tuple(_ENCODERS[_kind(column)] for column in columns)


_COLUMN_ENCODERS: dict[tuple[str, ...], tuple[Callable[[Any], bytes], ...]] = {}
_LOG_ENCODERS = _encoders(LOG_COLUMNS)


def batches(
    stream: str,
    expected: int,
    records: Sequence[Record],
    logs: Sequence[LogLine],
    clean: Clean = lambda columns, values: values,
    place: int = 0,
) -> Iterator[Batch]:
    """The statements of an append: nearly always one; very large appends are cut into several.

    Args:
        stream: the stream.
        expected: its last record.
        records: what to append.
        logs: log lines to write with it.
        clean: makes the values of columns storable.
        place: how many records the transaction has written before.
    """
    run = _run_of(stream, records, clean)
    done = 0
    for part in _parts(records):
        last = done + len(part) == len(records)
        yield _batch(stream, expected + done, place + done, part, run if last else {}, logs if last else (), clean)
        done += len(part)


def _run_of(stream: str, records: Sequence[Record], clean: Clean) -> dict[str, Any]:
    """What these records set in the row of their run; with its id where it is all of the row."""
    run: dict[str, Any] = {}
    for event, data in records:
        for projection in projections_of(type(event)):
            if projection.table == "runs":
                for values in projection.rows(stream, event, data):
                    run.update(zip(projection.columns, clean(projection.columns, values), strict=True))
    if len(run) < len(RUN_COLUMNS):
        run.pop("id", None)
    return run


class Part(NamedTuple):
    """A part of a transaction.

    Attributes:
        streams: that it appends to; more than one where they all begin.
        batch: its statement.
    """

    streams: tuple[str, ...]
    batch: Batch


def parts_of(appends: Sequence[Append], clean: Clean) -> Iterator[Part]:
    """The statements of several appends in one transaction; streams that begin next to each other share one."""
    place = 0
    begun = _Begun()
    for item in appends:
        rows = _Rows.begun(item, clean) if len(appends) > 1 else None
        if rows is None or not begun.take(item, rows, place):
            yield from begun.part()
            begun = _Begun()
            if rows is None or not begun.take(item, rows, place):
                yield from (Part((item.stream,), batch) for batch in batches(*item, (), clean, place))
        place += len(item.records)
    yield from begun.part()


class _Rows:
    """Events, and the rows of tables that follow from them, as one statement writes them."""

    def __init__(self) -> None:
        self.events: list[tuple[Value, ...]] = []
        self.groups: dict[tuple[str, str, tuple[str, ...]], dict[Any, list[Value]]] = {}

    @classmethod
    def begun(cls, item: Append, clean: Clean) -> _Rows | None:
        """What follows from an append, the row of its run too; None where it begins no stream or is cut."""
        if item.expected_seq or sum(1 for _ in _parts(item.records)) > 1:
            return None
        run = _run_of(item.stream, item.records, clean)
        if run and len(run) < len(RUN_COLUMNS):
            return None
        found = cls()
        found.add(item.stream, item.records, clean)
        if run:
            values = [run[column] for column in RUN_COLUMNS]
            found.groups[("runs", "new", RUN_COLUMNS)] = {(run["id"],): _encoded(_encoders_of(RUN_COLUMNS), values)}
        return found

    def add(self, stream: str, records: Sequence[Record], clean: Clean) -> None:
        """What follows from these records, but for the row of their run."""
        for event, data in records:
            name, version = stored_name(event)
            self.events.append((name.encode(), _int4(version), _int8(event.at), body_of(event), data))
            for table, how, columns, rows in projections_of(type(event)):
                if table == "runs":
                    continue
                for values in rows(stream, event, data):
                    # One statement changes a row once, and the last event about it says it all.
                    stored = clean(columns, values)
                    found = self.groups.setdefault((table, how, columns), {})
                    found[stored[: len(KEYS[table])]] = _encoded(_encoders_of(columns), stored)

    def size(self) -> int:
        """Bytes of all values."""
        rows = (row for found in self.groups.values() for row in found.values())
        return sum(len(value or b"") for row in chain(self.events, rows) for value in row)

    def apart(self, other: _Rows) -> bool:
        """Whether one statement can write both: a table that both change is changed in one way, in different rows."""
        mine, theirs = self._ways(), other._ways()
        return all(
            len(ways) == 1 and ways == mine[table] and self.groups[group].keys().isdisjoint(other.groups[group])
            for table, ways in theirs.items()
            if table in mine
            for group in ways
        )

    def _ways(self) -> dict[str, set[tuple[str, str, tuple[str, ...]]]]:
        found: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {}
        for group in self.groups:
            found.setdefault(group[0], set()).add(group)
        return found

    def written(self, several: bool = False) -> tuple[tuple[Group, ...], list[Value]]:
        """The rows of the tables, a group after the other: what they are, and their values.

        Args:
            several: as arrays, and in an order of their own, so that there are few statements to prepare.
        """
        shapes, values = [], list[Value]()
        for group, rows in sorted(self.groups.items()) if several else self.groups.items():
            arrays = several or len(rows) > 1
            shapes.append(Group(*group, arrays))
            values += _arrays(group[2], list(rows.values())) if arrays else next(iter(rows.values()))
        return tuple(shapes), values


class _Begun:
    """Streams that begin in one statement."""

    def __init__(self) -> None:
        self._place = self._size = 0
        self._items: dict[str, Append] = {}
        self._rows = _Rows()

    def take(self, item: Append, rows: _Rows, place: int) -> bool:
        """Have one more begin with the others; False where it cannot.

        Args:
            item: what begins.
            rows: what follows from it.
            place: how many records the transaction has written before.
        """
        mine = self._rows
        number, size = len(mine.events) + len(rows.events), self._size + rows.size()
        if number > MOST_RECORDS or size > MOST_BYTES or item.stream in self._items or not mine.apart(rows):
            return False
        if not self._items:
            self._place = place
        self._items[item.stream] = item
        self._size = size
        mine.events += rows.events
        for group, found in rows.groups.items():
            mine.groups.setdefault(group, {}).update(found)
        return True

    def part(self) -> Iterator[Part]:
        """The statement, if any stream begins."""
        if items := self._items.values():
            names = [(item.stream.encode(), _int8(seq + 1)) for item in items for seq in range(len(item.records))]
            events = [(*name, *event) for name, event in zip(names, self._rows.events, strict=True)]
            groups, values = self._rows.written(several=True)
            woken = any(wakes(item.records) for item in items)
            begun = [_int8(self._place), *_arrays(_BEGUN_COLUMNS, events), *values]
            yield Part(tuple(self._items), Batch(Shape(True, True, groups, (), False, woken), begun))


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Cut where a statement would be too large, or would change rows of a table in several ways.

    One statement sees the tables as they were before it, so that of two changes of a row only one would be there.
    """
    if len(records) == 1:
        yield records
        return
    start = size = 0
    ways: dict[str, set[Any]] = {}
    for index, (event, data) in enumerate(records):
        size += len(data or b"")
        mine = _ways(type(event))
        other = any(ways.get(table, way) != way for table, way in mine.items())
        if index > start and (other or size > MOST_BYTES or index - start >= MOST_RECORDS):
            yield records[start:index]
            start, size, ways = index, len(data or b""), {}
        ways.update(mine)
    yield records[start:]


_WAYS: dict[type[Event], dict[str, set[Any]]] = {}


def _ways(kind: type[Event]) -> dict[str, set[Any]]:
    """How an event changes each of the tables that it changes; of `runs` there is one row, which is put together."""
    found = _WAYS.get(kind)
    if found is None:
        found = _WAYS[kind] = {}
        for table, how, columns, _ in projections_of(kind):
            if table != "runs":
                found.setdefault(table, set()).add((how, columns))
    return found


def _batch(
    stream: str,
    expected: int,
    place: int,
    records: Sequence[Record],
    run: dict[str, Any],
    logs: Sequence[LogLine],
    clean: Clean,
) -> Batch:
    several = len(records) > 1 or place > 0
    rows = _Rows()
    rows.add(stream, records, clean)
    parameters: list[Value] = [stream.encode(), _int8(expected)]
    parameters += [_int8(place), *_arrays(EVENT_COLUMNS, rows.events)] if several else rows.events[0]
    groups, values = rows.written()
    parameters += values
    parameters += _encoded(_encoders(tuple(run)), run.values())
    if logs:
        parameters += log_arrays(logs)
    return Batch(Shape(False, several, groups, tuple(run), bool(logs), wakes(records)), parameters)


def _encoders_of(columns: tuple[str, ...]) -> tuple[Callable[[Any], bytes], ...]:
    found = _COLUMN_ENCODERS.get(columns)
    if found is None:
        found = _COLUMN_ENCODERS[columns] = _encoders(columns)
    return found


def log_arrays(logs: Sequence[LogLine]) -> list[Value]:
    """Log lines as one array for each column."""
    lines = [(line.run_id, line.key, line.at, line.level, line.logger, line.message) for line in logs]
    return _arrays(LOG_COLUMNS, [_encoded(_LOG_ENCODERS, line) for line in lines])


def _encoded(encoders: Sequence[Callable[[Any], bytes]], values: Any) -> list[Value]:
    return [None if value is None else encode(value) for encode, value in zip(encoders, values, strict=True)]


def _arrays(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> list[Value]:
    return [
        _array_of(_OIDS[_kind(column)], items) for column, items in zip(columns, zip(*rows, strict=True), strict=True)
    ]


def _array_of(oid: int, items: Sequence[Value]) -> bytes:
    parts = [_array(1, 1, oid, len(items), 1)]
    for item in items:
        if item is None:
            parts.append(_NULL)
        else:
            parts.append(_int4(len(item)))
            parts.append(item)
    return b"".join(parts)


def append_sql(shape: Shape) -> str:
    """The statement for a shape; it counts no row where the run's last record is another."""
    numbers = count(1 if shape.begun else 3)

    def marks(columns: Sequence[str], suffix: str = "") -> str:
        return ", ".join(f"${next(numbers)}::{_kind(column)}{suffix}" for column in columns)

    events = _begun_sql(numbers, marks) if shape.begun else _events_sql(shape.several, numbers, marks)
    steps = [f"e AS ({events} RETURNING 1)"]
    groups = [_group_sql(group, marks) for group in shape.groups]
    if len(groups) == 1 and shape.groups[0].how == "put" and not (shape.run or shape.logs or shape.wakes):
        return f"WITH {steps[0]} {groups[0]}"
    steps += [f"g{place} AS ({sql})" for place, sql in enumerate(groups)]
    if shape.run:
        steps.append(f"r AS ({_run_sql(shape.run, marks(shape.run).split(', '))})")
    if shape.logs:
        steps.append(f"l AS ({LOGS_SQL.format(marks(LOG_COLUMNS, '[]'), _ONCE)})")
    whose = "''" if shape.begun else "$1"
    main = f"SELECT pg_notify('{CHANNEL}', {whose}) FROM e LIMIT 1" if shape.wakes else "SELECT 1 FROM e LIMIT 1"
    return f"WITH {', '.join(steps)} {main}"


_ONCE = "(SELECT 1 FROM e LIMIT 1) AS x, "
LOGS_SQL = f"INSERT INTO logs ({', '.join(LOG_COLUMNS)}) SELECT u.* FROM {{1}}unnest({{0}}) AS u"


def write_logs_sql() -> str:
    """The statement that writes log lines on their own."""
    marks = ", ".join(f"${number}::{_kind(column)}[]" for number, column in enumerate(LOG_COLUMNS, start=1))
    return LOGS_SQL.format(marks, "")


def _begun_sql(numbers: Iterator[int], marks: Callable[..., str]) -> str:
    columns = ", ".join(_BEGUN_COLUMNS)
    position = f"{POSITION} + ${next(numbers)}::int8 + n - 1"
    source = f"unnest({marks(_BEGUN_COLUMNS, '[]')}) WITH ORDINALITY AS u({columns}, n)"
    return f"INSERT INTO events (position, {columns}) SELECT {position}, {columns} FROM {source}"


def _events_sql(several: bool, numbers: Iterator[int], marks: Callable[..., str]) -> str:
    columns = ", ".join(EVENT_COLUMNS)
    position = POSITION
    if several:
        place = f"${next(numbers)}::int8 + n - 1"
        source = f"FROM unnest({marks(EVENT_COLUMNS, '[]')}) WITH ORDINALITY AS u({columns}, n) "
        values = f"{position} + {place}, $1::text, $2::int8 + n, {columns}"
    else:
        source = ""
        values = f"{position}, $1::text, $2::int8 + 1, {marks(EVENT_COLUMNS)}"
    return (
        f"INSERT INTO events (position, stream, seq, {columns}) SELECT {values} {source}"
        "WHERE $2::int8 = 0 OR EXISTS (SELECT 1 FROM events WHERE stream = $1::text AND seq = $2::int8)"
    )


def _group_sql(group: Group, marks: Callable[..., str]) -> str:
    table, how, columns, several = group
    keys = KEYS[table]
    names = ", ".join(columns)
    if several:
        rows = f"SELECT u.* FROM {_ONCE}unnest({marks(columns, '[]')}) AS u"
    else:
        rows = f"SELECT {marks(columns)} FROM (SELECT 1 FROM e LIMIT 1) AS x"
    same = " AND ".join(f"{table}.{key} = v.{key}" for key in keys)
    rest = [column for column in columns if column not in keys]
    if how == "drop":
        return f"DELETE FROM {table} USING ({rows}) AS v({names}) WHERE {same}"
    if how in ("set", "move"):
        sets = ", ".join(f"{column} = v.{column}" for column in rest)
        still = f" AND {table}.next_due <= v.{rest[0]}" if how == "move" else ""
        return f"UPDATE {table} SET {sets} FROM ({rows}) AS v({names}) WHERE {same}{still}"
    if how == "new":
        return f"INSERT INTO {table} ({names}) {rows}"
    sets = ", ".join(f"{column} = excluded.{column}" for column in rest)
    then = f"UPDATE SET {sets}" if how == "put" and rest else "NOTHING"
    return f"INSERT INTO {table} ({names}) {rows} ON CONFLICT ({', '.join(keys)}) DO {then}"


def _run_sql(columns: Sequence[str], marks: Sequence[str]) -> str:
    if set(columns) == set(RUN_COLUMNS):
        return f"INSERT INTO runs ({', '.join(columns)}) SELECT {', '.join(marks)} FROM (SELECT 1 FROM e LIMIT 1) AS x"
    sets = ", ".join(f"{column} = {mark}" for column, mark in zip(columns, marks, strict=True))
    return f"UPDATE runs SET {sets} WHERE id = $1::text AND EXISTS (SELECT 1 FROM e)"
