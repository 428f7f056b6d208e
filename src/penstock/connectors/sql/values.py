"""Values of keys and cursors as JSON, and rows by which a row is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.core.errors import BadData

if TYPE_CHECKING:
    import pyarrow as pa

_READERS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: text == "True",
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "bytes": bytes.fromhex,
    "UUID": UUID,
}


def packed(value: Any) -> list[str]:
    """A value with the name of its type.

    Raises:
        BadData: values of this type cannot tell where a reading goes on.
    """
    name = type(value).__name__
    if name not in _READERS:
        raise BadData(
            f"A value of type {name} cannot say where to go on.",
            hint="choose a column of numbers, texts, dates or moments as key and cursor",
        )
    if isinstance(value, bytes):
        return [name, value.hex()]
    return [name, value.isoformat() if isinstance(value, date | time) else str(value)]


def unpacked(given: Sequence[str]) -> Any:
    """The value again."""
    name, text = given
    return _READERS[name](text)


def before(value: Any, lookback: Any) -> Any:
    """A value that is so much earlier."""
    if isinstance(value, Decimal) and isinstance(lookback, float):
        return value - Decimal(str(lookback))
    try:
        return value - lookback if lookback else value
    except OverflowError:
        return type(value).min


def fits(value: Any, lookback: Any) -> bool:
    """Whether one can be taken from the other."""
    moments = isinstance(value, date)
    return not lookback or moments == isinstance(lookback, timedelta)


def marks(rows: pa.Table, columns: Sequence[str]) -> list[str]:
    """What each row is known by: the same for the same values in these columns."""
    values = [rows[column].to_pylist() for column in columns]
    return [hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest() for row in zip(*values, strict=True)]
