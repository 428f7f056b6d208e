"""Rules on texts that a profile suggests: sets of values, shapes, meanings, lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from penstock.quality.profiles.column import ColumnProfile
from penstock.quality.profiles.frequent import LONGEST
from penstock.quality.profiles.suggestion import FEWEST, MINORITY, Suggestion, mostly
from penstock.quality.profiles.texts import LONG, MISSING, PATTERNS, runs_of
from penstock.quality.rules import Rule, Severity

_SURE_SET = 12
_SURE_COUNT = 20
_MOST_IN_SET = 100
_AVERAGE = 10
_TWICE = 3
_MOST_SHAPES = 5
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")
_EDGE = r"^[ \t\n\x0b\x0c\r]|[ \t\n\x0b\x0c\r]$"


class _Usual(NamedTuple):
    """What most values are, and which share of them."""

    values: list[Any]
    share: float


def looks(column: ColumnProfile) -> Iterator[Suggestion]:
    """Rules on the looks of a column of text."""
    if column.family != "text" or column.values < FEWEST:
        return
    yield from _missing(column)
    yield from _padded(column)
    found = next(filter(None, (make(column) for make in (_one_shape, _meaning, _set, _shapes))), None)
    if found is not None:
        yield found
    else:
        yield from _length(column)


def _usual(counts: list[tuple[Any, int]], total: int) -> _Usual | None:
    """Values that come again and again, where nearly all do: a slip of the pen comes once or twice."""
    kept = [(value, count) for value, count in counts if count >= _TWICE]
    share = sum(count for _, count in kept) / total
    return _Usual([value for value, _ in kept], share) if kept and share >= 1 - MINORITY else None


def _judged(rule: Rule, usual: _Usual, told: str, severity: Severity = "error") -> Suggestion:
    if usual.share >= 1:
        return Suggestion(Rule(rule.kind, rule.columns, rule.arguments, severity), f"all values are {told}")
    return mostly(rule, usual.share, f"{_percent(usual.share)} of the values are {told}")


def _percent(share: float) -> str:
    return f"{math.floor(share * 10_000) / 100:g} %"


def _set(column: ColumnProfile) -> Suggestion | None:
    """One of a few values, each of which comes again and again."""
    if not column.frequent.exact or (column.length(1) or 0) > LONGEST:
        return None
    counts = column.frequent.counts()
    usual = _usual(counts, column.values)
    if usual is None or len(usual.values) > _MOST_IN_SET or column.values < _AVERAGE * len(usual.values):
        return None
    sure = len(counts) <= _SURE_SET and min(count for _, count in counts) >= _SURE_COUNT
    told = f"one of {len(usual.values)}" if len(usual.values) > 1 else "the same"
    rule = Rule("in_set", (column.name,), {"values": sorted(usual.values)})
    return _judged(rule, usual, told, "error" if sure else "warning")


def _one_shape(column: ColumnProfile) -> Suggestion | None:
    """One shape with digits, such as that of a code or a number of a given length."""
    if not column.shapes.exact:
        return None
    usual = _usual(column.shapes.counts()[:1], column.values)
    if usual is None or "9" not in usual.values[0]:
        return None
    return _like(column, usual, _exactly, usual.values)


def _meaning(column: ColumnProfile) -> Suggestion | None:
    """What nearly all texts stand for, words for nothing left out of the count."""
    nothing = sum(count for _, count in _words_for_nothing(column))
    for kind, pattern in PATTERNS.items():
        fits = column.kinds.found[kind]
        if column.kinds.share(kind) and fits >= (1 - MINORITY) * (column.values - nothing):
            rule = Rule("matches", (column.name,), {"pattern": pattern})
            share = fits / column.values if column.kinds.looked_at[kind] == column.values else 0.0
            return _judged(rule, _Usual([kind], share), f"of the kind: {kind}") if share else None
    return None


def _shapes(column: ColumnProfile) -> Suggestion | None:
    """A few shapes, runs of letters and digits being of any length."""
    if not column.shapes.exact:
        return None
    counts: dict[str, int] = {}
    for shape, count in column.shapes.counts():
        counts[runs_of(shape)] = counts.get(runs_of(shape), 0) + count
    usual = _usual(sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:_MOST_SHAPES], column.values)
    if usual is None or LONG in usual.values or all(each in ("a", "A", "Aa", "") for each in usual.values):
        return None
    return _like(column, usual, _of_any_length, usual.values)


def _like(
    column: ColumnProfile, usual: _Usual, written: Callable[[str, bool], str], shapes: list[str]
) -> Suggestion | None:
    if LONG in shapes:
        return None
    patterns = [f"^{written(shape, bool(column.not_ascii))}$" for shape in shapes]
    rule = Rule("matches", (column.name,), {"pattern": patterns[0] if len(patterns) == 1 else patterns})
    return _judged(rule, usual, f"like {' or '.join(shape or 'nothing' for shape in shapes)}")


def _classes(beyond_ascii: bool) -> dict[str, str]:
    if beyond_ascii:
        return {"A": r"\p{L}", "a": r"\p{L}", "9": r"\p{Nd}"}
    return {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}


def _exactly(shape: str, beyond_ascii: bool) -> str:
    """`AA-9` as `[A-Z]{2}-[0-9]`."""
    made, place, classes = "", 0, _classes(beyond_ascii)
    while place < len(shape):
        sign = shape[place]
        length = len(shape) - place - len(shape[place:].lstrip(sign))
        one = classes.get(sign) or _escaped(sign)
        made += one if length == 1 else f"{one}{{{length}}}"
        place += length
    return made


def _of_any_length(shape: str, beyond_ascii: bool) -> str:
    classes = _classes(beyond_ascii)
    return "".join(f"{classes[sign]}+" if sign in classes else _escaped(sign) for sign in shape)


def _escaped(sign: str) -> str:
    return f"\\{sign}" if sign in _SPECIAL else sign


def _missing(column: ColumnProfile) -> Iterator[Suggestion]:
    """Words for what is not there, in a column where most values are there."""
    found = _words_for_nothing(column)
    share = sum(count + column.frequent.error for _, count in found) / column.values
    if found and share < 0.5 and (column.distinct or 0) > len(found):
        words = sorted(value for value, _ in found)
        rule = Rule("not_in_set", (column.name,), {"values": words})
        yield mostly(rule, 1 - share, f"{_percent(share)} of the values stand for nothing: {', '.join(words)}")


def _words_for_nothing(column: ColumnProfile) -> list[tuple[str, int]]:
    return [(value, count) for value, count in column.frequent.counts() if value.strip().lower() in MISSING]


def _padded(column: ColumnProfile) -> Iterator[Suggestion]:
    share = column.padded / column.values
    rule = Rule("not_matches", (column.name,), {"pattern": _EDGE}, name=f"no white space around {column.name}")
    if not column.padded:
        yield Suggestion(rule, "no value begins or ends with white space")
    elif share <= MINORITY:
        yield mostly(rule, 1 - share, f"{_percent(share)} of the values begin or end with white space")


def _length(column: ColumnProfile) -> Iterator[Suggestion]:
    longest = int(column.length(1) or 0)
    if longest:
        limits = {"min": 1, "max": 2 * longest} if not column.empty else {"max": 2 * longest}
        shortest = "" if column.empty else "none is empty, and "
        yield Suggestion(Rule("length", (column.name,), limits), f"{shortest}the longest has {longest:,} characters")
