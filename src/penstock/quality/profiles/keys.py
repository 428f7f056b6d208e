"""Pairs of columns that may tell rows apart, where no single column does."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from penstock.quality.profiles.column import ColumnProfile
from penstock.quality.profiles.profile import Profile
from penstock.quality.profiles.suggestion import FEWEST, Suggestion
from penstock.quality.rules import Rule
from penstock.quality.running import Input, renamed
from penstock.quality.running.sources import reading

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

MOST_PAIRS = 3
_MOST_TRIED = 12
_MOST_COLUMNS = 16
_LOOKED_AT = 50_000
_FIT = frozenset({"number", "text", "date", "datetime"})


def pairs_of_keys(given: Input, found: Profile) -> list[Suggestion]:
    """Pairs of which no two of the first rows have the same values; whether that holds for all rows is to be checked.

    Columns with nulls, floats and what holds a single value are no part of a key. Columns that come first in the table
    are looked at first, as keys stand there.
    """
    again = renamed([each.name for each in found.columns])
    columns = [each for each in found.columns if each.name and each.name not in again and _fits(each)]
    pairs = [(one, two) for one, two in combinations(columns[:_MOST_COLUMNS], 2) if _enough(one, two, found.rows)]
    if not pairs:
        return []
    names = list(dict.fromkeys(each.name for pair in pairs for each in pair))
    head = reading(lambda: given.frame.select(names).head(_LOOKED_AT).collect(engine="streaming"))
    apart = (
        pair for pair in pairs if head.select(pl.struct(each.name for each in pair).n_unique()).item() == len(head)
    )
    return [_suggestion(*pair) for pair, _ in zip(apart, range(_MOST_TRIED), strict=False)]


def _fits(column: ColumnProfile) -> bool:
    return (
        column.family in _FIT
        and not column.type.startswith("float")
        and not column.nulls
        and column.values >= FEWEST
        and (column.distinct or 0) > 1
    )


def _enough(one: ColumnProfile, two: ColumnProfile, rows: int) -> bool:
    """Whether so many pairs of values exist; the different values are an estimate."""
    return float(one.distinct or 0) * float(two.distinct or 0) * 1.1 >= rows


def _suggestion(one: ColumnProfile, two: ColumnProfile) -> Suggestion:
    rule = Rule("unique_together", (one.name, two.name))
    return Suggestion(
        rule, f"no two rows have the same {one.name} and {two.name}, and no column alone tells them apart"
    )
