"""The columns of a Delta table, and how they follow those of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import SchemaRefused

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

NOTHING_YET = "_penstock_no_columns_yet"
"""The only column of a table that has no rows to take columns from: Delta knows no table without columns."""


def is_new(schema: pa.Schema) -> bool:
    """Whether nothing has told the columns of this table yet."""
    return list(schema.names) == [NOTHING_YET]


def nothing() -> pa.Schema:
    """The columns of a table that has none yet."""
    return pa.schema([pa.field(NOTHING_YET, pa.bool_())])


def kept(kind: pa.DataType) -> pa.DataType | None:
    """The type of a Delta table that keeps values of this one; None where there is nothing to tell it by."""
    t = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return kept(kind.storage_type)
    if t.is_dictionary(kind):
        return kept(kind.value_type)
    if t.is_null(kind):
        return None
    if t.is_nested(kind):
        return _nested(kind)
    for test, found in (
        (t.is_uint8, pa.int16()),
        (t.is_uint16, pa.int32()),
        (t.is_uint32, pa.int64()),
        (t.is_uint64, pa.decimal128(20, 0)),
        (t.is_float16, pa.float32()),
        (t.is_date, pa.date32()),
        (_is_bytes, pa.binary()),
    ):
        if test(kind):
            return found
    if t.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if t.is_decimal(kind):
        fits = kind.precision <= 38 and 0 <= kind.scale <= kind.precision
        return pa.decimal128(kind.precision, kind.scale) if fits else pa.string()
    same = t.is_boolean(kind) or t.is_integer(kind) or t.is_floating(kind)
    return kind if same else pa.string()


def _is_bytes(kind: pa.DataType) -> bool:
    t = pa.types
    return any(test(kind) for test in (t.is_binary, t.is_large_binary, t.is_binary_view, t.is_fixed_size_binary))


def _nested(kind: pa.DataType) -> pa.DataType | None:
    t = pa.types
    if t.is_struct(kind):
        fields = [(field.name, kept(field.type)) for field in kind]
        known = [(name, found) for name, found in fields if found is not None]
        return pa.struct(known) if known else None
    if t.is_map(kind):
        return pa.map_(kept(kind.key_type) or pa.string(), kept(kind.item_type) or pa.string())
    if hasattr(kind, "value_type"):
        return pa.list_(kept(kind.value_type) or pa.string())
    return pa.string()


def named(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with the table's spelling of their columns: Delta does not tell `Id` from `id`.

    Raises:
        SchemaRefused: two columns of the rows have one name.
    """
    folded = [name.lower() for name in rows.schema.names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise SchemaRefused(
            f"Columns of the rows have the same name: {', '.join(map(repr, twice))} (Delta does not tell upper from "
            "lower case).",
            hint="rename one of them in the source",
        )
    known = {name.lower(): name for name in schema.names}
    wanted = [known.get(name.lower(), name) for name in rows.schema.names]
    return rows if wanted == list(rows.schema.names) else rows.rename_columns(wanted)


def coarse(rows: pa.Table) -> pa.Table:
    """The rows with moments to the microsecond: Delta has no finer ones."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pa.timestamp("us", field.type.tz)
            rows = rows.set_column(place, field.with_type(kind), rows.column(place).cast(kind, safe=False))
    return rows


def grown(schema: pa.Schema, rows: pa.Schema) -> pa.Schema:
    """The columns of the table, and those of the rows that it does not have; its types stay as they are."""
    fields = [] if is_new(schema) else list(schema)
    at = {field.name: place for place, field in enumerate(fields)}
    for field in rows:
        if field.name in at:
            place = at[field.name]
            fields[place] = fields[place].with_type(_wider(fields[place].type, field.type))
        elif (kind := kept(field.type)) is not None:
            fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def _wider(known: pa.DataType, new: pa.DataType) -> pa.DataType:
    """The known type with the fields that only the new one has."""
    t = pa.types
    if t.is_struct(known) and t.is_struct(new):
        names = {field.name.lower() for field in known}
        inside = {field.name: field for field in new}
        fields = [
            field.with_type(_wider(field.type, inside[field.name].type)) if field.name in inside else field
            for field in known
        ]
        for field in new:
            if field.name.lower() not in names and (kind := kept(field.type)) is not None:
                fields.append(pa.field(field.name, kind))
        return pa.struct(fields)
    if t.is_list(known) and hasattr(new, "value_type") and not t.is_map(new):
        return pa.list_(known.value_field.with_type(_wider(known.value_type, new.value_type)))
    return known


def added(before: pa.Schema, after: pa.Schema) -> dict[str, str]:
    """Columns that came, or that have more in them than before, and their types."""
    old = {} if is_new(before) else {field.name: field.type for field in before}
    return {field.name: str(field.type) for field in after if old.get(field.name) != field.type}
