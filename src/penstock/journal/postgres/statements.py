"""The SQL that appends to a PostgreSQL journal: one statement, so one round trip and one commit, whatever is appended.

A statement inserts the events, and from their insertion alone follow the rows of `task_runs`, `runs` and `logs`. The
events go in only where the run's last record is the expected one; otherwise nothing is written and no row is counted.

A position is the transaction's number times 2^20 plus the record's place in its append. A sequence would not do: its
numbers are drawn before the commit, so that a reader can pass one which is committed later. All transactions below
the snapshot's xmin have ended, hence nothing can appear any more below xmin * 2^20, which is where `read` stops.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from penstock.core.events import Event, Record, UnknownEvent, encode_event, stored_name
from penstock.core.model import LogLine
from penstock.journal.projections import PROJECTIONS, RUN_COLUMNS, TASK_COLUMNS

PLACES = 20
VISIBLE = f"position < (pg_snapshot_xmin(pg_current_snapshot())::text::int8 << {PLACES})"
CHANNEL = "penstock"
MOST_RECORDS = 5_000
MOST_BYTES = 16_000_000

EVENT_COLUMNS = ("type", "version", "at", "body", "data")
LOG_COLUMNS = ("run_id", "key", "at", "level", "logger", "message")

_KINDS = {
    "at": "int8", "attempt": "int4", "body": "json", "cancel_requested": "bool", "created_at": "int8", "data": "bytea",
    "ended_at": "int8", "lease_until": "int8", "level": "int4", "ordinal": "int4", "started_at": "int8",
    "version": "int4",
}  # fmt: skip
_OIDS = {"bool": 16, "bytea": 17, "int8": 20, "int4": 23, "text": 25, "json": 114}
_int4 = struct.Struct("!i").pack
_int8 = struct.Struct("!q").pack
_array = struct.Struct("!iiiii").pack
_NULL = _int4(-1)
_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "bool": lambda value: b"\1" if value else b"\0",
    "bytea": bytes,
    "int4": _int4,
    "int8": _int8,
    "json": bytes,
    "text": str.encode,
}

Value = bytes | None
Clean = Callable[[Sequence[str], Any], Any]


class Shape(NamedTuple):
    """What a statement writes; there is one SQL text for each shape.

    Attributes:
        several: more than one event; they come as arrays.
        tasks: rows of task_runs: none, one, or several (2) as arrays.
        run: the columns set in runs; all of them make the row.
        logs: with log lines.
    """

    several: bool
    tasks: int
    run: tuple[str, ...]
    logs: bool


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


_TASK_REST = TASK_COLUMNS[1:]
_TASK_ENCODERS = _encoders(_TASK_REST)
_LOG_ENCODERS = _encoders(LOG_COLUMNS)


def batches(
    run_id: str,
    expected: int,
    records: Sequence[Record],
    logs: Sequence[LogLine],
    clean: Clean = lambda columns, values: values,
) -> Iterator[Batch]:
    """The statements of an append: nearly always one; very large appends are cut into several.

    Args:
        run_id: the run.
        expected: its last record.
        records: what to append.
        logs: log lines to write with it.
        clean: makes the values of columns storable.
    """
    run: dict[str, Any] = {}
    for event, _ in records:
        projection = PROJECTIONS.get(type(event))
        if projection is not None and projection.table == "runs":
            run.update(
                zip(projection.columns, clean(projection.columns, projection.values(run_id, event)), strict=True)
            )
    if len(run) < len(RUN_COLUMNS):
        run.pop("id", None)
    done = 0
    for part in _parts(records):
        last = done + len(part) == len(records)
        yield _batch(run_id, expected, done, part, run if last else {}, logs if last else (), clean)
        done += len(part)


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    if len(records) == 1:
        yield records
        return
    start = size = 0
    for index, record in enumerate(records):
        size += len(record.data or b"")
        if index > start and (size > MOST_BYTES or index - start >= MOST_RECORDS):
            yield records[start:index]
            start, size = index, len(record.data or b"")
    yield records[start:]


def _batch(
    run_id: str,
    expected: int,
    done: int,
    records: Sequence[Record],
    run: dict[str, Any],
    logs: Sequence[LogLine],
    clean: Clean,
) -> Batch:
    several = len(records) > 1 or done > 0
    events: list[tuple[Value, ...]] = []
    tasks: dict[str, list[Value]] = {}
    for event, data in records:
        name, version = stored_name(event)
        events.append((name.encode(), _int4(version), _int8(event.at), body_of(event), data))
        projection = PROJECTIONS.get(type(event))
        if projection is not None and projection.table == "task_runs":
            # One statement changes a row once, and the last event of a step says it all.
            values = clean(projection.columns, projection.values(run_id, event))
            tasks[values[1]] = _encoded(_TASK_ENCODERS, values[1:])
    values = [run_id.encode(), _int8(expected + done)]
    values += [_int8(done), *_arrays(EVENT_COLUMNS, events)] if several else events[0]
    if len(tasks) == 1:
        values += next(iter(tasks.values()))
    elif tasks:
        values += _arrays(_TASK_REST, list(tasks.values()))
    values += _encoded(_encoders(tuple(run)), run.values())
    if logs:
        values += log_arrays(logs)
    return Batch(Shape(several, min(len(tasks), 2), tuple(run), bool(logs)), values)


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
    numbers = count(3)

    def marks(columns: Sequence[str], suffix: str = "") -> str:
        return ", ".join(f"${next(numbers)}::{_kind(column)}{suffix}" for column in columns)

    steps = [f"e AS ({_events_sql(shape.several, numbers, marks)} RETURNING 1)"]
    main = "SELECT 1 FROM e LIMIT 1"
    if shape.tasks:
        tasks = _tasks_sql(shape, marks)
        if not shape.run and not shape.logs:
            return f"WITH {steps[0]} {tasks}"
        steps.append(f"t AS ({tasks})")
    if shape.run:
        main = f"SELECT pg_notify('{CHANNEL}', $1) FROM e LIMIT 1"
        steps.append(f"r AS ({_run_sql(shape.run, marks(shape.run).split(', '))})")
    if shape.logs:
        steps.append(f"l AS ({LOGS_SQL.format(marks(LOG_COLUMNS, '[]'), _ONCE)})")
    return f"WITH {', '.join(steps)} {main}"


_ONCE = "(SELECT 1 FROM e LIMIT 1) AS x, "
LOGS_SQL = f"INSERT INTO logs ({', '.join(LOG_COLUMNS)}) SELECT u.* FROM {{1}}unnest({{0}}) AS u"


def write_logs_sql() -> str:
    """The statement that writes log lines on their own."""
    marks = ", ".join(f"${number}::{_kind(column)}[]" for number, column in enumerate(LOG_COLUMNS, start=1))
    return LOGS_SQL.format(marks, "")


def _events_sql(several: bool, numbers: Iterator[int], marks: Callable[..., str]) -> str:
    columns = ", ".join(EVENT_COLUMNS)
    position = f"(pg_current_xact_id()::text::int8 << {PLACES})"
    if several:
        place = f"${next(numbers)}::int8 + n - 1"
        source = f"FROM unnest({marks(EVENT_COLUMNS, '[]')}) WITH ORDINALITY AS u({columns}, n) "
        values = f"{position} + {place}, $1::text, $2::int8 + n, {columns}"
    else:
        source = ""
        values = f"{position}, $1::text, $2::int8 + 1, {marks(EVENT_COLUMNS)}"
    return (
        f"INSERT INTO events (position, run_id, seq, {columns}) SELECT {values} {source}"
        "WHERE $2::int8 = 0 OR EXISTS (SELECT 1 FROM events WHERE run_id = $1::text AND seq = $2::int8)"
    )


def _tasks_sql(shape: Shape, marks: Callable[..., str]) -> str:
    columns = ", ".join(_TASK_REST)
    if shape.tasks == 1:
        source = f"SELECT $1::text, {marks(_TASK_REST)} FROM (SELECT 1 FROM e LIMIT 1) AS x"
    else:
        source = f"SELECT $1::text, u.* FROM {_ONCE}unnest({marks(_TASK_REST, '[]')}) AS u"
    sets = ", ".join(f"{column} = excluded.{column}" for column in _TASK_REST if column != "key")
    return f"INSERT INTO task_runs (run_id, {columns}) {source} ON CONFLICT (run_id, key) DO UPDATE SET {sets}"


def _run_sql(columns: Sequence[str], marks: Sequence[str]) -> str:
    if set(columns) == set(RUN_COLUMNS):
        return f"INSERT INTO runs ({', '.join(columns)}) SELECT {', '.join(marks)} FROM (SELECT 1 FROM e LIMIT 1) AS x"
    sets = ", ".join(f"{column} = {mark}" for column, mark in zip(columns, marks, strict=True))
    return f"UPDATE runs SET {sets} WHERE id = $1::text AND EXISTS (SELECT 1 FROM e)"
