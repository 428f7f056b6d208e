"""The changes of a block made into what is to be done to the tables: one thing at most for each key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.blocks import DELETE, Rows, Segment
from penstock.connectors.cdc.relations import Relation
from penstock.connectors.postgres.copying import made, shown
from penstock.connectors.postgres.fields import UNCHANGED, Field, Numbers, joined
from penstock.core.extras import require
from penstock.core.ports.data import Part, Rejected

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from numpy.typing import NDArray
else:
    from penstock.core.rows.arrow import pa, pc

    np = require("numpy", "data")

Fetch = Callable[[Relation, Any, Sequence[int]], Any]
"""Asks the database itself for some columns of rows: `fetch(relation, keys as text by column, numbers of columns)`."""


@dataclass
class Merged:
    """What is to be done, and what need not be done any more.

    Attributes:
        parts: in order.
        rejected: changes that cannot be carried out.
        superseded: how many changes later ones made needless.
    """

    parts: list[Part] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    superseded: int = 0


@dataclass(frozen=True)
class _Events:
    """What happens to keys, in order: each one is deleted or written.

    Attributes:
        codes: a number for the key.
        rows: of what is written the row, among those after the changes; of what is deleted among those before.
        written: which ones are written.
        begins: which ones have nothing to do with what the key was before.
        moved: which ones are written because the key of a row has changed.
    """

    codes: Numbers
    rows: Numbers
    written: NDArray[np.bool_]
    begins: NDArray[np.bool_]
    moved: NDArray[np.bool_]


def merge(segment: Segment, table: str, fetch: Fetch) -> Merged:
    """What a segment's changes come to: deletions, then rows by the columns that they have.

    A row that came without a value which did not change (PostgreSQL leaves out large ones) takes it from the change
    before, if there is one here; otherwise it is written without that column.
    """
    before, after = segment.tuples()
    events = _events(segment, before, after)
    final = _last(events.codes)
    written = events.written[final]
    relation = segment.relation
    where = [relation.columns[number] for number in relation.key]
    key = tuple(column.name for column in where)
    found = Merged(superseded=len(events.codes) - len(final))
    deleted = events.rows[final[~written]]
    if len(deleted):
        fields = [before.fields[number].take(deleted) for number in relation.key]
        keys = made(where, fields, copied=False)
        found.rejected += rejections(relation, fields, keys.bad, table, numbers=relation.key)
        if keys.table.num_rows:
            found.parts.append(Part(keys.table, table, "delete", key))
    upserts = final[written]
    for rows, columns in _written(relation, after, events, upserts, fetch, found, table):
        if rows.num_rows:
            found.parts.append(Part(rows.select(columns), table, "upsert", key))
    return found


def _events(segment: Segment, before: Rows, after: Rows) -> _Events:
    """Deletions of what was deleted or has another key now, and rows that are written."""
    relation = segment.relation
    kinds = segment.kinds
    new_keys = [after.fields[number] for number in relation.key]
    if not len(before.changes):
        count = len(after.changes)
        none = np.zeros(count, bool)
        # What is inserted is whole, so it does not matter what its key was before.
        return _Events(_codes(new_keys), np.arange(count), ~none, none, none)
    old_keys = [before.fields[number] for number in relation.key]
    moved = _moved(before, after, old_keys, new_keys)
    gone = np.flatnonzero((kinds[before.changes] == DELETE) | np.isin(before.changes, after.changes[moved]))
    order = np.argsort(np.concatenate((before.changes[gone] * 2, after.changes * 2 + 1)), kind="stable")
    keys = [joined([old.take(gone), new]).take(order) for old, new in zip(old_keys, new_keys, strict=True)]
    written = np.concatenate((np.zeros(len(gone), bool), np.ones(len(after.changes), bool)))[order]
    rows = np.concatenate((gone, np.arange(len(after.changes))))[order]
    was_moved = np.concatenate((np.zeros(len(gone), bool), moved))[order]
    return _Events(_codes(keys), rows, written, ~written | was_moved, was_moved)


def _moved(before: Rows, after: Rows, old_keys: list[Field], new_keys: list[Field]) -> NDArray[np.bool_]:
    """Which of the rows after the changes have another key than before."""
    places = np.searchsorted(before.changes, after.changes)
    places = np.minimum(places, len(before.changes) - 1)
    both = np.flatnonzero(before.changes[places] == after.changes)
    found = np.zeros(len(after.changes), bool)
    for old, new in zip(old_keys, new_keys, strict=True):
        differs = pc.not_equal(old.take(places[both]).text(), new.take(both).text())
        found[both] |= pc.fill_null(differs, True).to_numpy(zero_copy_only=False)
    return found


def _codes(keys: Sequence[Field]) -> Numbers:
    """The same number for the same key."""
    codes = np.zeros(len(keys[0]), np.int64)
    for number, key in enumerate(keys):
        encoded = key.text().dictionary_encode(null_encoding="encode")
        more = encoded.indices.to_numpy().astype(np.int64)
        codes = more if number == 0 else codes * len(encoded.dictionary) + more
        if number:
            codes = pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _last(codes: Numbers) -> Numbers:
    """The last event of each key, in order."""
    last = np.full(int(codes.max()) + 1 if len(codes) else 0, -1, np.int64)
    last[codes] = np.arange(len(codes))
    return np.sort(last[last >= 0])


def _written(
    relation: Relation,
    after: Rows,
    events: _Events,
    upserts: Numbers,
    fetch: Fetch,
    found: Merged,
    table: str,
) -> Iterator[tuple[Any, list[str]]]:
    """The rows to write, by the columns they have, and the names of those columns."""
    fields = [column.take(events.rows[upserts]) for column in after.fields]
    torn = [number for number, column in enumerate(fields) if (column.sizes == UNCHANGED).any()]
    names = [column.name for column in relation.columns]
    if not torn:
        whole = made(relation.columns, fields, copied=False)
        found.rejected += rejections(relation, fields, whole.bad, table)
        yield whole.table, names
        return
    fields, moved = _mended(after, events, upserts, fields, torn)
    lacks = np.zeros((len(upserts), len(torn)), bool)
    for place, number in enumerate(torn):
        lacks[:, place] = fields[number].sizes == UNCHANGED
    shapes = lacks @ (1 << np.arange(len(torn), dtype=object)) * 2 + moved
    for shape in sorted(set(shapes.tolist())):
        chosen = np.flatnonzero(shapes == shape)
        missing = [number for place, number in enumerate(torn) if shape >> (place + 1) & 1]
        some = [column.take(chosen) for column in fields]
        rows = made(relation.columns, some, copied=False)
        found.rejected += rejections(relation, some, rows.bad, table)
        if missing and shape & 1:
            text = [some[number] if rows.fits is None else some[number].take(rows.fits) for number in relation.key]
            yield _with(rows.table, fetch(relation, [column.text() for column in text], missing)), names
        else:
            yield rows.table, [name for number, name in enumerate(names) if number not in missing]


def _with(rows: Any, fetched: Any) -> Any:
    for name in fetched.column_names:
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), fetched[name])
    return rows


def _mended(
    after: Rows, events: _Events, upserts: Numbers, fields: list[Field], torn: Sequence[int]
) -> tuple[list[Field], NDArray[np.int64]]:
    """Values that were left out, taken from the change before where that is one of the same row.

    Returns:
        The columns, and which rows came from another key and so have no former value that a sink could keep.
    """
    count = len(events.codes)
    order = np.argsort(events.codes, kind="stable")
    codes, written = events.codes[order], events.written[order]
    here = np.arange(count)
    starts = np.ones(count, bool)
    starts[1:] = codes[1:] != codes[:-1]
    starts[1:] |= events.begins[order][1:] | ~written[:-1]
    first = np.maximum.accumulate(np.where(starts, here, 0))
    place = np.empty(count, np.int64)
    place[order] = here
    wanted = place[upserts]
    rows = events.rows[order]
    mended = list(fields)
    for number in torn:
        column = after.fields[number]
        sizes = np.full(count, UNCHANGED, np.int64)
        sizes[written] = column.sizes[rows[written]]
        known = np.maximum.accumulate(np.where(sizes != UNCHANGED, here, -1))[wanted]
        inside = known >= first[wanted]
        source = np.where(inside, rows[np.maximum(known, 0)], rows[wanted])
        mended[number] = column.take(source)
    return mended, events.moved[order][first[wanted]].astype(np.int64)


def rejections(
    relation: Relation,
    fields: Sequence[Field],
    bad: Mapping[int, str],
    table: str,
    *,
    numbers: Sequence[int] | None = None,
) -> list[Rejected]:
    """The changes that a table cannot hold."""
    numbers = range(len(relation.columns)) if numbers is None else numbers
    columns = [relation.columns[number] for number in numbers]
    keyed = [place for place, number in enumerate(numbers) if number in relation.key] or list(range(len(columns)))[:1]
    found = []
    for row, why in sorted(bad.items()):
        key = ", ".join(f"{columns[place].name}={fields[place].value(row)}" for place in keyed)
        where = f"{relation.title} ({key})"
        found.append(Rejected(why, where, shown(columns, fields, row, copied=False), table))
    return found
