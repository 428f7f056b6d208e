"""Frames of several libraries as one, and back again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.extras import require
from penstock.quality.running import input_of
from penstock.quality.running.sources import reading

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl


class Frame:
    """Rows that somebody gave, of whatever library.

    Attributes:
        rows: as Polars has them.
        notes: what was done so that they can be looked at.
    """

    def __init__(self, given: Any) -> None:
        if type(given).__module__.partition(".")[0] == "narwhals":
            given = given.to_native()
        opened = input_of(given)
        try:
            self.rows: pl.DataFrame = reading(opened.frame.collect)
        finally:
            opened.close()
        self.notes = opened.notes
        self._given = given
        self._package, self._kind = type(given).__module__.partition(".")[0], type(given).__name__

    def all(self) -> Any:
        """The rows, as they were given; of readers, which have been read now, as an Arrow table."""
        if hasattr(self._given, "read_next_batch"):
            return self.like_given(self.rows)
        return self._given

    def kept(self, keep: pl.Series) -> Any:
        """Some of the rows, as they were given."""
        given = self._given
        if self._package == "polars" and self._kind == "DataFrame":
            return given.filter(keep)
        if self._package == "pandas" and self._kind == "DataFrame":
            return given.loc[keep.to_numpy()]
        if self._package == "pyarrow" and self._kind in ("Table", "RecordBatch"):
            return given.filter(keep.to_arrow())
        if isinstance(given, Sequence) and not isinstance(given, Mapping):
            return [row for row, kept in zip(given, keep, strict=True) if kept]
        return self.like_given(self.rows.filter(keep))

    def like_given(self, rows: pl.DataFrame) -> Any:
        """Other rows in the form of those that were given; of readers and relations, as an Arrow table."""
        if self._package == "polars":
            return rows.lazy() if self._kind == "LazyFrame" else rows
        if self._package == "pandas":
            return rows.to_pandas()
        if self._package == "pyarrow" and self._kind == "RecordBatch":
            return require("pyarrow", "quality").RecordBatch.from_pydict(rows.to_dict(as_series=False))
        if isinstance(self._given, Mapping):
            return rows.to_dict(as_series=False)
        return rows.to_dicts() if isinstance(self._given, Sequence) else rows.to_arrow()
