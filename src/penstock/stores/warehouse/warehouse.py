"""The warehouse: a database for tables that people and models read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import without_secrets
from penstock.core.connections import Connection
from penstock.core.errors import ConfigurationError, DatasetNotFound, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Place, Sink
from penstock.core.sqltext import quoted
from penstock.stores.warehouse import quarantine
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Conflict, RowsRefused, Session
from penstock.stores.warehouse.events import Events
from penstock.stores.warehouse.evolution import Schema
from penstock.stores.warehouse.landing import Layout
from penstock.stores.warehouse.made import Made
from penstock.stores.warehouse.materializing import Plan, materialize
from penstock.stores.warehouse.models import Migration, migrated
from penstock.stores.warehouse.names import Name, TableName, check, listed, parsed
from penstock.stores.warehouse.opening import database_at, url_of
from penstock.stores.warehouse.records import Records
from penstock.stores.warehouse.sinks import WarehouseSink
from penstock.stores.warehouse.ways import Mode, key_names, way_of

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

RAW, PROCESSED, ANALYTICS = "raw_data", "processed_data", "analytics"
_BATCH_ROWS = 65_536


class Warehouse:
    """A DuckDB file, a PostgreSQL database, or one in Snowflake or BigQuery.

    Args:
        url: `duckdb:///shop.duckdb`, `duckdb:////absolute/path.duckdb` or a path; or `postgresql://...`. By default
            the file `warehouse.duckdb` in Penstock's home folder. `snowflake://...`, `bigquery://...`, or a connection
            of one of these types.
        schema: of tables whose names do not say it.
        timeout_seconds: how long to wait for a connection, for a lock, or for another process that has the file.
        read_only: whatever writes is refused (by DuckDB and PostgreSQL).

    Raises:
        ConfigurationError: it is no such URL.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | Connection | None = None,
        *,
        schema: str = RAW,
        timeout_seconds: float = 30.0,
        read_only: bool = False,
    ) -> None:
        if timeout_seconds <= 0:
            raise ConfigurationError("timeout_seconds must be greater than 0.")
        check(schema)
        self._schema = schema
        found = url if isinstance(url, Connection) else url_of(url)
        self._database = database_at(found, timeout_seconds)
        self._database.read_only = read_only
        self._address = without_secrets(found) if isinstance(found, str) else str(self.place)

    def __repr__(self) -> str:
        return f"Warehouse({self.place})"

    @property
    def place(self) -> Place:
        """Where it is, without user and password."""
        return Place(self._database.namespace, self._database.place_of("").rstrip("."))

    def table(
        self,
        name: TableName,
        *,
        mode: Mode = "append",
        keys: Sequence[str] = (),
        schema: Schema = "evolve",
        changed_at: str | None = None,
    ) -> Sink:
        """A table as the end of a pipe; it and its schema are made when the first rows land.

        Args:
            name: `schema.table`.
            mode: what becomes of records: `append` adds them; `merge` keeps the last one for a key; `replace` fills a
                table beside this one, and puts its rows in the place of the old ones when everything has been read;
                `history` keeps every version of a key, with `valid_from`, `valid_to` and `is_current`.
            keys: the columns that tell a row from the others.
            schema: `evolve`: columns are added, and numbers widened; `strict`: the table stays as it is.
            changed_at: of `history`: the column that says since when a version is true; by default, the commit's time.

        Raises:
            ConfigurationError: with every mistake in the arguments.
        """
        self._database.check_mode(mode)
        found = self._name(name)
        way = way_of(str(found), mode, keys, schema, changed_at, keys_needed=mode in ("merge", "history"))
        return WarehouseSink(self._database, Layout(found.schema, found.table, way, {}, {}))

    def tables(
        self,
        schema: str | None = None,
        *,
        keys: Mapping[str, Sequence[str]] | Sequence[str] = (),
        mode: Mode = "merge",
        names: Mapping[str, str] | None = None,
        columns: Schema = "evolve",
        changed_at: str | None = None,
    ) -> Sink:
        """Several tables as the end of one pipe: all parts of a batch are committed together.

        Args:
            schema: where the tables are.
            keys: of each table, or of all of them; where there are none, those that the source tells with its changes.
            mode: as of `table`.
            names: of tables that are called otherwise in the parts; `public.orders` is `public_orders` without it.
            columns: as `schema` of `table`.
            changed_at: as of `table`.

        Raises:
            ConfigurationError: with every mistake in the arguments.
        """
        self._database.check_mode(mode)
        place = self._schema if schema is None else schema
        check(place)
        self._database.check_schema(place)
        own = dict(keys) if isinstance(keys, Mapping) else {}
        common = () if isinstance(keys, Mapping) else keys
        way = way_of(f"the tables of {place}", mode, common, columns, changed_at, keys_needed=False)
        each = {table: way_of(table, mode, some, columns, changed_at, False).keys for table, some in own.items()}
        return WarehouseSink(self._database, Layout(place, None, way, each, dict(names or {})))

    @property
    def address(self) -> str:
        """The URL without a password."""
        return self._address

    def schema(self, name: TableName) -> pa.Schema:
        """The columns of a table.

        Raises:
            DatasetNotFound: there is no such table.
        """
        with self._asked() as session:
            columns = self._columns(session, self._name(name))
        return pa.schema([pa.field(column.name, column.kind, column.nullable) for column in columns])

    def rows(
        self, name: TableName, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a table, batch by batch: at least one of them, which may be empty.

        Args:
            name: of the table.
            columns: these only.
            where: rows for which this SQL condition holds.
            limit: at most so many.

        Raises:
            DatasetNotFound: there is no such table.
            ConfigurationError: it has no such column.
        """
        table, named = self._name(name), self._database.named
        with self._asked() as session:
            there = [column.name for column in self._columns(session, table)]
            wanted = there if columns is None else list(columns)
            if unknown := [column for column in wanted if column not in there]:
                raise ConfigurationError(
                    f"{table} has no column {', '.join(map(repr, unknown))}.",
                    hint=f"it has {', '.join(map(repr, there))}",
                )
            sql = f"SELECT {', '.join(map(named, wanted))} FROM {named(table.schema, table.table)}"
            sql += f" WHERE {where}" if where is not None else ""
            sql += f" LIMIT {int(limit)}" if limit is not None else ""
            yield from session.read(sql, (), _BATCH_ROWS)

    def count(self, name: TableName) -> int:
        """How many rows a table has.

        Raises:
            DatasetNotFound: there is no such table.
        """
        table = self._name(name)
        with self._asked() as session:
            self._columns(session, table)
            sql = f"SELECT count(*) FROM {self._database.named(table.schema, table.table)}"
            return int(next(iter(session.read(sql, (), 1))).column(0)[0].as_py())

    def _columns(self, session: Session, table: Name) -> list[Column]:
        if columns := session.columns(table):
            return columns
        raise DatasetNotFound(f"There is no table {table} in {self.place}.")

    def rejected_name(self, name: TableName) -> TableName:
        """The table beside this one that has the records which could not land."""
        found = quarantine.table_of(self._database, self._name(name))
        return found.schema, found.table

    def read(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query.

        Args:
            sql: the query; `$1`, `$2`, ... stand for the values.
            values: what they stand for.

        Raises:
            DataError: the database does not execute it.
            SinkUnavailable: it cannot be reached.
        """
        return pa.Table.from_batches(list(self.stream(sql, values)))

    def stream(
        self, sql: str, values: Sequence[Any] = (), *, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a query, batch by batch: at least one of them, which may be empty.

        A DuckDB file is kept open until the last batch was taken or the iterator was closed.
        """
        with self._asked() as session:
            yield from session.read(self._database.as_written(sql), values, batch_rows)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement that gives no rows; how many it wrote."""
        with self._asked(writing=True) as session:
            return session.alone(self._database.as_written(sql), values)

    async def aread(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """`read`, for async code."""
        return await asyncio.to_thread(self.read, sql, values)

    async def aexecute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """`execute`, for async code."""
        return await asyncio.to_thread(self.execute, sql, values)

    def records(self, name: TableName) -> Records:
        """Create, read, update and delete single rows of a table."""
        return Records(self._asked, self._name(name), self._database)

    @cached_property
    def events(self) -> Events:
        """The table `analytics.fact_events`."""
        return Events(self)

    def migrate(
        self, model: type[Any], name: TableName, *, keys: Sequence[str] = (), dry_run: bool = False
    ) -> Migration:
        """Give a table the columns of a dataclass or a msgspec struct.

        Args:
            model: its fields are the columns.
            name: of the table, which is made where there is none.
            keys: the fields that tell a row from the others.
            dry_run: only tell what there is to do.

        Raises:
            SchemaRefused: with every change that would lose something; nothing was done.
        """
        table = self._name(name)
        with self._asked(writing=True) as session, session.transaction():
            return migrated(self._database, session, model, table, key_names(keys), dry_run=dry_run)

    def materialize(self, name: TableName, plan: Plan) -> Made:
        """Make a query into a table or a view, in one transaction; see `materializing.materialize`."""
        if self._database.deferred:
            raise ConfigurationError(
                f"Models in SQL are not made in {self._database.kind} yet.", hint="DuckDB and PostgreSQL have them"
            )
        return materialize(self._database, self._asked, self._name(name), plan)

    def index(self, name: TableName, columns: Sequence[str], *, unique: bool = False, called: str | None = None) -> str:
        """See that there is an index; its name.

        Args:
            name: of the table.
            columns: of the index, in its order.
            unique: no two rows have the same values.
            called: the name of the index; by default made of the table's and the columns'.
        """
        if self._database.deferred:
            raise ConfigurationError(f"{self._database.kind} has no indexes.", hint="it finds rows without them")
        table, wanted = self._name(name), key_names(columns)
        if not wanted:
            raise ConfigurationError("An index has at least one column.")
        suffix = "_".join(("", *wanted, "unique" if unique else "index"))
        made = called or table.beside("", self._database.longest_name - len(suffix.encode())).table + suffix
        check(made, self._database.longest_name)
        kind = "UNIQUE INDEX" if unique else "INDEX"
        sql = f"CREATE {kind} IF NOT EXISTS {quoted(made)} ON {table.sql} ({listed(wanted)})"
        with self._asked(writing=True) as session, session.transaction():
            session.run(sql)
        return made

    def analyze(self, name: TableName) -> None:
        """Have the figures that the planner goes by counted anew; large loads do so by themselves."""
        with self._asked(writing=True) as session:
            self._database.analyze(session, self._name(name))

    def close(self) -> None:
        """Let go of connections."""
        self._database.close()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _name(self, name: TableName) -> Name:
        """The table that is meant."""
        found = parsed(name, self._schema)
        self._database.check_schema(found.schema)
        check(found.table, self._database.longest_name)
        return found

    @contextmanager
    def _asked(self, *, writing: bool = False) -> Iterator[Session]:
        """A connection for what a user asks."""
        try:
            with self._database.session(writing=writing) as session:
                yield session
        except RowsRefused as error:
            raise SchemaRefused(f"{self._database.kind} refused: {error}") from error
        except Conflict as error:
            raise SinkUnavailable(
                f"Others changed the same rows at the same time: {error}", hint="try again"
            ) from error
