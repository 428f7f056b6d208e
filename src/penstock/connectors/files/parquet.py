"""Parquet: row group by row group, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.files.reading import Job, Piece, cut
from penstock.core.extras import require
from penstock.core.packed import Broken
from penstock.core.ports.data import Rejected
from penstock.core.rows import conform

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


@dataclass(frozen=True)
class Parquet:
    """Reads Parquet.

    Attributes:
        rows: how many at once.
    """

    rows: int = 64_000

    def pieces(self, job: Job) -> Iterator[Piece]:
        """See `Reader.pieces`. A row group that is damaged is one rejected record, and the next one follows."""
        with job.file:
            try:
                file = require("pyarrow.parquet", "data").ParquetFile(pa.PythonFile(job.file, mode="r"))
            except (OSError, pa.ArrowException) as error:
                raise Broken(f"it is no Parquet file, or not all of it ({_told(error)})") from None
            group, skip = job.at.get("group", 0), job.at.get("row", 0)
            for place in range(group, file.num_row_groups):
                yield from self._group(job, file, place, skip if place == group else 0)

    def _group(self, job: Job, file: Any, group: int, skip: int) -> Iterator[Piece]:
        meta = file.metadata.row_group(group)
        per_row = meta.total_byte_size / max(meta.num_rows, 1)
        done = skip
        try:
            for rows in _from(file.iter_batches(self.rows, row_groups=[group]), skip):
                done += rows.num_rows
                at = {"group": group, "row": done} if done < meta.num_rows else {"group": group + 1}
                table, rejected = self._typed(job, pa.table(rows), group, done - rows.num_rows)
                yield Piece(table, rejected, at, int(rows.num_rows * per_row))
        except (OSError, pa.ArrowException) as error:
            rest = f"its rows {done + 1} to {meta.num_rows}"
            why = f"row group {group} is damaged, and {rest} cannot be read: {_told(error)}"
            where = f"{job.label}:row group {group}"
            yield Piece(None, [Rejected(why, where, "")], {"group": group + 1}, int((meta.num_rows - done) * per_row))

    def _typed(self, job: Job, rows: pa.Table, group: int, first: int) -> tuple[pa.Table, list[Rejected]]:
        """The types that the user gave; others are those of the file."""
        given = job.types.given
        if not any(name in given for name in rows.schema.names):
            return rows, []
        fields = [pa.field(field.name, given.get(field.name, field.type)) for field in rows.schema]
        done, misfits = conform(rows, pa.schema(fields))
        where = f"{job.label}:row group {group}, row "
        raws = [(row, why, cut(str(rows.slice(row, 1).to_pylist()[0]))) for row, why in misfits]
        return done, [Rejected(why, f"{where}{first + row + 1}", raw) for row, why, raw in raws]


def _from(batches: Iterator[Any], skip: int) -> Iterator[Any]:
    for rows in batches:
        if skip >= rows.num_rows:
            skip -= rows.num_rows
            continue
        yield rows.slice(skip)
        skip = 0


def _told(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
