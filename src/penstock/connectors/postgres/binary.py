"""From the binary form that PostgreSQL has for a value to a column of Arrow, for all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.connectors.postgres.fields import Field
from penstock.connectors.postgres.text import FIRST, LAST, Bad
from penstock.core.extras import require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

    np = require("numpy", "data")

Unpack: TypeAlias = Callable[[Field], tuple[Any, Bad]]

_EPOCH_DAYS = 10_957
_EPOCH = _EPOCH_DAYS * 86_400_000_000
"""PostgreSQL counts from the year 2000, Arrow from 1970."""
_DAY_MOST, _DAY_LEAST = 2**31 - 1, -(2**31)
_MOST, _LEAST = 2**63 - 1, -(2**63)
_FIRST, _LAST = (int(np.datetime64(text.replace(" ", "T"), "us").astype(np.int64)) for text in (FIRST, LAST))
_WHOLE_DAY = 86_400_000_000


def number(kind: str, arrow: pa.DataType) -> Unpack:
    """Numbers of a fixed size."""

    def unpack(field: Field) -> tuple[Any, Bad]:
        return _array(field, field.numbers(kind), arrow), {}

    return unpack


def boolean(field: Field) -> tuple[Any, Bad]:
    """One byte, 1 for true."""
    return _array(field, field.numbers("u1") == 1, pa.bool_()), {}


def date(field: Field) -> tuple[Any, Bad]:
    """Days."""
    days = field.numbers(">i4").astype(np.int64)
    found = np.select(
        [days == _DAY_MOST, days == _DAY_LEAST],
        [_LAST // _WHOLE_DAY, _FIRST // _WHOLE_DAY],
        days + _EPOCH_DAYS,
    )
    return _array(field, found.astype(np.int32), pa.date32()), {}


def time(field: Field) -> tuple[Any, Bad]:
    """Times of day."""
    found = field.numbers(">i8")
    late = np.flatnonzero((found >= _WHOLE_DAY) & ~field.missing)
    reason = 'no time of day in other systems; types={"table.column": "text"} keeps it'
    return _array(field, found, pa.time64("us")), {int(row): f"24:00:00 is {reason}" for row in late}


def timestamp(zone: str | None) -> Unpack:
    """Moments."""
    arrow = pa.timestamp("us", zone)

    def unpack(field: Field) -> tuple[Any, Bad]:
        found = field.numbers(">i8")
        ends = [found == _MOST, found == _LEAST]
        late = np.flatnonzero((found > _MOST - _EPOCH) & ~ends[0] & ~field.missing)
        moments = np.select(ends, [_LAST, _FIRST], np.minimum(found, _MOST - _EPOCH) + _EPOCH)
        return _array(field, moments, arrow), {int(row): _LATE for row in late}

    return unpack


def jsonb(field: Field) -> tuple[Any, Bad]:
    """A version, and the text."""
    sizes = np.where(field.missing, field.sizes, field.sizes - 1)
    return Field(field.buffer, field.starts + 1, sizes).text(), {}


_LATE = "it is later than a column of microseconds can hold"


def _array(field: Field, values: Any, arrow: pa.DataType) -> Any:
    missing = field.missing
    return pa.array(values, arrow, mask=missing if missing.any() else None)
