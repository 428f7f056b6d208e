"""A table or a query as a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from penstock.connectors.sql.increments import Increments
from penstock.connectors.sql.systems import Subject, System
from penstock.connectors.sql.whole import Whole
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Batch, Place, Position, Size, Source
from penstock.core.words import mistakes_told

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")


class SqlTable(Source):
    """The rows of a table, or of a query, in any database that SQLAlchemy knows.

    PostgreSQL is read through binary COPY, DuckDB hands out Arrow by itself; the others are read through their driver.
    Without `cursor` everything is read; with it, the rows that are new since the last time.

    Args:
        url: `postgresql://user:password@host/database`, `sqlite:///file.db`, `duckdb:///file.duckdb`, or another one of
            SQLAlchemy's.
        table: `schema.table`.
        query: a SELECT instead of a table.
        cursor: a column that grows from row to row or from change to change: a number, a date or a moment. Rows without
            one are refused.
        lookback: rows may appear so much later than their cursor says (a timedelta, or a number): those are still read.
            Choose it as long as transactions last.
        key: columns that tell rows apart; the primary key when left out. Rows are read in its order, so that a reading
            that was broken off goes on where it was. Without any, it goes on after as many rows as had been read, which
            is right only where the table has not changed.
        columns: read only these.
        types: what to read columns as, such as `{"total": "numeric(20, 4)"}` or `"text"`.
        partitions: how many connections read at once, each a range of the key, which must be a whole number.
        batch_rows: how many rows make a batch.
        batch_bytes: how many bytes do.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        url: str,
        table: str = "",
        *,
        query: str = "",
        cursor: str = "",
        lookback: timedelta | float = 0,
        key: str | Sequence[str] = (),
        columns: Sequence[str] = (),
        types: Mapping[str, str] | None = None,
        partitions: int = 1,
        batch_rows: int = 50_000,
        batch_bytes: int = 16_000_000,
    ) -> None:
        keys = (key,) if isinstance(key, str) and key else tuple(key)
        subject = Subject(table, query.strip().rstrip(";"), tuple(columns), keys, dict(types or {}))
        self._cursor, self._lookback, self._partitions = cursor, lookback, partitions
        self._rows, self._size = batch_rows, batch_bytes
        mistakes = list(self._mistakes(subject))
        if mistakes:
            raise ConfigurationError(mistakes_told("SqlTable", mistakes))
        self._system = _system(url, subject)

    def _mistakes(self, subject: Subject) -> Iterator[tuple[str, str]]:
        if bool(subject.table) == bool(subject.query):
            yield "table, query", "give one of them"
        if self._lookback and not self._cursor:
            yield "lookback", "needs cursor=, which says what has come when"
        if self._partitions < 1:
            yield "partitions", "must be 1 or more"
        if self._partitions > 1 and self._cursor:
            yield "partitions", "does not go together with cursor="
        needed = [*([self._cursor] if self._cursor else []), *subject.key]
        if subject.columns and (missing := [name for name in needed if name not in subject.columns]):
            yield "columns", f"must have {', '.join(missing)} too"
        for name in ("_rows", "_size"):
            if getattr(self, name) < 1:
                yield {"_rows": "batch_rows", "_size": "batch_bytes"}[name], "must be greater than 0"

    def __repr__(self) -> str:
        return f"SqlTable({str(self._system)!r}, {self.place.name!r})"

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return self._system.place

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`."""
        try:
            yield from self._read(position)
        finally:
            self._system.close()  # a transaction that is left open keeps the database from cleaning up

    def _read(self, position: Position | None) -> Iterator[Batch]:
        shape = self._system.shape()
        reading: Whole | Increments
        if self._cursor:
            if self._cursor not in shape.columns:
                raise ConfigurationError(f"{self.place} has no column {self._cursor}.")
            reading = Increments(self._system, shape, position, self._cursor, self._lookback, self._rows, self._size)
        else:
            reading = Whole(self._system, shape, position, self._partitions, self._rows, self._size)
        held: Batch | None = None
        for batch in reading.batches():
            if held is not None:
                yield held
            held = batch
        end = position if held is None and position is not None else reading.position
        yield replace(held or Batch((), end), position=end, last=True)

    def size(self, position: Position | None) -> Size:
        """See `Source.size`."""
        return Size(rows=self._system.size()) if position is None else Size()

    def close(self) -> None:
        """See `Source.close`."""
        self._system.close()


def _system(url: str, subject: Subject) -> System:
    """The fastest way of reading this database."""
    if url.startswith(_POSTGRES):
        from penstock.connectors.sql.postgres import Postgres

        return Postgres("postgresql://" + url.partition("://")[2], subject)
    if url.startswith("duckdb://"):
        from penstock.connectors.sql.duck import Duck

        return Duck(url.removeprefix("duckdb://").removeprefix("/") or ":memory:", subject)
    from penstock.connectors.sql.alchemy import Alchemy

    return Alchemy(url, subject)
