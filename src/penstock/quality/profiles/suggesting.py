"""Rules that a profile suggests, each with its reason. The data that was looked at follows all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from penstock.core.extras import require
from penstock.quality.profiles.column import ColumnProfile
from penstock.quality.profiles.keys import MOST_PAIRS, pairs_of_keys
from penstock.quality.profiles.looks import looks
from penstock.quality.profiles.profile import Profile, profile_of
from penstock.quality.profiles.suggestion import FEWEST, MINORITY, Suggestion, mostly
from penstock.quality.rules import Configuration, Rule
from penstock.quality.running import Input, file_input, input_of, renamed, run

_MARGIN = 0.1
_AS_WORD = {"date", "datetime", "time", "duration", "boolean", "text", "list", "struct", "binary"}


class Suggestions:
    """Rules for a table.

    Attributes:
        name: of the data.
        suggestions: rules with their reasons.
    """

    def __init__(self, name: str, suggestions: Sequence[Suggestion]) -> None:
        self.name = name
        self.suggestions = tuple(suggestions)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What `DataValidator` takes."""
        return tuple(each.rule for each in self.suggestions)

    def to_yaml(self) -> str:
        """A file of rules, with the reasons as comments."""
        yaml = require("yaml", "quality")

        def line(value: Any) -> str:
            written: str = yaml.safe_dump(
                value, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True
            )
            return written.strip().removesuffix("...").strip()

        lines = [f"name: {line(self.name)}"] if self.name else []
        lines.append("rules:" if self.suggestions else "rules: []")
        for each in self.suggestions:
            lines += [f"  # {_printable(each.reason)}", f"  - {line(each.rule.as_config())}"]
        return "\n".join(lines) + "\n"


def suggest(source: Any, *, name: str | None = None) -> Suggestions:
    """Rules that data suggests. They are few and careful: they say what would be strange if it were otherwise.

    Rules that nearly all rows follow hold `mostly`, and warn: rows that do not follow them are worth a look. Of data
    (not of a profile) every rule is checked before it is suggested, and uniqueness is proved however large it is.

    Args:
        source: a profile, or whatever the validator takes.
        name: what the data is called.

    Raises:
        BadData: the data cannot be read.
    """
    if isinstance(source, Profile):
        return Suggestions(name or source.name, list(_suggested(source, proved=True)))
    is_file = isinstance(source, str | Path)
    with closing(file_input(source) if is_file else input_of(source)) as given:
        called = name or (Path(source).name if is_file else "")
        found = profile_of(given, called)
        kept = _followed(given, list(_suggested(found, proved=False)))
        if not any(each.rule.kind == "unique" for each in kept):
            kept += _followed(given, pairs_of_keys(given, found))[:MOST_PAIRS]
        return Suggestions(called, kept)


def _followed(given: Input, candidates: list[Suggestion]) -> list[Suggestion]:
    if not candidates:
        return []
    configuration = Configuration(tuple(each.rule for each in candidates), samples=0)
    report = run(given, configuration, {}, statistics=False)
    return [each for each, result in zip(candidates, report.results, strict=True) if result.good]


def _suggested(found: Profile, *, proved: bool) -> Iterator[Suggestion]:
    again = renamed([each.name for each in found.columns])  # names that nobody else gives them
    columns = [each for each in found.columns if each.name and each.name not in again]
    names = [each.name for each in columns]
    if names:
        rule = Rule("columns_match", tuple(names), {"exact": False})
        yield Suggestion(rule, f"there are {len(names)} columns" if len(names) > 1 else "there is one column")
    if found.rows:
        told = f"there are {found.rows:,} rows" if found.rows > 1 else "there is one row"
        yield Suggestion(Rule("row_count", (), {"min": 1}), told)
    for column in columns:
        for make in (_type, _nulls, _range, _order, looks):
            yield from make(column)
        yield from _unique(column, proved)


