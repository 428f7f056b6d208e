"""A table that a dataclass or a msgspec struct declares, and what has to change for it to be so."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column, is_json, is_text, is_uuid, wider
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.names import Name, check, folded

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_KINDS: dict[Any, Callable[[], Any]] = {
    bool: lambda: pa.bool_(),
    int: lambda: pa.int64(),
    float: lambda: pa.float64(),
    str: lambda: pa.string(),
    bytes: lambda: pa.binary(),
    datetime.datetime: lambda: pa.timestamp("us", "UTC"),
    datetime.date: lambda: pa.date32(),
    datetime.time: lambda: pa.time64("us"),
    datetime.timedelta: lambda: pa.duration("us"),
    decimal.Decimal: lambda: pa.decimal128(38, 9),
    uuid.UUID: lambda: pa.uuid(),
}


@dataclass(frozen=True, slots=True)
class Migration:
    """What had to be done, or would have to be.

    Attributes:
        table: its name.
        changes: in words.
        statements: in SQL.
        applied: it was done.
    """

    table: str
    changes: tuple[str, ...]
    statements: tuple[str, ...]
    applied: bool

    def __bool__(self) -> bool:
        return bool(self.changes)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: pa.DataType
    optional: bool
    default: Any = None


def migrated(
    database: Database, session: Session, model: type[Any], table: Name, keys: Sequence[str], *, dry_run: bool
) -> Migration:
    """See `Warehouse.migrate`."""
    check(table.table, database.longest_name)
    fields = _fields(model)
    names = [field.name for field in fields]
    if unknown := [key for key in keys if key not in names]:
        raise ConfigurationError(f"{model.__name__} has no field {', '.join(map(repr, unknown))}.")
    database.lock_tables(session, table)
    known = {column.name: column for column in session.columns(table)}
    plan = _Plan(database, session, table)
    if known:
        plan.compare(fields, known, keys)
    else:
        plan.make(fields, keys)
    if plan.refused:
        lines = "\n".join(f"  {line}" for line in plan.refused)
        raise SchemaRefused(
            f"{table} cannot become what {model.__name__} says without losing something:\n{lines}",
            hint="change the model, or migrate these by hand in SQL",
        )
    if not dry_run:
        for step in plan.steps:
            step()
    return Migration(str(table), tuple(plan.changes), tuple(plan.statements), not dry_run and bool(plan.changes))


class _Plan:
    """Statements, what they do in words, and what cannot be done."""

    def __init__(self, database: Database, session: Session, table: Name) -> None:
        self._database, self._session, self._table = database, session, table
        self.changes: list[str] = []
        self.statements: list[str] = []
        self.steps: list[Callable[[], object]] = []
        self.refused: list[str] = []

    def make(self, fields: Sequence[_Field], keys: Sequence[str]) -> None:
        """A table where there is none."""
        declared = [self._declared(field, keys) for field in fields]
        if keys:
            declared.append(self._database.primary_key(keys))
        self.steps.append(lambda: self._database.make_schema(self._session, self._table.schema))
        self._add(f"make the table {self._table}", f"CREATE TABLE {self._table.sql} ({', '.join(declared)})")

    def compare(self, fields: Sequence[_Field], known: Mapping[str, Column], keys: Sequence[str]) -> None:
        """A table that is there."""
        rows = bool(self._session.rows(f"SELECT 1 FROM {self._table.sql} LIMIT 1"))
        exact = self._database.exact_names
        spelled = {name if exact else folded(name): name for name in known}
        for field in fields:
            at = spelled.get(field.name if exact else folded(field.name))
            if at is None:
                self._added(field, rows, keys)
            else:
                self._changed(field, known[at], keys)

    def _added(self, field: _Field, rows: bool, keys: Sequence[str]) -> None:
        if field.name in keys:
            self.refused.append(f"{field.name}: a key cannot be added to a table that is there")
        elif rows and not field.optional and field.default is None:
            self.refused.append(f"{field.name}: it is required, and the rows that are there have none; give a default")
        else:
            sql = self._database.sql_type(field.kind)
            self._add(
                f"add the column {field.name} {sql}",
                f"ALTER TABLE {self._table.sql} ADD COLUMN {quoted(field.name)} {sql}{_default(field)}",
            )
            if not field.optional:
                self._null(field.name, "SET")

    def _changed(self, field: _Field, column: Column, keys: Sequence[str]) -> None:
        name, sql = column.name, self._database.sql_type(field.kind)
        if sql.lower() != column.sql.lower() and not self._alike(field.kind, column):
            wide = _widened(column, field.kind)
            if wide is None or not self._database.can_widen(column.kind, wide):
                self.refused.append(f"{name}: {column.sql} cannot become {sql} for certain")
                return
            if name in self._database.fixed_columns(self._session, self._table):
                self.refused.append(f"{name}: a view or an index depends on it, and it cannot become {sql} meanwhile")
                return
            self.changes.append(f"widen {name} from {column.sql} to {sql}")
            self.statements.append(f"ALTER TABLE {self._table.sql} ALTER COLUMN {quoted(name)} TYPE {sql}")
            self.steps.append(lambda: self._database.change_type(self._session, self._table, name, sql))
        if field.optional and not column.nullable and name not in keys:
            self._add(f"let {name} be empty", self._null_statement(name, "DROP"))
        elif not field.optional and column.nullable:
            empty = f"SELECT 1 FROM {self._table.sql} WHERE {quoted(name)} IS NULL LIMIT 1"
            if self._session.rows(empty):
                self.refused.append(f"{name}: it is required, and empty in some rows")
            else:
                self._null(name, "SET")

    def _alike(self, kind: pa.DataType, column: Column) -> bool:
        if is_json(kind):
            return column.form == "json"
        if is_uuid(kind):
            return column.form == "uuid"
        return column.form == "plain" and (column.kind == kind or (is_text(kind) and is_text(column.kind)))

    def _null(self, name: str, verb: str) -> None:
        self._add(f"let {name} not be empty", self._null_statement(name, verb))

    def _null_statement(self, name: str, verb: str) -> str:
        return f"ALTER TABLE {self._table.sql} ALTER COLUMN {quoted(name)} {verb} NOT NULL"

    def _declared(self, field: _Field, keys: Sequence[str]) -> str:
        needed = "" if field.optional and field.name not in keys else " NOT NULL"
        return f"{quoted(field.name)} {self._database.sql_type(field.kind)}{_default(field)}{needed}"

    def _add(self, change: str, statement: str) -> None:
        self.changes.append(change)
        self.statements.append(statement)
        self.steps.append(lambda: self._session.run(statement))


def _widened(column: Column, kind: pa.DataType) -> pa.DataType | None:
    """The kind, where a column can become of it without losing anything."""
    t = pa.types
    if column.form != "plain":
        return kind if is_text(kind) and column.form in ("json", "uuid") else None
    if is_text(kind):
        numbers = t.is_integer(column.kind) or t.is_floating(column.kind) or t.is_decimal(column.kind)
        return kind if numbers or t.is_date(column.kind) or t.is_boolean(column.kind) else None
    large = (t.is_int64(column.kind) or t.is_uint64(column.kind)) and t.is_floating(kind)
    return kind if not large and wider(column.kind, kind) == kind else None


def _default(field: _Field) -> str:
    value = field.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return f" DEFAULT {str(value).lower()}"
    if isinstance(value, (int, float, decimal.Decimal)):
        return f" DEFAULT {value}"
    text = str(value).replace("'", "''")
    return f" DEFAULT '{text}'"


def _fields(model: type[Any]) -> list[_Field]:
    """The columns that a class declares."""
    defaults = _defaults(model)
    hints = typing.get_type_hints(model, include_extras=True)
    mistakes, fields = [], []
    for name, default in defaults.items():
        check(name)
        try:
            kind, optional = _kind(hints[name])
        except ValueError as error:
            mistakes.append(f"  {name}: {error}")
            continue
        fields.append(_Field(name, kind, optional, default if isinstance(default, _SIMPLE) else None))
    if mistakes:
        raise ConfigurationError(f"{model.__name__} cannot be a table:\n" + "\n".join(mistakes))
    if not fields:
        raise ConfigurationError(f"{model.__name__} has no fields.")
    return fields


_SIMPLE = (bool, int, float, str, decimal.Decimal)


def _defaults(model: type[Any]) -> dict[str, Any]:
    """Every field and its default; None where it has none."""
    if dataclasses.is_dataclass(model):
        missing = dataclasses.MISSING
        return {f.name: None if f.default is missing else f.default for f in dataclasses.fields(model)}
    names: tuple[str, ...] = getattr(model, "__struct_fields__", ())
    if not names:
        raise ConfigurationError(f"{model!r} declares no table.", hint="use a dataclass or a msgspec.Struct")
    given = getattr(model, "__struct_defaults__", ())
    defaults: dict[str, Any] = dict.fromkeys(names)
    return defaults | dict(zip(names[len(names) - len(given) :], given, strict=True))


def _kind(hint: Any) -> tuple[pa.DataType, bool]:
    """The type of a column, and whether it may be empty.

    Raises:
        ValueError: no column can be of this type.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        digits = [extra for extra in inner[1:] if isinstance(extra, tuple) and len(extra) == 2]
        if inner[0] is decimal.Decimal and digits:
            return pa.decimal128(*digits[0]), False
        return _kind(inner[0])
    if origin in (typing.Union, types.UnionType):
        others = [one for one in inner if one is not type(None)]
        if len(others) == 1:
            return _kind(others[0])[0], len(others) < len(inner)
        raise ValueError(f"{hint} is several types")
    if origin is Literal:
        return _kind(type(inner[0]))
    if origin in (list, tuple, set, frozenset, Sequence) and inner:
        return pa.list_(_kind(inner[0])[0]), False
    if hint in _KINDS:
        return _KINDS[hint](), False
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _kind(type(next(iter(hint)).value))
    if (
        hint in (dict, list, Any)
        or origin is dict
        or dataclasses.is_dataclass(hint)
        or hasattr(hint, "__struct_fields__")
    ):
        return pa.json_(), hint is Any
    raise ValueError(f"there is no type of column for {hint}")
