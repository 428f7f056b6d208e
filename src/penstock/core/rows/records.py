"""Records, as JSON has them, made into an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.rows.casting import fit, json_text
from penstock.core.rows.conforming import Misfit, shown, without

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


class Gathered(NamedTuple):
    """Records in two heaps.

    Attributes:
        rows: those that became rows.
        misfits: those with a value that is not of its column's type.
    """

    rows: pa.Table
    misfits: list[Misfit]


def gather(records: Sequence[Mapping[str, Any]], kinds: Mapping[str, pa.DataType] | None = None) -> Gathered:
    """One column for each name, in the order of their first appearance; a record without it has a null there.

    A column that `kinds` does not know has the type that fits all its values: a mixture becomes text (nested values and
    numbers as JSON), and so does a column without any value.
    """
    kinds = kinds or {}
    names = dict.fromkeys(name for record in records for name in record)
    reasons: dict[int, list[str]] = {}
    columns, fields = [], []
    for name in names:
        values = [record.get(name) for record in records]
        column = _known(name, values, kinds[name], reasons) if name in kinds else _free(values)
        columns.append(column)
        fields.append(pa.field(name, column.type))
    misfits = [Misfit(row, "; ".join(reasons[row])) for row in sorted(reasons)]
    table = pa.table(columns, pa.schema(fields)) if fields else pa.table({"": pa.nulls(len(records))}).select([])
    return Gathered(without(table, [misfit.row for misfit in misfits]), misfits)


def solid(kind: pa.DataType) -> pa.DataType:
    """A type that stores can keep: what is not known yet, and a struct without fields, are text."""
    if pa.types.is_null(kind) or (pa.types.is_struct(kind) and not kind.num_fields):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(solid(field.type)) for field in kind])
    return pa.list_(solid(kind.value_type)) if pa.types.is_list(kind) else kind


def _free(values: list[Any]) -> pa.Array:
    natural = _natural(values)
    if natural is not None:
        kind = solid(natural.type)
        if kind == natural.type:
            return natural
        fitted = fit(pa.chunked_array([natural]), kind)
        if not fitted.misfits:
            return fitted.values.combine_chunks()
    return pa.array([_text(value) for value in values], pa.string())


def _known(name: str, values: list[Any], kind: pa.DataType, reasons: dict[int, list[str]]) -> pa.Array:
    natural = _natural(values)
    if natural is not None:
        fitted = fit(pa.chunked_array([natural]), kind)
        column, misfits = fitted.values, fitted.misfits
    else:
        single = [fit(pa.chunked_array([_alone(value)]), kind) for value in values]
        column = pa.chunked_array([chunk for one in single for chunk in one.values.chunks], type=kind)
        misfits = [row for row, one in enumerate(single) if one.misfits]
    for row in misfits:
        reasons.setdefault(row, []).append(f"{name}: {shown(values[row])} does not fit {kind}")
    return column.combine_chunks()


def _natural(values: list[Any]) -> pa.Array | None:
    """The array that Arrow makes of them where they are of one kind; a mixture of numbers is floats."""
    try:
        made = pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None
    if pa.types.is_floating(made.type) and any(type(value) is int and abs(value) > 1 << 53 for value in values):
        return None
    return made


def _alone(value: Any) -> pa.Array:
    made = _natural([value])
    return pa.array([_text(value)], pa.string()) if made is None else made


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value)