def _type(column: ColumnProfile) -> Iterator[Suggestion]:
    if column.family == "number":
        whole = column.type.startswith(("int", "uint"))
        kind = "integer" if whole else "number"
    elif column.family in _AS_WORD:
        kind = column.family
    else:
        return
    yield Suggestion(Rule("type", (column.name,), {"types": kind}), f"it is {column.type}")


def _nulls(column: ColumnProfile) -> Iterator[Suggestion]:
    if not column.values:
        return
    rule = Rule("not_null", (column.name,))
    if not column.nulls:
        several = column.rows > 1
        yield Suggestion(rule, f"none of {column.rows:,} rows is without a value" if several else "the row has a value")
    elif column.rows >= FEWEST and column.null_share <= MINORITY:
        yield mostly(rule, 1 - column.null_share, f"{column.null_share:.2%} of the rows are without a value")


def _range(column: ColumnProfile) -> Iterator[Suggestion]:
    if column.values < FEWEST or column.lowest is None:
        return
    if column.family in ("date", "datetime"):
        least = column.minimum
        if isinstance(least, date) and least.year > 1:
            day = (least.date() if isinstance(least, datetime) else least) - timedelta(days=1)
            yield Suggestion(Rule("between", (column.name,), {"min": day}), f"the first is {least}")
    elif column.family == "number" and not (column.nan or column.positive_infinite or column.negative_infinite):
        if not column.type.startswith(("int", "uint")):
            yield Suggestion(Rule("finite", (column.name,)), "there is no NaN, and nothing is infinite")
        low, high = outward(column.lowest, column.highest)
        if low is None or high is None:
            return
        grows = column.order.strictly and column.order.word is not None
        limits = {"min": low} if grows else {"min": low, "max": high}
        told = f"values are from {column.lowest:,} to {column.highest:,}"
        yield Suggestion(Rule("between", (column.name,), limits), told)


def outward(low: float, high: float) -> tuple[Any, Any]:
    """Bounds, rounded, with a tenth of the values' range around them, neither beyond zero.

    Whole numbers have whole bounds; None where they would not be finite.
    """
    spread = high - low or abs(high) or 1
    if not math.isfinite(spread) or not 1e-300 < spread < 1e300:
        return None, None
    digits = 1 - math.floor(math.log10(spread))
    least: float
    most: float
    if isinstance(low, int) and isinstance(high, int):
        unit, tenth = 10 ** max(-digits, 0), -(-int(spread) // 10)
        least, most = (low - tenth) // unit * unit, -(-(high + tenth) // unit) * unit
    else:
        wide, step = spread * _MARGIN, 10.0**-digits
        least, most = (
            round(math.floor((low - wide) / step) * step, digits),
            round(math.ceil((high + wide) / step) * step, digits),
        )
    least, most = (max(least, 0) if low >= 0 else least), (min(most, 0) if high <= 0 else most)
    return (least, most) if least <= low and most >= high else (None, None)


def _order(column: ColumnProfile) -> Iterator[Suggestion]:
    word = column.order.word
    whole = column.type.startswith(("int", "uint")) or column.family in ("date", "datetime")
    if not word or word == "constant" or column.values < FEWEST or not whole:
        return
    kind = "increasing" if word.endswith("increasing") else "decreasing"
    arguments = {"strictly": True} if column.order.strictly else {}
    yield Suggestion(Rule(kind, (column.name,), arguments, "warning"), f"each value is {_step(word)} the one before")


def _step(word: str) -> str:
    steps = {"strictly increasing": "more than", "increasing": "not less than", "strictly decreasing": "less than"}
    return steps.get(word, "not more than")


def _unique(column: ColumnProfile, proved: bool) -> Iterator[Suggestion]:
    floats = column.family == "number" and not column.type.startswith(("int", "uint"))
    if column.values < FEWEST or floats or column.family in ("boolean", "null"):
        return
    if column.unique or (column.unique is None and not proved):
        yield Suggestion(Rule("unique", (column.name,)), f"all of {column.values:,} values are different")


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
