"""Tables of PostgreSQL, read through binary COPY."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.connectors.postgres.copying import chunks, made, shown
from penstock.connectors.postgres.link import Address, qualified
from penstock.connectors.postgres.types import Column, Types
from penstock.connectors.sql.statements import select
from penstock.connectors.sql.systems import Ask, Page, Shape, Subject, System
from penstock.core.errors import ConfigurationError
from penstock.core.extras import require
from penstock.core.ports.data import Place, Rejected
from penstock.core.sqltext import literal, quoted

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

_KEY = """
SELECT a.attname::text FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attnum = k.number
WHERE i.indrelid = to_regclass(%s) AND i.indisprimary AND a.attrelid = i.indrelid ORDER BY k.place
"""
_NUMBERS = (20, 21, 23)


class Postgres(System):
    """A table or a query of a PostgreSQL database.

    Everything that is read between `shape` and the next one is of one moment.
    """

    def __init__(self, url: str, subject: Subject) -> None:
        self._address, self._subject = Address(url), subject
        self._title = ".".join(qualified(subject.table)) if subject.table else ""
        types = {f"{self._title}.{column}": kind for column, kind in subject.types.items()}
        self._session: psycopg.Connection[Any] | None = None
        self._types = Types(self._main, types)
        self._columns: dict[str, Column] = {}
        self._snapshot = ""

    def __str__(self) -> str:
        return str(self._address)

    @property
    def place(self) -> Place:
        """See `System.place`."""
        digest = hashlib.blake2b(self._subject.query.encode(), digest_size=4).hexdigest()
        return self._address.place(self._title or f"query_{digest}")

    @property
    def _source(self) -> str:
        subject = self._subject
        return f"{quoted(*qualified(subject.table))} AS t" if subject.table else f"({subject.query}) AS t"

    def _main(self) -> psycopg.Connection[Any]:
        if self._session is None or self._session.closed:
            self._session = self._address.connect()
        return self._session

    def shape(self) -> Shape:
        """See `System.shape`."""
        self.close()
        with self._address.translated():
            session = self._main()
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            result = session.execute(f"SELECT * FROM {self._source} LIMIT 0".encode()).pgresult
            row = session.execute("SELECT pg_export_snapshot()").fetchone()
            self._snapshot = row[0] if row else ""
            assert result is not None
            found = [
                ((result.fname(place) or b"").decode(), result.ftype(place), result.fmod(place))
                for place in range(result.nfields)
            ]
            names = session.execute(
                "SELECT array_agg(format_type(oid, mod) ORDER BY place) "
                "FROM unnest(%s::oid[], %s::int4[]) WITH ORDINALITY AS t(oid, mod, place)",
                ([oid for _, oid, _ in found], [modifier for *_, modifier in found]),
            ).fetchone()
            assert names is not None
            columns = {
                name: self._types.column(self._title, name, oid, modifier, sql)
                for (name, oid, modifier), sql in zip(found, names[0], strict=True)
            }
            key = self._subject.key or self._primary_key(session)
        wanted = self._subject.columns or tuple(columns)
        if unknown := [name for name in wanted if name not in columns]:
            raise ConfigurationError(
                f"{self.place} has no column {', '.join(unknown)}.", hint=f"it has {list(columns)}"
            )
        self._columns = columns
        numbers = frozenset(name for name, column in columns.items() if column.oid in _NUMBERS)
        return Shape(tuple(wanted), key, numbers)

    def _primary_key(self, session: psycopg.Connection[Any]) -> tuple[str, ...]:
        if not self._subject.table:
            return ()
        name = quoted(*qualified(self._subject.table))
        return tuple(row[0] for row in session.execute(_KEY, [name]).fetchall())

    def pages(self, ask: Ask, *, rows: int, size: int) -> Iterator[Page]:
        """See `System.pages`."""
        wanted = [self._columns[name] for name in self._subject.columns or self._columns]
        order = [self._columns[name] for name in ask.order]
        sql = [column.selected for column in wanted]
        sql += [column.kind.shown.format(quoted("t", column.name)) for column in order]
        query = select(sql, self._source, ask, self._literal)
        with self._address.translated():
            connection = self._address.connect()
            try:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute(f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}")
                connection.execute("SET LOCAL synchronize_seqscans = off")
                for chunk in chunks(connection, query, len(sql), rows=rows, size=size):
                    if not len(chunk):
                        continue
                    fields, keys = chunk.fields[: len(wanted)], chunk.fields[len(wanted) :]
                    done = made(wanted, fields, copied=True)
                    rejected = tuple(
                        Rejected(why, f"{self.place.name} ({key})", shown(wanted, fields, row, copied=True))
                        for row, why in sorted(done.bad.items())
                        for key in [", ".join(f"{k.name}={f.value(row)}" for k, f in zip(order, keys, strict=True))]
                    )
                    last = [key.value(-1) for key in keys] if keys else None
                    yield Page(done.table, len(chunk), rejected, last, chunk.size)
            finally:
                connection.close()

    def _literal(self, column: str, value: Any) -> str:
        return f"{literal(str(value))}::{self._columns[column].sql}"

    def ends(self, column: str) -> tuple[int, int] | None:
        """See `System.ends`."""
        name = quoted("t", column)
        with self._address.translated():
            row = (
                self._main()
                .execute(f"SELECT min({name})::int8, max({name})::int8 FROM {self._source}".encode())
                .fetchone()
            )
        return None if row is None or row[0] is None else (row[0], row[1])

    def has_null(self, column: str) -> bool:
        """See `System.has_null`."""
        sql = f"SELECT EXISTS (SELECT FROM {self._source} WHERE {quoted('t', column)} IS NULL)"
        with self._address.translated():
            row = self._main().execute(sql.encode()).fetchone()
        return bool(row and row[0])

    def close(self) -> None:
        """See `System.close`."""
        if self._session is not None:
            self._session.close()
            self._session = None
