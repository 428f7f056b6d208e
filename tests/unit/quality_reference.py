"""What rules mean, said once more in plain Python over a list of rows: slow, and easy to believe."""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from penstock.quality import Rule

Row = dict[str, Any]
Found = tuple[set[int], set[int]]
"""The rows that do not follow a rule, and those that are left out."""


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def within(value: Any, given: Any) -> bool:
    least, most = given.get("min"), given.get("max")
    if is_nan(value):
        return False
    if least is not None and (value <= least if given.get("strict_min") else value < least):
        return False
    return not (most is not None and (value >= most if given.get("strict_max") else value > most))


def same(left: Any, right: Any) -> bool:
    return (is_nan(left) and is_nan(right)) or left == right


def _each(good: Callable[[Any, Any], bool]) -> Callable[[Rule, list[Row], list[int]], Found]:
    def check(rule: Rule, rows: list[Row], places: list[int]) -> Found:
        column = rule.columns[0]
        ignored = {place for place in places if rows[place][column] is None}
        return {p for p in places if p not in ignored and not good(rows[p][column], rule.arguments)}, ignored

    return check


def _length(value: Any, given: Any) -> bool:
    if "equals" in given:
        return len(value) == given["equals"]
    return within(len(value), given)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(value: Any, given: Any) -> bool:
    found = [re.search(each, value) is not None for each in _listed(given["pattern"])]
    return all(found) if given.get("match_on") == "all" else any(found)


def like(value: str, pattern: str) -> bool:
    """SQL's LIKE, character by character."""
    if not pattern:
        return not value
    if pattern[0] == "%":
        return any(like(value[start:], pattern[1:]) for start in range(len(value) + 1))
    return bool(value) and pattern[0] in ("_", value[0]) and like(value[1:], pattern[1:])


def _like(value: Any, given: Any) -> bool:
    found = [like(value, each) for each in _listed(given["pattern"])]
    return all(found) if given.get("match_on") == "all" else any(found)


def _date_format(value: Any, given: Any) -> bool:
    try:
        datetime.strptime(value, given["format"])
    except ValueError:
        return False
    return True


def _json(value: Any, given: Any) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(value, parse_constant=refuse)
    except ValueError:
        return False
    return True


def _moving(up: bool) -> Callable[[Rule, list[Row], list[int]], Found]:
    def check(rule: Rule, rows: list[Row], places: list[int]) -> Found:
        column, strictly = rule.columns[0], rule.arguments.get("strictly")
        filled = [place for place in places if rows[place][column] is not None]
        failing = set()
        for before, place in itertools.pairwise(filled):
            last, value = rows[before][column], rows[place][column]
            good = value > last if up else value < last
            if not good and (strictly or value != last):
                failing.add(place)
        return failing, set(places) - set(filled)

    return check


def _not_null(rule: Rule, rows: list[Row], places: list[int]) -> Found:
    return {place for place in places if rows[place][rule.columns[0]] is None}, set()


def _null(rule: Rule, rows: list[Row], places: list[int]) -> Found:
    return {place for place in places if rows[place][rule.columns[0]] is not None}, set()


def _left_out(rule: Rule, rows: list[Row], places: list[int]) -> set[int]:
    how = rule.arguments.get("ignore_row_if", "all_values_are_missing")
    counted = {place: sum(rows[place][column] is None for column in rule.columns) for place in places}
    if how in ("all_values_are_missing", "both_values_are_missing"):
        return {place for place, nulls in counted.items() if nulls == len(rule.columns)}
    return set() if how in ("never", "neither") else {place for place, nulls in counted.items() if nulls}


def _row(good: Callable[[list[Any], Any], bool]) -> Callable[[Rule, list[Row], list[int]], Found]:
    def check(rule: Rule, rows: list[Row], places: list[int]) -> Found:
        ignored = _left_out(rule, rows, places)
        values = {place: [rows[place][column] for column in rule.columns] for place in places}
        return {p for p in places if p not in ignored and not good(values[p], rule.arguments)}, ignored

    return check


def _unique(rule: Rule, rows: list[Row], places: list[int]) -> Found:
    ignored = _left_out(rule, rows, places)

    def key(place: int) -> tuple[Any, ...]:
        return tuple("nan" if is_nan(rows[place][column]) else rows[place][column] for column in rule.columns)

    times = Counter(key(place) for place in places if place not in ignored)
    return {place for place in places if place not in ignored and times[key(place)] > 1}, ignored


def _equal(values: list[Any], given: Any) -> bool:
    return None not in values and same(values[0], values[1])


def _greater(values: list[Any], given: Any) -> bool:
    if None in values or any(map(is_nan, values)):
        return False
    return bool(values[0] >= values[1] if given.get("or_equal") else values[0] > values[1])


def _pair_in_set(values: list[Any], given: Any) -> bool:
    return any(values == list(pair) for pair in given["values"])


def _unique_within_row(values: list[Any], given: Any) -> bool:
    return not any(same(left, right) for at, left in enumerate(values) for right in values[at + 1 :])


def _sum_equals(values: list[Any], given: Any) -> bool:
    return None not in values and sum(values) == given["total"]


CHECKS: dict[str, Callable[[Rule, list[Row], list[int]], Found]] = {
    "not_null": _not_null,
    "null": _null,
    "finite": _each(lambda value, given: math.isfinite(value)),
    "between": _each(within),
    "in_set": _each(lambda value, given: any(value == each for each in given["values"] if each is not None)),
    "not_in_set": _each(lambda value, given: all(value != each for each in given["values"] if each is not None)),
    "matches": _each(_matches),
    "not_matches": _each(lambda value, given: not _matches(value, given)),
    "like": _each(_like),
    "not_like": _each(lambda value, given: not _like(value, given)),
    "length": _each(_length),
    "unique": _unique,
    "increasing": _moving(True),
    "decreasing": _moving(False),
    "date_format": _each(_date_format),
    "json": _each(_json),
    "equal": _row(_equal),
    "greater": _row(_greater),
    "pair_in_set": _row(_pair_in_set),
    "unique_together": _unique,
    "unique_within_row": _row(_unique_within_row),
    "sum_equals": _row(_sum_equals),
}


def failing_rows(rule: Rule, rows: list[Row], where: Callable[[Row], bool] | None = None) -> Found:
    """The places of the rows that do not follow a rule, and of those that are left out."""
    places = [place for place, row in enumerate(rows) if where is None or where(row)]
    return CHECKS[rule.kind](rule, rows, places)


STATISTICS: dict[str, Callable[[list[Any]], Any]] = {
    "minimum": min,
    "maximum": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "sum": sum,
    "distinct_count": lambda values: len(set(values)),
    "distinct_fraction": lambda values: len(set(values)) / len(values),
}
