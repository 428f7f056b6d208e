"""Types of columns, in words; and values of rules made into values of a type."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from penstock.quality.errors import RuleProblem
from penstock.quality.rules.arguments import seconds_of

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_BEYOND = 2**63
_DAY = "%Y-%m-%d"
_MOMENTS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_MOMENTS_WITH_ZONE = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")


def family(kind: pl.DataType) -> str:
    """What values of a type are: number, text, boolean, date, datetime, time, duration, null, or the type itself."""
    if kind.is_numeric():
        return "number"
    words = {
        "String": "text", "Categorical": "text", "Enum": "text", "Boolean": "boolean", "Date": "date",
        "Datetime": "datetime", "Time": "time", "Duration": "duration", "Null": "null", "Binary": "binary",
        "List": "list", "Array": "list", "Struct": "struct",
    }  # fmt: skip
    name = type(kind).__name__
    return words.get(name, name.lower())


def words_of(kind: pl.DataType) -> set[str]:
    """Every word that a rule may have for a type."""
    found = {family(kind), type(kind).__name__.lower()}
    if kind.is_integer():
        found.add("integer")
    if kind.is_float():
        found.add("float")
    if type(kind).__name__ in ("Categorical", "Enum"):
        found.add("categorical")
    return found


def word(kind: pl.DataType) -> str:
    """The word that tells most of a type."""
    return type(kind).__name__.lower() if family(kind) in ("number", "null") else family(kind)


def as_kind(value: Any, kind: pl.DataType, column: str) -> Any:
    """A value that those of a column can be compared with.

    Raises:
        RuleProblem: they cannot.
    """
    group = family(kind)
    made = _as_number(value, kind) if group == "number" else _as_other(value, kind, group)
    if made is None:
        shown = str(value) if hasattr(value, "isoformat") else repr(value)
        raise RuleProblem(f"{column} is {word(kind)}, and cannot be compared with {shown}")
    return made


def _as_number(value: Any, kind: pl.DataType) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if kind.is_decimal():
        return value if isinstance(value, Decimal) else Decimal(repr(value))
    if kind.is_float():
        return float(value)
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _BEYOND:
        return int(value)
    return float(value) if isinstance(value, int) and not -_BEYOND <= value < _BEYOND else value


def _as_other(value: Any, kind: pl.DataType, group: str) -> Any:
    if group == "text":
        return value if isinstance(value, str) else None
    if group == "boolean":
        return value if isinstance(value, bool) else None
    if group == "binary":
        return value if isinstance(value, bytes) else None
    if group in ("date", "datetime"):
        return _as_moment(value, getattr(kind, "time_zone", None))
    if group == "time":
        return _read(time, value)
    if group == "duration":
        seconds = seconds_of(value)
        return None if seconds is None else timedelta(seconds=seconds)
    return None


def _as_moment(value: Any, zone: str | None) -> Any:
    if isinstance(value, str):
        value = _read(date, value) if len(value) == len("2026-01-31") else _read(datetime, value)
    if not isinstance(value, date):
        return None
    if not isinstance(value, datetime):
        return value if zone is None else datetime(value.year, value.month, value.day, tzinfo=_zone(zone))
    if value.tzinfo is None:
        return value if zone is None else value.replace(tzinfo=_zone(zone))
    return value.astimezone(_zone(zone)) if zone is not None else None


def _zone(name: str) -> Any:
    return UTC if name == "UTC" else ZoneInfo(name)


def _read(kind: Any, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    try:
        return kind.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def is_moment(value: Any) -> bool:
    """Whether it is a date, with or without a time."""
    return isinstance(value, date)


def as_dates(values: pl.Expr) -> pl.Expr:
    """Text as days; null where it is none. ISO 8601, without a time."""
    return values.cast(pl.String).str.to_date(_DAY, strict=False)


def as_moments(values: pl.Expr) -> pl.Expr:
    """Text as moments of UTC; null where it is none. ISO 8601, with or without a time, with or without a zone."""
    text = values.cast(pl.String)
    zoned = [text.str.to_datetime(each, time_unit="us", time_zone="UTC", strict=False) for each in _MOMENTS_WITH_ZONE]
    plain = [text.str.to_datetime(each, time_unit="us", strict=False).dt.replace_time_zone("UTC") for each in _MOMENTS]
    days = text.str.to_date(_DAY, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.coalesce([days, *plain, *zoned])
