"""Tables of a DuckDB file, which hands out Arrow by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.connectors.sql.statements import select
from penstock.connectors.sql.systems import Ask, Page, Shape, Subject, System
from penstock.connectors.sql.values import packed, unpacked
from penstock.core.errors import ConfigurationError, SourceUnavailable
from penstock.core.extras import require
from penstock.core.ports.data import Place
from penstock.core.sqltext import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_KEY = """
SELECT unnest(constraint_column_names) FROM duckdb_constraints()
WHERE constraint_type = 'PRIMARY KEY' AND table_name = ? AND schema_name = ? AND database_name = current_database()
"""
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


class Duck(System):
    """A table or a query of a DuckDB database.

    Args:
        path: the file.
        subject: what is read.
    """

    def __init__(self, path: str, subject: Subject) -> None:
        self._duckdb = require("duckdb", "data")
        self._path, self._subject = path, subject
        self._types: dict[str, str] = {}
        self._connection: Any = None

    def __str__(self) -> str:
        return f"duckdb:///{self._path}"

    @property
    def place(self) -> Place:
        """See `System.place`."""
        digest = hashlib.blake2b(self._subject.query.encode(), digest_size=4).hexdigest()
        return Place("duckdb", f"{self._path}/{self._subject.table or f'query_{digest}'}")

    @property
    def _source(self) -> str:
        subject = self._subject
        return f"{quoted(*subject.table.split('.'))} AS t" if subject.table else f"({subject.query}) AS t"

    def _main(self) -> Any:
        if self._connection is None:
            self._connection = self._duckdb.connect(self._path, read_only=True)
            self._connection.execute("SET TimeZone = 'UTC'")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._duckdb.IOException as error:
            raise SourceUnavailable(f"{self} cannot be opened: {error}") from error
        except (self._duckdb.CatalogException, self._duckdb.BinderException, self._duckdb.ParserException) as error:
            raise ConfigurationError(f"{self}: {error}", hint="correct the table or the query") from error

    def shape(self) -> Shape:
        """See `System.shape`."""
        with self._translated():
            rows = self._main().execute(f"DESCRIBE SELECT * FROM {self._source}").fetchall()
            self._types = {row[0]: row[1] for row in rows}
            key = self._subject.key
            if not key and self._subject.table:
                *schema, name = self._subject.table.split(".")
                found = self._main().execute(_KEY, [name, schema[0] if schema else "main"]).fetchall()
                key = tuple(row[0] for row in found)
        wanted = self._subject.columns or tuple(self._types)
        if unknown := [name for name in wanted if name not in self._types]:
            raise ConfigurationError(f"{self.place} has no column {', '.join(unknown)}.")
        return Shape(wanted, key, frozenset(name for name, kind in self._types.items() if kind in _WHOLE))

    def pages(self, ask: Ask, *, rows: int, size: int) -> Iterator[Page]:
        """See `System.pages`."""
        columns = [self._column(name) for name in self._subject.columns or self._types]
        keys = [f'{quoted("t", name)} AS "key {place}"' for place, name in enumerate(ask.order)]
        query = select([*columns, *keys], self._source, ask, self._literal)
        with self._translated():
            cursor = self._main().cursor()
            try:
                for batch in cursor.sql(query).to_arrow_reader(rows):
                    whole = pa.Table.from_batches([batch])
                    if not whole.num_rows:
                        continue
                    last = [packed(whole[len(columns) + place][-1].as_py()) for place in range(len(keys))]
                    table = whole.select(range(len(columns)))
                    yield Page(table, table.num_rows, (), last if keys else None, table.nbytes)
            finally:
                cursor.close()

    def _column(self, name: str) -> str:
        chosen = self._subject.types.get(name)
        return f"CAST({quoted(name)} AS {chosen}) AS {quoted(name)}" if chosen else quoted(name)

    def _literal(self, column: str, value: Any) -> str:
        plain = unpacked(value) if isinstance(value, list | tuple) else value
        return f"CAST({literal(str(plain))} AS {self._types[column]})"

    def ends(self, column: str) -> tuple[int, int] | None:
        """See `System.ends`."""
        name = quoted("t", column)
        with self._translated():
            row = self._main().execute(f"SELECT min({name}), max({name}) FROM {self._source}").fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    def has_null(self, column: str) -> bool:
        """See `System.has_null`."""
        sql = f"SELECT EXISTS (SELECT 1 FROM {self._source} WHERE {quoted('t', column)} IS NULL)"
        with self._translated():
            return bool(self._main().execute(sql).fetchone()[0])

    def close(self) -> None:
        """See `System.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
