"""Schemas of several tables made into one that holds the rows of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


def union(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Every column, in the order of first appearance, with a type that takes the values of all of them.

    Numbers widen, a date and a moment become a moment, structs have the fields of both; what has nothing in common is
    text. A column that one of them does not have is nullable.
    """
    fields: dict[str, pa.Field] = {}
    seen: list[set[str]] = []
    for schema in schemas:
        for field in schema:
            known = fields.get(field.name)
            fields[field.name] = field.remove_metadata() if known is None else _wider(known, field)
        seen.append(set(schema.names))
    everywhere = set.intersection(*seen) if seen else set()
    return pa.schema([f if f.name in everywhere else f.with_nullable(True) for f in fields.values()])


def _wider(one: pa.Field, other: pa.Field) -> pa.Field:
    nullable = one.nullable or other.nullable
    if one.type == other.type:
        return one.with_nullable(nullable)
    for day, moment in ((one.type, other.type), (other.type, one.type)):
        if pa.types.is_date(day) and pa.types.is_timestamp(moment):
            return pa.field(one.name, moment, nullable)
    try:
        both = pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
    except pa.ArrowException:
        return pa.field(one.name, pa.string(), nullable)
    kind = both.field(0).type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):  # of a text and bytes; bytes may be no text
        kind = one.type if one.type == kind else other.type
    return pa.field(one.name, kind, nullable)
