"""What a profile says of a column, in words and figures for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from penstock.quality.profiles.column import ORDERED, ColumnProfile

_LONGEST = 80
_QUANTILES = {"1 %": 0.01, "quarter": 0.25, "median": 0.5, "three quarters": 0.75, "99 %": 0.99}
_COUNTED = {
    "nan": "NaN", "positive_infinite": "infinite", "negative_infinite": "minus infinite", "zeros": "zeros",
    "negatives": "negative", "empty": "empty", "blank": "only white space", "padded": "white space at an end",
    "not_ascii": "not ASCII",
}  # fmt: skip


def shown(value: Any) -> str:
    """A value, short."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = value.isoformat(" ", "seconds") if isinstance(value, datetime) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def share_of(part: int, whole: int) -> str:
    """A fraction in per cent; what is there at all is not nothing."""
    if not whole:
        return "-"
    share = part / whole
    if 0 < share < 0.001:
        return "<0.1 %"
    return "100 %" if part == whole else f"{share * 100:.1f} %" if share else "0 %"


def distinct_of(column: ColumnProfile) -> str:
    """How many different values, and whether that is certain."""
    if column.distinct is None:
        return ""
    return f"{column.distinct:,}" if column.distinct_exact else f"≈{column.distinct:,}"


def facts_of(column: ColumnProfile) -> list[tuple[str, str]]:
    """Names and figures, those of the column's kind only."""
    made = [("type", column.type), ("rows", f"{column.rows:,}"), ("nulls", f"{column.nulls:,}")]
    if column.distinct is not None:
        error = f" (standard error {column.distinct_error:.1%})" if not column.distinct_exact else ""
        made.append(("different values", f"{distinct_of(column)}{error}"))
        made.append(("values that come once only", _unique(column)))
    made += [(told, f"{count:,}") for name, told in _COUNTED.items() if (count := getattr(column, name))]
    if column.order.word and column.values > 1:
        made.append(("order", column.order.word))
    if column.family in ORDERED and column.values:
        off = f" ranks within {column.ranks.error:.2%}" if column.ranks.error else ""
        made.append(("least", shown(column.minimum)))
        made += [(told, shown(column.quantile(at)) + off) for told, at in _QUANTILES.items()]
        made.append(("greatest", shown(column.maximum)))
    if column.family == "number" and column.mean is not None:
        made += [("mean", shown(column.mean)), ("deviation", shown(column.deviation)), ("sum", shown(column.sum))]
    if column.family in ("text", "list") and column.ranks.count:
        lengths = [column.length(at) for at in (0, 0.5, 1)]
        made.append(("length: least, median, greatest", ", ".join(f"{each:g}" for each in lengths if each is not None)))
    return [(what, told) for what, told in made if told]


def _unique(column: ColumnProfile) -> str:
    if column.unique is None:
        return "all, as far as a sample tells"
    return "all" if column.unique else ""
