"""Reading the rows that are new since the last time, by a column that grows.

Rows are read from the last value on, the last value itself among them: more rows with the same value may have come.
With a lookback rows are read from so much earlier on, because some may have been committed late. What has been handed
out already is known by its mark, and left out. The position keeps the marks of the rows between the last value less the
lookback and the last value.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from penstock.connectors.sql.systems import Ask, Shape, System
from penstock.connectors.sql.values import before, fits, marks, packed, unpacked
from penstock.core.errors import BadData, ConfigurationError
from penstock.core.extras import require
from penstock.core.ports.data import Batch, Part, Position, Rejected

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

    np = require("numpy", "data")


class Increments:
    """New rows.

    Args:
        system: the database.
        shape: what is read.
        position: where to go on; None for the beginning.
        cursor: the column that grows.
        lookback: how much earlier to begin than at the last value.
        rows: how many rows make a batch.
        size: how many bytes do.
    """

    def __init__(
        self,
        system: System,
        shape: Shape,
        position: Position | None,
        cursor: str,
        lookback: Any,
        rows: int,
        size: int,
    ) -> None:
        self._system, self._shape, self._cursor, self._lookback = system, shape, cursor, lookback
        self._rows, self._size = rows, size
        self._known_by = tuple(dict.fromkeys((*shape.key, cursor))) if shape.key else shape.columns
        self._value: Any = None
        self._seen: dict[Any, Counter[str]] = {}
        self._refused: set[str] = set()
        self._met: set[str] = set()
        if position is not None:
            self._restore(position)

    def batches(self) -> Generator[Batch, None, None]:
        """The rows that have not been handed out."""
        if self._system.has_null(self._cursor):
            raise ConfigurationError(
                f"Some rows of {self._system.place} have no {self._cursor}, and would never be read.",
                hint="give them one, choose another column, or leave them out with a query: ... WHERE ... IS NOT NULL",
            )
        start = None if self._value is None else before(self._value, self._lookback)
        order = tuple(dict.fromkeys((self._cursor, *self._shape.key)))
        expected = {value: Counter(found) for value, found in self._seen.items()}
        limit = self._value
        for page in self._system.pages(Ask(order, since=(self._cursor, start)), rows=self._rows, size=self._size):
            rows = self._new(self._from(page.rows, start), limit, expected)
            self._remember(rows)
            rejected = tuple(reject for reject in page.rejected if not self._is_known(reject))
            if rows.num_rows or rejected:
                parts = (Part(rows),) if rows.num_rows else ()
                yield Batch(parts, self.position, rejected, size=page.size)
        self._refused = self._met

    @property
    def position(self) -> Position:
        """Where to go on after what was handed out."""
        value = None if self._value is None else packed(self._value)
        seen = [[packed(value), sorted(found.elements())] for value, found in sorted(self._seen.items())]
        return {"cursor": self._cursor, "value": value, "seen": seen, "refused": sorted(self._refused | self._met)}

    def _restore(self, position: Position) -> None:
        if "cursor" not in position:
            raise BadData(
                "The position in the sink is of another kind of reading.",
                hint="give the pipe another name, or restart it: restart=True reads everything again",
            )
        if position["cursor"] != self._cursor:
            raise ConfigurationError(
                f"So far the rows were read by the column {position['cursor']}, and not by {self._cursor}.",
                hint="give the pipe another name, or restart it: restart=True reads everything again",
            )
        self._refused = set(position["refused"])
        if position["value"] is not None:
            self._value = unpacked(position["value"])
            self._seen = {unpacked(value): Counter(found) for value, found in position["seen"]}

    def _from(self, rows: pa.Table, start: Any) -> pa.Table:
        """Without rows before the start: not every database compares as exactly as it keeps."""
        if start is None:
            return rows
        column = rows[self._cursor]
        return rows.filter(pc.greater_equal(column, pa.scalar(start, column.type)))

    def _new(self, rows: pa.Table, limit: Any, expected: dict[Any, Counter[str]]) -> pa.Table:
        """Without the rows that were handed out before."""
        if limit is None or not expected or not rows.num_rows:
            return rows
        column = rows[self._cursor]
        perhaps = np.flatnonzero(pc.less_equal(column, pa.scalar(limit, column.type)).to_numpy())
        if not len(perhaps):
            return rows
        some = rows.take(pa.array(perhaps))
        keep = np.ones(rows.num_rows, bool)
        for place, value, mark in zip(
            perhaps, some[self._cursor].to_pylist(), marks(some, self._known_by), strict=True
        ):
            if expected.get(value, _NONE)[mark] > 0:
                expected[value][mark] -= 1
                keep[place] = False
        return rows.filter(pa.array(keep))

    def _is_known(self, reject: Rejected) -> bool:
        """Whether a row was rejected the last time already; its cursor cannot be told, so each of them is kept once."""
        mark = hashlib.blake2b(f"{reject.where} {reject.raw}".encode(), digest_size=8).hexdigest()
        self._met.add(mark)
        return mark in self._refused

    def _remember(self, rows: pa.Table) -> None:
        """Keep the marks of the rows that may be met again."""
        if not rows.num_rows:
            return
        column = rows[self._cursor]
        last = column[-1].as_py()
        if not fits(last, self._lookback):
            raise ConfigurationError(
                f"lookback={self._lookback!r} cannot be taken from a value of {self._cursor}, such as {last!r}.",
                hint="a timedelta for dates and moments, a number for numbers",
            )
        self._value = last if self._value is None else max(self._value, last)
        start = before(self._value, self._lookback)
        self._seen = {value: found for value, found in self._seen.items() if value >= start}
        tail = rows.filter(pc.greater_equal(column, pa.scalar(start, column.type)))
        for value, mark in zip(tail[self._cursor].to_pylist(), marks(tail, self._known_by), strict=True):
            self._seen.setdefault(value, Counter())[mark] += 1


_NONE: Counter[str] = Counter()
