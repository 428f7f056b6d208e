"""A load that replaces rows: put aside batch by batch, until its last one has come.

The batches are Parquet files beside the table, and the commits that make them count change no row of it: so a load
that was interrupted goes on where it was, also on another machine, and readers see the old rows until the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError
from penstock.core.rows import conform
from penstock.core.sqltext import quoted
from penstock.stores.lake.pipes import Attempt, Pipe
from penstock.stores.lake.quarantine import decoded, encoded
from penstock.stores.lake.schemas import nothing
from penstock.stores.lake.states import Pile, State

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_MOST_PARTITIONS = 1_000


def columns_of(state: State) -> pa.Schema:
    """The columns of the load so far."""
    if not state.columns:
        return nothing()
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(state.columns)))


def told(columns: pa.Schema) -> str:
    """Columns as a state keeps them."""
    data: bytes = columns.serialize().to_pybytes()
    return data.hex()


def put_aside(pipe: Pipe, attempt: Attempt, rows: pa.Table, pile: Pile) -> Pile:
    """Write a batch of the load; the pile with it."""
    if not rows.num_rows:
        return pile
    name = attempt.put(f"{attempt.number}.rows.parquet", encoded(rows))

    def fold(above: str, names: list[str], height: int) -> None:
        attempt.put(above, "\n".join(names).encode())

    return pile.add(name, fold)


def put_aside_before(pipe: Pipe, pile: Pile) -> list[str]:
    """All files of a load, which nobody needs when it is complete."""
    return list(pile.every(pipe.listed, 1))


def stream(pipe: Pipe, pile: Pile, rows: pa.Table, columns: pa.Schema) -> Any:
    """Everything that was put aside and then `rows`, a batch at a time, with the columns of the whole load."""

    def every() -> Iterator[pa.RecordBatch]:
        for name in pile.files(pipe.listed, 1):
            for batch in decoded(pipe.read(name)).iter_batches():
                yield from conform(pa.Table.from_batches([batch]), columns).rows.to_batches()
        yield from conform(rows, columns).rows.to_batches()

    return pa.RecordBatchReader.from_batches(columns, every())


def partitions(pipe: Pipe, pile: Pile, rows: pa.Table, by: Sequence[str]) -> str:
    """The partitions that a load has rows for, as a condition."""
    found: set[tuple[Any, ...]] = set()
    for table in (*(decoded(pipe.read(name)).read(list(by)) for name in pile.files(pipe.listed, 1)), rows):
        groups = table.select(list(by)).group_by(list(by)).aggregate([])
        found.update(tuple(row[name] for name in by) for row in groups.to_pylist())
    if len(found) > _MOST_PARTITIONS:
        raise ConfigurationError(
            f"The load has rows for {len(found):,} partitions, and overwrites at most {_MOST_PARTITIONS:,} at once.",
            hint='partition by fewer values, or take mode="replace"',
        )
    return " OR ".join(
        f"({' AND '.join(_is(name, value) for name, value in zip(by, values, strict=True))})"
        for values in sorted(found, key=repr)
    )


def _is(name: str, value: Any) -> str:
    if value is None:
        return f"{quoted(name)} IS NULL"
    if isinstance(value, bool | int):
        return f"{quoted(name)} = {str(value).lower()}"
    text = str(value).replace("'", "''")
    return f"{quoted(name)} = '{text}'"
