"""Rows of data in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from penstock.cli.console import Column, clean, counted, text, write, write_table

if TYPE_CHECKING:
    import pyarrow as pa

_DIM = "bright_black"
_LONGEST = 60
_NULL = "null"


def write_frame(rows: pa.Table, more: str = "") -> None:
    """Write rows as a table, with the types below the names.

    Args:
        rows: all that are to be shown.
        more: what is told below them.
    """
    kinds = [str(field.type) for field in rows.schema]
    columns = [
        Column(clean(name), right=is_number(kind), least=4, leaves=place)
        for place, (name, kind) in enumerate(zip(rows.schema.names, kinds, strict=True))
    ]
    cells: list[list[Any]] = [[text((kind, _DIM)) for kind in kinds]]
    cells += [[_cell(value) for value in row] for row in zip(*(column.to_pylist() for column in rows), strict=True)]
    write_table(columns, cells)
    write(text((more or counted(rows.num_rows, "row"), _DIM)))


def is_number(kind: str) -> bool:
    """Whether values of this type stand at the right."""
    return kind.startswith(("int", "uint", "float", "double", "half", "decimal"))


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(one) for one in value]
    return str(value)


def records(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    return [{name: plain(value) for name, value in row.items()} for row in rows.to_pylist()]


def _cell(value: Any) -> Any:
    if value is None:
        return text((_NULL, _DIM))
    shown = clean(value.isoformat(" ") if isinstance(value, datetime) else value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
