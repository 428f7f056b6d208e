"""Where the columns of a query come from, as sqlglot reads it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.extras import LateExtra
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import sqlglot
    from sqlglot import exp
    from sqlglot import lineage as _lineage
    from sqlglot import schema as schemas
    from sqlglot.optimizer import qualify, scope

    from penstock.stores.elt.models import Model
else:
    sqlglot = LateExtra("sqlglot", "data")
    exp = LateExtra("sqlglot.expressions", "data")
    _lineage = LateExtra("sqlglot.lineage", "data")
    schemas = LateExtra("sqlglot.schema", "data")
    qualify = LateExtra("sqlglot.optimizer.qualify", "data")
    scope = LateExtra("sqlglot.optimizer.scope", "data")

DIALECTS = {"DuckDB": "duckdb", "PostgreSQL": "postgres"}
"""What sqlglot calls the databases."""


class Origin(NamedTuple):
    """A column of a table."""

    table: Name
    column: str


@dataclass(frozen=True)
class Lineage:
    """What a query reads, and what its columns are made of.

    Attributes:
        inputs: the tables it reads.
        columns: of its rows, in order, each with the columns that its values are made of. None where they cannot be
            told: the query is in words that the parser does not know, or a `*` stands for columns that nobody named.
        why: the columns cannot be told.
    """

    inputs: tuple[Name, ...]
    columns: dict[str, tuple[Origin, ...]] | None
    why: str = ""


class _Known:
    """Names as the warehouse has them; the parser folds some."""

    def __init__(self, tables: Iterable[Name], columns: Mapping[Name, Sequence[str]]) -> None:
        self._tables = {_folded(name): name for name in (*tables, *columns)}
        self._columns = {(name, column.lower()): column for name, own in columns.items() for column in own}

    def table(self, found: exp.Table) -> Name:
        told = Name(found.db, found.name)
        return self._tables.get(_folded(told), told)

    def column(self, table: Name, column: str) -> str:
        return self._columns.get((table, column.lower()), column)


def _folded(name: Name) -> tuple[str, str]:
    return name.schema.lower(), name.table.lower()


def statements(sql: str) -> int | None:
    """How many statements there are; None where the parser does not understand them."""
    for dialect in DIALECTS.values():
        with _quiet(), suppress(sqlglot.errors.SqlglotError):
            found = sqlglot.parse(sql, dialect=dialect)
            return sum(one is not None and not isinstance(one, exp.Semicolon) for one in found)
    return None


def lineage_of(
    model: Model, *, dialect: str = "duckdb", columns: Mapping[Name, Sequence[str]] | None = None
) -> Lineage:
    """Where the columns of a model come from.

    Args:
        model: of a task (`sql_task(...).model`) or a folder (`SqlFolder(...).models`).
        dialect: `duckdb` or `postgres`.
        columns: of tables that are read with `*`, where they are known.
    """
    tables = (*model.relations.values(), *model.sources)
    return lineage_of_query(model.query().sql, dialect=dialect, columns=columns, tables=tables)


def lineage_of_query(
    sql: str,
    *,
    dialect: str,
    columns: Mapping[Name, Sequence[str]] | None = None,
    tables: Iterable[Name] = (),
) -> Lineage:
    """Where the columns of a query come from; see `lineage_of`."""
    names = _Known(tables, columns or {})
    with _quiet():
        try:
            tree = sqlglot.parse_one(sql, dialect=dialect)
        except sqlglot.errors.SqlglotError as error:
            return Lineage((), None, f"the query is not understood: {_first_line(error)}")
        inputs = _inputs(tree, names)
        try:
            return Lineage(inputs, _columns(tree, dialect, columns or {}, names))
        except Exception as error:  # whatever the parser stumbles over, the query itself is none the worse for it
            return Lineage(inputs, None, _first_line(error))


class _Untold(Exception):
    """The columns cannot be told."""


def _inputs(tree: Any, names: _Known) -> tuple[Name, ...]:
    """Tables that stand in the query, without those that it defines itself (WITH)."""
    found: dict[Name, None] = {}
    for each in scope.traverse_scope(tree):
        for source in each.sources.values():
            if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                found[names.table(source)] = None
    return tuple(found)


def _columns(
    tree: Any, dialect: str, columns: Mapping[Name, Sequence[str]], names: _Known
) -> dict[str, tuple[Origin, ...]]:
    known: dict[str, Any] = {}
    for name, own in columns.items():
        known.setdefault(name.schema, {})[name.table] = dict.fromkeys(own, "text")
    written = [] if tree.is_star else [select.alias_or_name for select in tree.selects]
    whole = qualify.qualify(tree, dialect=dialect, schema=known or None, validate_qualify_columns=False)
    if whole.is_star:
        raise _Untold("a * stands for columns that are not known")
    root: Any = scope.build_scope(whole)
    schema = schemas.ensure_schema(known, dialect=dialect)
    told = {}
    for place, select in enumerate(whole.selects):
        node = _lineage.to_node(place, root, dialect, schema)
        origins = tuple(dict.fromkeys(_origins(node, names, dialect)))
        copied = origins[0].column if len(origins) == 1 else ""
        name = written[place] if written else select.alias_or_name
        told[copied if not written and copied.lower() == name.lower() else name] = origins
    return told


def _origins(node: Any, names: _Known, dialect: str) -> Iterator[Origin]:
    """The ends of all ways from a column."""
    for each in node.walk():
        if each.downstream:
            continue
        if isinstance(each.expression, exp.Placeholder):
            raise _Untold(f"it is not known which table the column {each.name} is of")
        if isinstance(each.expression, exp.Table):
            column = exp.to_column(each.name, dialect=dialect).name
            if column == "*":
                raise _Untold(f"a * stands for columns of {each.expression.name} that are not known")
            table = names.table(each.expression)
            yield Origin(table, names.column(table, column))


@contextmanager
def _quiet() -> Iterator[None]:
    """What the parser thinks of a query is nothing for the log."""
    log = logging.getLogger("sqlglot")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
