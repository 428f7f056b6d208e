"""Tables that are made, and grow, to fit the rows for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from penstock.core.errors import SchemaRefused
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column, fits, plain, wider
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.database import make_schema as make_schema
from penstock.stores.warehouse.names import Name, folded

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Schema: TypeAlias = Literal["evolve", "strict"]

_EXACT_IN_A_FLOAT = 1 << 53
VALID_FROM, VALID_TO, CURRENT = "valid_from", "valid_to", "is_current"
HISTORY = (VALID_FROM, VALID_TO, CURRENT)


class Fitted(NamedTuple):
    """A table as it is now, and rows whose columns it has.

    Attributes:
        rows: with the names that the table has for their columns.
        columns: of the table; none where there is no table, and no rows to make it from.
        added: columns that were added or widened, and their types.
    """

    rows: pa.Table
    columns: list[Column]
    added: dict[str, str]


def fit_table(
    database: Database,
    session: Session,
    table: Name,
    rows: pa.Table,
    *,
    schema: Schema,
    history: bool = False,
    like: Name | None = None,
) -> Fitted:
    """Make the table, add columns and widen types, as far as the rows need it and it was allowed.

    Args:
        database: which one.
        session: in a transaction.
        table: the table.
        rows: for it.
        schema: what was allowed.
        history: it keeps versions.
        like: another table, whose columns must be able to become like those of this one.

    Raises:
        SchemaRefused: the rows have columns that the table does not have and may not get, or that no table can have.
    """
    rows = _named(database, rows, table)
    columns = session.columns(table)
    wanted = _wanted(rows)
    made: dict[str, str] = {}
    if not columns or any(name not in _names(columns) for name in wanted) or _narrow(rows, columns):
        database.lock_tables(session, table)
        columns = session.columns(table)
    if not columns:
        made = _types(database, rows, wanted or rows.schema.names)
        if not made:
            return Fitted(plain(rows), [], {})
        _make(database, session, table, made, history)
        columns = session.columns(table)
    rows = spelled(database, rows, columns)
    missing = [name for name in _wanted(rows) if name not in _names(columns)]
    if missing and schema == "strict":
        raise SchemaRefused(
            f"{table} has no column {', '.join(map(repr, missing))}.",
            hint='let it be added with schema="evolve", or add it to the table',
        )
    added = _types(database, rows, missing)
    for name, sql in added.items():
        session.run(f"ALTER TABLE {table.sql} ADD COLUMN IF NOT EXISTS {quoted(name)} {sql}")
    if schema == "evolve" and not made:
        added |= _widen(database, session, table, rows, columns, like or table)
    columns = session.columns(table) if added else columns
    if unknown := [name for name in _wanted(rows) if name not in _names(columns)]:
        raise SchemaRefused(
            f"{database.kind} knows the column {unknown[0]!r} of {table} by another name.",
            hint="rename it in the source",
        )
    known = [name for name in rows.schema.names if name in _names(columns)]
    if not known:  # nothing in the rows says anything, and they are rows all the same
        return Fitted(pa.table({columns[0].name: pa.nulls(rows.num_rows)}), columns, made | added)
    return Fitted(plain(rows.select(known)), columns, made | added)


def _make(database: Database, session: Session, table: Name, types: Mapping[str, str], history: bool) -> None:
    database.make_schema(session, table.schema)
    declared = [f"{quoted(name)} {sql}" for name, sql in types.items()]
    if history:
        moment = database.sql_type(pa.timestamp("us", "UTC"))
        declared += [
            f"{quoted(VALID_FROM)} {moment} NOT NULL",
            f"{quoted(VALID_TO)} {moment}",
            f"{quoted(CURRENT)} boolean NOT NULL",
        ]
    session.run(f"CREATE TABLE IF NOT EXISTS {table.sql} ({', '.join(declared)})")


def _names(columns: Sequence[Column]) -> set[str]:
    return {column.name for column in columns}


def _named(database: Database, rows: pa.Table, table: Name) -> pa.Table:
    """The rows, where their columns can be columns of one table."""
    seen: dict[str, str] = {}
    longest = database.longest_name
    for name in rows.schema.names:
        alike = name if database.exact_names else folded(name)
        if alike in seen:
            same = "twice" if seen[alike] == name else f"beside {seen[alike]!r}, which is the same to {database.kind}"
            raise SchemaRefused(f"The rows for {table} have the column {name!r} {same}.", hint="rename one of them")
        seen[alike] = name
        if not name or any(sign in name for sign in database.not_in_names) or len(name.encode()) > longest:
            raise SchemaRefused(
                f"{database.kind} can have no column with the name {name!r}.",
                hint=f"rename it; a name has from 1 to {longest} bytes, and none of {list(database.not_in_names)}",
            )
    return rows


def spelled(database: Database, rows: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """The rows with the table's spelling of their names, where the database makes no difference."""
    if database.exact_names:
        return rows
    known = {folded(column.name): column.name for column in columns}
    return rows.rename_columns([known.get(folded(name), name) for name in rows.schema.names])


def _wanted(rows: pa.Table) -> list[str]:
    """Columns that the table must have: not those in which nothing has been yet."""
    return [field.name for field in rows.schema if not pa.types.is_null(field.type)]


def _types(database: Database, rows: pa.Table, names: Sequence[str]) -> dict[str, str]:
    kinds = {name: rows.schema.field(name).type for name in names}
    plain_kinds = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in kinds.items()}
    return {name: database.sql_type(kind) for name, kind in plain_kinds.items()}


def _narrow(rows: pa.Table, columns: Sequence[Column]) -> bool:
    """A column may have to be widened."""
    for column in columns:
        if column.form == "plain" and column.name in rows.schema.names:
            kind = wider(column.kind, rows.schema.field(column.name).type)
            if kind is not None and kind != column.kind:
                return True
    return False


def _widen(
    database: Database, session: Session, table: Name, rows: pa.Table, columns: Sequence[Column], like: Name
) -> dict[str, str]:
    """Give numbers more room where the rows need it, and nothing that is there changes."""
    widened: dict[str, str] = {}
    fixed: set[str] | None = None
    for column in columns:
        if column.form != "plain" or column.name not in rows.schema.names:
            continue
        values = rows.column(column.name)
        kind = wider(column.kind, values.type)
        if kind is None or kind == column.kind or not database.can_widen(column.kind, kind):
            continue
        if fits(values, column.kind):
            continue
        fixed = database.fixed_columns(session, like) if fixed is None else fixed
        if column.name in fixed:
            continue
        name = quoted(column.name)
        if pa.types.is_floating(kind) and not pa.types.is_floating(column.kind):
            limit = f"{name} NOT BETWEEN -{_EXACT_IN_A_FLOAT} AND {_EXACT_IN_A_FLOAT}"
            if session.rows(f"SELECT 1 FROM {table.sql} WHERE {limit} LIMIT 1"):
                continue
        widened[column.name] = database.sql_type(kind)
        database.change_type(session, table, column.name, widened[column.name])
    return widened
