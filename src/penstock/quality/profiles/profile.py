"""The profile of a table: what is in it, column by column."""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import BadData
from penstock.quality.profiles.column import ColumnProfile
from penstock.quality.profiles.moments import Correlations
from penstock.quality.profiles.reading import columns_of
from penstock.quality.running import Input, file_input, input_of

VERSION = 2
"""Of the JSON that profiles are saved as."""
_FORMAT = "penstock profile"
_WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, binascii.Error)


class Profile:
    """What a table holds.

    Attributes:
        name: of the data.
        rows: how many.
        columns: one for each column, in their order.
        correlations: of its columns of numbers.
        notes: what was done to the data so that it could be looked at.
    """

    def __init__(
        self, name: str, rows: int, columns: list[ColumnProfile], correlations: Correlations, notes: tuple[str, ...]
    ) -> None:
        self.name = name
        self.rows = rows
        self.columns = columns
        self.correlations = correlations
        self.notes = notes

    def __getitem__(self, column: str) -> ColumnProfile:
        """The profile of a column; KeyError where there is none."""
        for each in self.columns:
            if each.name == column:
                return each
        raise KeyError(column)

    @property
    def keys(self) -> list[ColumnProfile]:
        """Columns of which no value comes twice, and none is null; those that are sure of it first. Floats are none."""
        whole = [each for each in self.columns if not each.type.startswith("float") and not each.nulls]
        found = [each for each in whole if each.unique is not False and self.rows > 1]
        return sorted(found, key=lambda each: each.unique is None)

    def merge(self, other: Profile) -> Profile:
        """The profile of this table's rows and the other's rows after them.

        Raises:
            BadData: the tables do not have the same columns, or a column is of different types.
        """
        names = [each.name for each in self.columns]
        others = [each.name for each in other.columns]
        if set(names) != set(others):
            apart = sorted(set(names) ^ set(others))
            shown = ", ".join(apart[:10]) + (f" and {len(apart) - 10} more" if len(apart) > 10 else "")
            raise BadData(
                f"The profiles are of tables with different columns: {shown}.",
                hint="profiles of parts of one table can be merged; compare those of different tables with drift",
            )
        columns = [each.merge(other[each.name]) for each in self.columns]
        if self.correlations.names == other.correlations.names:
            correlations = self.correlations.merge(other.correlations)
        else:
            correlations = Correlations([])
        notes = tuple(dict.fromkeys([*self.notes, *other.notes]))
        return Profile(self.name or other.name, self.rows + other.rows, columns, correlations, notes)

    def to_json(self) -> str:
        """All of it, as JSON that `from_json` reads; the same for the same profile."""
        made = {
            "format": _FORMAT,
            "version": VERSION,
            "name": self.name,
            "rows": self.rows,
            "notes": list(self.notes),
            "columns": [each.as_dict() for each in self.columns],
            "correlations": self.correlations.as_dict(),
        }
        return msgspec.json.format(msgspec.json.encode(made), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Profile:
        """A profile that `to_json` wrote.

        Raises:
            BadData: it is none, or of another version.
        """
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadData(f"This is no saved profile: {error}.", hint=_HINT) from None
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise BadData("This is no saved profile.", hint=_HINT)
        if found.get("version") != VERSION:
            wanted = f"The profile is of version {found.get('version')!r}, and this Penstock reads {VERSION}."
            raise BadData(wanted, hint="make the profile again, or install the Penstock that wrote it")
        try:
            columns = [ColumnProfile.of_dict(each) for each in found["columns"]]
            correlations = Correlations.of_dict(found["correlations"])
            return cls(str(found["name"]), int(found["rows"]), columns, correlations, tuple(found["notes"]))
        except _WRONG as error:
            raise BadData(f"The saved profile is damaged ({type(error).__name__}: {error}).", hint=_HINT) from None

    def as_dict(self) -> dict[str, Any]:
        """What people and programs want to know, as plain values; it cannot be read again."""
        return {
            "name": self.name,
            "rows": self.rows,
            "notes": list(self.notes),
            "keys": [{"column": each.name, "proved": bool(each.unique)} for each in self.keys],
            "columns": [_told(each) for each in self.columns],
            "correlations": [
                {
                    "columns": [each.left, each.right],
                    "pearson": _rounded(each.pearson),
                    "spearman": _rounded(each.spearman),
                }
                for each in self.correlations.pairs(0.3)
            ],
            "spearman_rows": len(self.correlations.sample.drawn),
        }

    def to_html(self) -> str:
        """As one page that needs nothing from outside."""
        from penstock.quality.profiles.page import page_of

        return page_of(self)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


_HINT = "profiles are saved by `penstock quality profile FILE --out profile.json`, or by Profile.to_json()"


def profile(source: Any, *, name: str | None = None, tell: Callable[[int], None] | None = None) -> Profile:
    """Look at data, in one pass, with bounded memory.

    Args:
        source: whatever the validator takes: a frame of any library, a reader, a list of dictionaries, columns by
            name, or the path of a file, or a pattern.
        name: what the data is called.
        tell: called with the rows that were read so far.

    Raises:
        BadData: the data cannot be read.
    """
    is_file = isinstance(source, str | Path)
    with closing(file_input(source) if is_file else input_of(source)) as given:
        return profile_of(given, name or (Path(source).name if is_file else ""), tell)


def profile_of(given: Input, name: str, tell: Callable[[int], None] | None = None) -> Profile:
    """The profile of data that is open already."""
    columns, correlations, rows = columns_of(given, tell)
    return Profile(name, rows, columns, correlations, tuple(given.notes))


def _told(column: ColumnProfile) -> dict[str, Any]:
    made: dict[str, Any] = {"name": column.name, "type": column.type, "rows": column.rows, "nulls": column.nulls}
    if column.compared:
        made |= {"distinct": column.distinct, "distinct_exact": column.distinct_exact, "unique": column.unique}
        made["distinct_error"] = round(column.distinct_error, 6)
    if column.family == "number":
        counts = ("nan", "positive_infinite", "negative_infinite", "zeros", "negatives")
        made |= {each: getattr(column, each) for each in counts}
        made |= {"sum": _number(column.sum), "mean": column.mean, "deviation": column.deviation}
    if column.quantile(0.5) is not None:
        made |= {"minimum": column.minimum, "maximum": column.maximum}
        made["quantiles"] = {f"{each:g}": column.quantile(each) for each in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)}
        made["rank_error"] = column.ranks.error
        made["histogram"] = [list(each) for each in column.histogram()]
    if column.family == "text":
        made |= {each: getattr(column, each) for each in ("empty", "blank", "padded", "not_ascii")}
        made |= {"meaning": column.meaning, "minimum": column.minimum, "maximum": column.maximum}
        made["lengths"] = {"min": column.length(0), "median": column.length(0.5), "max": column.length(1)}
        made["shapes"] = [each._asdict() for each in column.shapes.top(10)]
    if column.compared:
        made["order"] = column.order.word
        made["top"] = [each._asdict() for each in column.top()]
    return made


def _number(value: int | float | None) -> int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
