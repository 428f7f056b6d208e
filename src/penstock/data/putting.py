"""Rows that are there already, into a sink: once for each step of a run, whatever kills it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core.context import current_scope
from penstock.core.errors import ConfigurationError, PipeTakenOver, Unbalanced
from penstock.core.extras import require
from penstock.core.ids import new_run_id
from penstock.core.ports.data import Batch, Counts, Landed, Part, Sink
from penstock.core.rows import gather
from penstock.data.recording import Recording

if TYPE_CHECKING:
    import pyarrow as pa


_CALLS = "put"
_KEPT = 50
_PATIENCE_SECONDS = 60.0
_LONGEST_PAUSE = 0.5


def put(rows: Any, sink: Sink, *, name: str | None = None) -> Landed:
    """Write rows into a sink, all or nothing.

    In a run they land once: when the step is executed again because its process was killed before its end was on
    record, or because it failed afterwards, the rows are found to be there. (The last 50 writings of a pipe are known.)
    Elsewhere every call writes.

    Args:
        rows: a frame of Polars or pandas, an Arrow table or reader, or a list of dictionaries.
        sink: where to; one that replaces its table replaces all of it.
        name: names the pipe. By default it is made of the flow and the step, such as `put nightly load#1`.

    Returns:
        What became of the rows, now or when they landed.

    Raises:
        ConfigurationError: the rows are nothing that Arrow can make a table of.
        SinkUnavailable, SchemaRefused: by the sink; nothing was written.
        PipeTakenOver: others have been writing through the same pipe without a pause for a minute.
    """
    table = _table_of(rows)
    pipe, writing = _place()
    pipe = name or pipe
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _written(table, sink, pipe, writing)
        except PipeTakenOver:  # by another run that writes there: it is done in a moment
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE))


def _place() -> tuple[str, str]:
    """The pipe of this place in the code, and what this writing is called."""
    scope = current_scope.get()
    if scope is None or scope.foreign:
        return "put", new_run_id()
    here = scope.numbered(_CALLS)
    return f"put {scope.live.flow.name} {here}", f"{scope.live.id}/{here}"


def _written(table: pa.Table, sink: Sink, pipe: str, writing: str) -> Landed:
    recording = Recording(None, sink, pipe, writing)
    batch = Batch((Part(table),), {}, last=True)
    with sink.open(pipe) as landing:
        known: dict[str, list[int]] = dict((landing.position or {}).get(_CALLS, {}))
        if writing in known:
            found = Landed(_difference(known, writing, landing.counts))
            recording.add(batch, found)
            recording.tell()
            return found
        # What will become of the rows is told by the commit only; that of the totals before it can be taken then.
        known[writing] = list(_figures(landing.counts))
        latest = dict(list(known.items())[-_KEPT:])
        landed = landing.land(replace(batch, position={_CALLS: latest}))
    if not landed.counts.balanced or landed.counts.read != table.num_rows:
        raise Unbalanced(f"{pipe}: {table.num_rows} rows were committed as {landed.counts}.")
    recording.add(batch, landed)
    recording.tell()
    return landed


def _figures(counts: Counts) -> tuple[int, int, int, int]:
    return counts.read, counts.landed, counts.superseded, counts.rejected


def _difference(known: dict[str, list[int]], writing: str, now: Counts) -> Counts:
    """What became of the rows of a writing: the totals before the next one, without those before it."""
    befores = list(known.values())
    place = list(known).index(writing)
    after = befores[place + 1] if place + 1 < len(befores) else _figures(now)
    return Counts(*(later - earlier for later, earlier in zip(after, befores[place], strict=True)))


def _table_of(rows: Any) -> pa.Table:
    arrow = require("pyarrow", "data")
    try:
        if isinstance(rows, arrow.Table):
            return rows
        if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
            if all(isinstance(row, Mapping) for row in rows):
                return gather(rows).rows
        elif hasattr(rows, "read_all"):
            return rows.read_all()
        elif hasattr(rows, "to_arrow"):
            return arrow.table(rows.to_arrow())
        elif hasattr(rows, "__arrow_c_stream__"):
            return arrow.table(rows)
    except (arrow.ArrowException, TypeError) as error:
        raise ConfigurationError(f"These rows make no table: {error}.") from error
    raise ConfigurationError(
        f"{type(rows).__name__} is nothing that rows can be taken from.",
        hint="give a Polars or pandas frame, an Arrow table, or a list of dictionaries",
    )
