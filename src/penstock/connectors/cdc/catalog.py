"""What the database says about itself, and whether its changes can be followed at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.relations import Table
from penstock.connectors.postgres.link import qualified
from penstock.connectors.postgres.types import Types
from penstock.core.errors import ConfigurationError
from penstock.core.extras import require
from penstock.core.sqltext import quoted

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

OLDEST = 140_000
_SERVER = """
SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),
       current_setting('server_encoding'), current_user::text,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)
         OR EXISTS (SELECT FROM pg_roles WHERE rolname IN ('rds_replication', 'cloudsqlsuperuser')
                    AND pg_has_role(current_user, oid, 'MEMBER'))
"""
_TABLE = """
SELECT c.oid::int8, c.relkind::text, c.relpersistence::text, c.relreplident::text,
       has_table_privilege(c.oid, 'SELECT'),
       (SELECT i.indexrelid::int8 FROM pg_index i
        WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_COLUMNS = """
SELECT attname::text, atttypid::int8, atttypmod, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::int8::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
_KEY = """
SELECT a.attname::text FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attnum = k.number
WHERE i.indexrelid = %s::int8::oid AND a.attrelid = i.indrelid AND k.place <= i.indnkeyatts ORDER BY k.place
"""
_PUBLICATION = """
SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication WHERE pubname = %s
"""
_PUBLISHED = "SELECT schemaname::text, tablename::text, to_jsonb(t) FROM pg_publication_tables t WHERE pubname = %s"
_NO_KEY = (
    "has no primary key, so that its rows cannot be told apart; give it one, or: "
    "ALTER TABLE {0} REPLICA IDENTITY USING INDEX ...; "
    'or: ALTER TABLE {0} REPLICA IDENTITY FULL, and keys={{"{1}": [...]}} or as_changes=True'
)


@dataclass(frozen=True)
class Wanted:
    """What is to be followed.

    Attributes:
        tables: `schema.table`, as they were given.
        publication: its name.
        create: make the publication where there is none.
        keys: columns that tell rows apart, of tables whose replica identity is FULL.
        keyless: tables without a key are fine: the log is wanted, and not the tables.
    """

    tables: Sequence[str]
    publication: str
    create: bool
    keys: Mapping[str, Sequence[str]]
    keyless: bool

    @property
    def publication_sql(self) -> str:
        """SQL that makes the publication."""
        tables = ", ".join(quoted(*qualified(table)) for table in self.tables)
        name = quoted(self.publication)
        return f"CREATE PUBLICATION {name} FOR TABLE {tables} WITH (publish_via_partition_root = true)"


class Catalog:
    """Looks at a database before it is followed.

    Args:
        connection: to ask.
        types: to look up the types of columns.
        wanted: what is to be followed.
    """

    def __init__(self, connection: psycopg.Connection[Any], types: Types, wanted: Wanted) -> None:
        self._connection, self._types, self._wanted = connection, types, wanted

    def check_server(self, address: str) -> None:
        """See that the server can tell of changes.

        Raises:
            ConfigurationError: it cannot; the hint is the SQL that mends it.
        """
        found = self._connection.execute(_SERVER).fetchone()
        assert found is not None
        version, level, standby, encoding, user, replicates = found
        if version < OLDEST:
            raise ConfigurationError(f"{address} is PostgreSQL {version // 10000}; 14 or later is needed.")
        if standby:
            raise ConfigurationError(f"{address} is a standby.", hint="name the primary in the URL")
        if level != "logical":
            raise ConfigurationError(
                f"{address} does not keep what is needed to tell of changes: its wal_level is {level}.",
                hint="ALTER SYSTEM SET wal_level = 'logical', and restart the server",
            )
        if encoding == "SQL_ASCII":
            raise ConfigurationError(f"{address} does not know the encoding of its texts (SQL_ASCII).")
        if not replicates:
            raise ConfigurationError(
                f"{address}: user {user} may not follow changes.",
                hint=f"a superuser can grant it: ALTER ROLE {quoted(user)} REPLICATION",
            )

    def tables(self) -> dict[str, Table]:
        """The tables that are wanted, by title; the publication is made where there is none.

        Raises:
            ConfigurationError: some cannot be followed; every mistake is told, with the SQL that mends it.
        """
        mistakes: list[str] = []
        found: dict[str, Table] = {}
        for given in self._wanted.tables:
            schema, name = qualified(given)
            table = self._table(schema, name, mistakes)
            if table is not None:
                found[table.title] = table
        if not mistakes:
            self._ensure_publication()
            found = {title: self._published(table, mistakes) for title, table in found.items()}
        if mistakes:
            lines = "\n  ".join(dict.fromkeys(mistakes))
            raise ConfigurationError(f"These tables cannot be followed:\n  {lines}")
        return found

    def _table(self, schema: str, name: str, mistakes: list[str]) -> Table | None:
        title, sql = f"{schema}.{name}", quoted(schema, name)
        row = self._connection.execute(_TABLE, (schema, name)).fetchone()
        if row is None:
            mistakes.append(f"{title}: there is no such table")
            return None
        oid, kind, persistence, identity, may_read, index = row
        if kind not in "rp" or persistence != "p":
            mistakes.append(
                f"{title}: only tables that are neither foreign, temporary nor unlogged have a log of changes"
            )
            return None
        if not may_read:
            mistakes.append(f"{title}: it may not be read; GRANT SELECT ON {sql} TO CURRENT_USER, as its owner")
            return None
        columns = self._connection.execute(_COLUMNS, [oid]).fetchall()
        self._types.look_up([column[1] for column in columns])
        made = tuple(self._types.column(title, *column) for column in columns)
        key = self._key(title, sql, identity, index, [column.name for column in made], mistakes)
        return Table(schema, name, kind, made, key)

    def _key(
        self, title: str, sql: str, identity: str, index: int | None, names: Sequence[str], mistakes: list[str]
    ) -> tuple[str, ...]:
        chosen = tuple(self._wanted.keys.get(title, ()))
        if chosen:
            if identity != "f":
                mistakes.append(f"{title}: keys= needs ALTER TABLE {sql} REPLICA IDENTITY FULL")
            if unknown := [name for name in chosen if name not in names]:
                mistakes.append(f"{title}: keys= names {', '.join(unknown)}, and there is no such column")
            return chosen
        if identity == "n" or (identity != "f" and index is None):
            mistakes.append(
                f"{title}: it {_NO_KEY.format(sql, title)} (without, PostgreSQL refuses to change its rows)"
            )
        elif index is None and not self._wanted.keyless:
            mistakes.append(f"{title}: it {_NO_KEY.format(sql, title)}")
        if index is None:
            return ()
        return tuple(row[0] for row in self._connection.execute(_KEY, [index]).fetchall())

    def _ensure_publication(self) -> None:
        name = self._wanted.publication
        if self._connection.execute(_PUBLICATION, [name]).fetchone() is not None:
            return
        if not self._wanted.create:
            raise ConfigurationError(
                f"There is no publication {name}.", hint=f"make it: {self._wanted.publication_sql}"
            )
        try:
            self._connection.execute(self._wanted.publication_sql)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"The publication {name} cannot be made by this user: {error}",
                hint=f"let the owner of the tables make it: {self._wanted.publication_sql}",
            ) from error

    def _published(self, table: Table, mistakes: list[str]) -> Table:
        name = quoted(self._wanted.publication)
        found = self._connection.execute(_PUBLICATION, [self._wanted.publication]).fetchone()
        assert found is not None
        *kinds, via_root = found
        if not all(kinds):
            mistakes.append(
                f"{table.title}: the publication leaves something out; "
                f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')"
            )
        if table.kind == "p" and not via_root:
            mistakes.append(
                f"{table.title}: it has partitions, which the publication publishes one by one; "
                f"ALTER PUBLICATION {name} SET (publish_via_partition_root = true)"
            )
            return table
        for schema, relation, more in self._listed():
            if (schema, relation) == (table.schema, table.name):
                names = more.get("attnames")
                columns = tuple(c for c in table.columns if names is None or c.name in names)
                return Table(schema, relation, table.kind, columns, table.key, more.get("rowfilter") or "")
        mistakes.append(
            f"{table.title}: it is not in the publication; "
            f"ALTER PUBLICATION {name} ADD TABLE {quoted(table.schema, table.name)}"
        )
        return table

    def _listed(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        yield from self._connection.execute(_PUBLISHED, [self._wanted.publication]).fetchall()
