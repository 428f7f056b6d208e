"""Types of columns as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_NAMES = {"text": "string", "integer": "int64", "number": "float64", "date": "date32", "boolean": "bool"}


def types_of(schema: Mapping[str, Any] | Any | None, option: str = "schema") -> dict[str, pa.DataType]:
    """Types by column.

    Args:
        schema: names of types or Arrow's own, by column; or Arrow's schema.
        option: what the argument is called, for messages.

    Raises:
        ConfigurationError: a name is that of no type.
    """
    if schema is None:
        return {}
    if not isinstance(schema, Mapping):
        return {field.name: field.type for field in schema}
    return {name: _type_of(name, kind, option) for name, kind in schema.items()}


def _type_of(name: str, kind: Any, option: str) -> pa.DataType:
    if isinstance(kind, pa.DataType):
        return kind
    try:
        if kind.replace(" ", "").startswith("decimal("):
            precision, scale = kind.partition("(")[2].rstrip(") ").split(",")
            return pa.decimal128(int(precision), int(scale))
        if kind.startswith("timestamp["):
            unit, _, zone = kind[len("timestamp[") : -1].partition(",")
            return pa.timestamp(unit.strip(), zone.strip().removeprefix("tz=") or None)
        return pa.type_for_alias(_NAMES.get(kind, kind))
    except (AttributeError, TypeError, ValueError, pa.ArrowException):
        raise ConfigurationError(
            f"{option}: {kind!r} (of {name}) is no type.",
            hint="such as int64, float64, text, bool, date32, timestamp[us], timestamp[us, UTC] or decimal(10, 2)",
        ) from None
