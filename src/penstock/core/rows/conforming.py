"""Rows made to fit a schema, and those that do not fit parted from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from penstock.core.errors import SchemaRefused
from penstock.core.rows.casting import fit

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_SHOWN = 80


class Misfit(NamedTuple):
    """A row that does not fit.

    Attributes:
        row: its place among the rows that were given.
        reason: every value of it that does not fit, and what was expected.
    """

    row: int
    reason: str


class Conformed(NamedTuple):
    """Rows in two heaps.

    Attributes:
        rows: those that fit, in their order, with the columns of the schema.
        misfits: the others, in their order.
    """

    rows: pa.Table
    misfits: list[Misfit]


def conform(
    rows: pa.Table,
    schema: pa.Schema,
    *,
    missing: Literal["null", "leave"] = "null",
    unknown: Literal["refuse", "drop"] = "refuse",
) -> Conformed:
    """Give rows the columns and types of a schema; those that cannot have them are told one by one.

    Values are cast where that changes nothing about them (see `penstock.core.rows.casting.fit`). A field that is not
    nullable takes no null.

    Args:
        rows: any table whose columns have different names.
        schema: what they shall be.
        missing: columns that the rows do not have: `null` puts nulls there; `leave` leaves them out of the result
            (for an upsert, which then leaves them as they are).
        unknown: columns that the schema does not have: `refuse` makes every row with a value there a misfit, `drop`
            leaves the column out.

    Raises:
        SchemaRefused: two columns of the rows have the same name.
    """
    twice = sorted({name for name in rows.schema.names if rows.schema.names.count(name) > 1})
    if twice:
        raise SchemaRefused(f"The rows have several columns of one name: {', '.join(twice)}.", hint="rename them")
    reasons: dict[int, list[str]] = {}
    columns, fields = [], []
    for field in schema:
        if rows.schema.get_field_index(field.name) < 0:
            if missing == "leave":
                continue
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        else:
            column = _column(rows.column(field.name), field, reasons)
        if not field.nullable:
            _tell_nulls(column, field.name, reasons)
        columns.append(column)
        fields.append(field)
    if unknown == "refuse":
        for name in rows.schema.names:
            if schema.get_field_index(name) < 0:
                _tell_unknown(rows.column(name), name, reasons)
    done = pa.table(columns, pa.schema(fields, schema.metadata)) if columns else _no_columns(rows)
    misfits = [Misfit(row, "; ".join(reasons[row])) for row in sorted(reasons)]
    return Conformed(without(done, [misfit.row for misfit in misfits]), misfits)


def without(rows: pa.Table, places: list[int]) -> pa.Table:
    """The rows that are not at these places."""
    if not places:
        return rows
    every = pa.arange(0, rows.num_rows)
    return rows.filter(pc.invert(pc.is_in(every, pa.array(places, pa.int64()))))


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = f"'{value}'" if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _column(values: pa.ChunkedArray, field: pa.Field, reasons: dict[int, list[str]]) -> pa.ChunkedArray:
    fitted = fit(values, field.type)
    told: dict[Any, str] = {}
    for row in fitted.misfits:
        value = shown(values[row].as_py())
        reason = told.setdefault(value, f"{field.name}: {value} does not fit {field.type}")
        reasons.setdefault(row, []).append(reason)
    return fitted.values


def _tell_nulls(column: pa.ChunkedArray, name: str, reasons: dict[int, list[str]]) -> None:
    if column.null_count:
        for row in pc.indices_nonzero(pc.is_null(column)).to_pylist():
            if not any(reason.startswith(f"{name}: ") for reason in reasons.get(row, ())):
                reasons.setdefault(row, []).append(f"{name}: nothing there, and it must have a value")


def _tell_unknown(values: pa.ChunkedArray, name: str, reasons: dict[int, list[str]]) -> None:
    if values.null_count < len(values):
        for row in pc.indices_nonzero(pc.is_valid(values)).to_pylist():
            reasons.setdefault(row, []).append(f"{name}: the table has no such column")


def _no_columns(rows: pa.Table) -> pa.Table:
    return rows.select([])
