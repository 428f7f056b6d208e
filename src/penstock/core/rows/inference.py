"""The type of a column of text: what every value of it reads as.

A number with zeros before it (`00120`) or with more digits than an integer has room for is text: it names something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.rows.casting import fit

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_TRIED_FIRST = 64
_DATE = r"\d{4}-\d\d-\d\d"
_CLOCK = r"[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"
_WHOLE = r"-?(0|[1-9]\d{0,18})"
_FRACTION = r"-?(0|[1-9]\d{0,17})?(\.\d+)?([eE][+-]?\d{1,3})?"


def kinds_of(rows: pa.Table) -> dict[str, pa.DataType]:
    """The type of each column of a table of text."""
    return {name: kind_of(rows.column(place)) for place, name in enumerate(rows.schema.names)}


def kind_of(values: pa.ChunkedArray) -> pa.DataType:
    """Integer, float, truth value (`true`, `false`), date, moment, or text. Text as well where there are only nulls."""
    present = values.drop_null()
    if len(present):
        for pattern, kind in _readings():
            if _all(present[:_TRIED_FIRST], pattern) and _all(present, pattern) and not fit(present, kind).misfits:
                return kind
    return pa.string()


def _readings() -> tuple[tuple[str, pa.DataType], ...]:
    return (
        (_WHOLE, pa.int64()),
        (rf"{_FRACTION}", pa.float64()),
        (r"(?i:true|false)", pa.bool_()),
        (_DATE, pa.date32()),
        (rf"{_DATE}{_CLOCK}", pa.timestamp("us")),
        (rf"{_DATE}{_CLOCK}{_ZONE}", pa.timestamp("us", "UTC")),
    )


def _all(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, f"^(?:{pattern})$")).as_py())
