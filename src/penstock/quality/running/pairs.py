"""Rules on several values of a row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.running.plan import Plan
from penstock.quality.running.types import as_kind, family, word

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_WIDEST = 100


class Rows(NamedTuple):
    """Two expressions.

    Attributes:
        failing: true for a row that does not follow the rule.
        ignored: true for a row that is left out; None where there is none.
    """

    failing: pl.Expr
    ignored: pl.Expr | None


def missing(rule: Rule) -> pl.Expr | None:
    """The rows that are left out for values that are missing."""
    nulls = [pl.col(column).is_null() for column in rule.columns]
    how = rule.arguments.get("ignore_row_if", "all_values_are_missing")
    if how in ("all_values_are_missing", "both_values_are_missing"):
        return pl.all_horizontal(nulls)
    return pl.any_horizontal(nulls) if how in ("any_value_is_missing", "either_value_is_missing") else None


def comparable(rule: Rule, plan: Plan) -> list[pl.DataType]:
    """The types of the columns.

    Raises:
        RuleProblem: values of one cannot be compared with those of another.
    """
    kinds = [plan.kind(column) for column in rule.columns]
    for column, kind in zip(rule.columns[1:], kinds[1:], strict=True):
        groups = {family(kinds[0]), family(kind)} - {"null"}
        if len(groups) > 1:
            raise RuleProblem(f"{rule.columns[0]} is {word(kinds[0])}, and {column} is {word(kind)}")
    return kinds


def _so(rule: Rule, failing: pl.Expr) -> Rows:
    ignored = missing(rule)
    return Rows(failing if ignored is None else failing & ~ignored, ignored)


def _equal(rule: Rule, plan: Plan) -> Rows:
    comparable(rule, plan)
    left, right = map(pl.col, rule.columns)
    return _so(rule, ~(left == right).fill_null(False))


def _greater(rule: Rule, plan: Plan) -> Rows:
    kinds = comparable(rule, plan)
    left, right = map(pl.col, rule.columns)
    good = left >= right if rule.arguments.get("or_equal") else left > right
    for column, kind in zip(rule.columns, kinds, strict=True):
        if kind.is_float():
            good = good & pl.col(column).is_not_nan()
    return _so(rule, ~good.fill_null(False))


def _pair_in_set(rule: Rule, plan: Plan) -> Rows:
    kinds = [plan.kind(column) for column in rule.columns]
    found = []
    for pair in rule.arguments["values"]:
        try:
            made = [
                None if value is None else as_kind(value, kind, column)
                for value, kind, column in zip(pair, kinds, rule.columns, strict=True)
            ]
        except RuleProblem:
            continue
        both = [
            pl.col(column).is_null() if value is None else pl.col(column) == value
            for column, value in zip(rule.columns, made, strict=True)
        ]
        found.append(pl.all_horizontal(both).fill_null(False))
    if not found:
        left = pl.col(rule.columns[0])
        found.append(left.is_null() & left.is_not_null())
    return _so(rule, ~pl.any_horizontal(found))


def _unique_within_row(rule: Rule, plan: Plan) -> Rows:
    comparable(rule, plan)
    if len(rule.columns) > _WIDEST:
        raise RuleProblem(f"{len(rule.columns)} columns are too many to compare; at most {_WIDEST}")
    same = [pl.col(left).eq_missing(pl.col(right)) for left, right in combinations(rule.columns, 2)]
    return _so(rule, pl.any_horizontal(same))


def _sum_equals(rule: Rule, plan: Plan) -> Rows:
    for column in rule.columns:
        if family(plan.kind(column)) != "number":
            raise RuleProblem(f"{column} is {word(plan.kind(column))}, and only numbers add up")
    total = pl.sum_horizontal([pl.col(column) for column in rule.columns], ignore_nulls=False)
    return _so(rule, ~(total == rule.arguments["total"]).fill_null(False))


def _expression(rule: Rule, plan: Plan) -> Rows:
    condition = plan.condition(rule.arguments["sql"])
    return Rows(~condition, condition.is_null())


ROWS: dict[str, Callable[[Rule, Plan], Any]] = {
    "equal": _equal,
    "greater": _greater,
    "pair_in_set": _pair_in_set,
    "unique_within_row": _unique_within_row,
    "sum_equals": _sum_equals,
    "expression": _expression,
}
