"""Rules on one value of all rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.rules.arguments import seconds_of
from penstock.quality.running.distributions import chi_square_check, kl_check, ks_check
from penstock.quality.running.plan import Check, Judged, Plan, Values
from penstock.quality.running.shapes import judge_count
from penstock.quality.running.types import as_kind, as_moments, family, word
from penstock.quality.running.values import among

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_NUMERIC = ("mean", "median", "stdev", "sum")
_SHOWN = 20


def whole_check(rule: Rule, plan: Plan) -> Check:
    """A rule on one value of all rows, ready for the data."""
    return _MAKERS[rule.kind](rule, plan)


def _looked_at(rule: Rule, plan: Plan) -> pl.Expr:
    """The values of the column in the rows that the rule is about."""
    plan.kind(rule.columns[0])
    where = plan.where(rule)
    return pl.col(rule.columns[0]) if where is None else pl.col(rule.columns[0]).filter(where)


def _asked(rule: Rule, plan: Plan, what: str, expression: pl.Expr) -> str:
    return plan.value(f"{what} {rule.columns} {rule.where}", expression)


def _row_count(rule: Rule, plan: Plan) -> Check:
    rows = plan.rows(rule)
    return Check(rule, lambda values: judge_count(rule, values[rows]))


def _row_count_equals(rule: Rule, plan: Plan) -> Check:
    rows, table = plan.rows(rule), rule.arguments["table"]
    other = plan.table(table).select(pl.len()).collect(engine="streaming").item()

    def judge(values: Values) -> Judged:
        found = values[rows]
        reason = "" if found == other else f"there are {found:,}, and {other:,} in {table}"
        return Judged(found == other, observed={"rows": found, table: other}, reason=reason)

    return Check(rule, judge)


def _statistic(rule: Rule, plan: Plan) -> Check:
    column = rule.columns[0]
    kind = plan.kind(column)
    if rule.kind in _NUMERIC and family(kind) not in ("number", "null"):
        raise RuleProblem(f"{column} is {word(kind)}, and has no {rule.kind}")
    values = _looked_at(rule, plan)
    name = _asked(rule, plan, rule.kind, _STATISTICS[rule.kind](values, kind))
    limits = {end: value for end in ("min", "max") if (value := rule.arguments.get(end)) is not None}
    if rule.kind in ("minimum", "maximum") and family(kind) != "null":
        limits = {end: as_kind(value, kind, column) for end, value in limits.items()}
    return Check(rule, partial(_judge_statistic, rule, limits, name))


def _judge_statistic(rule: Rule, limits: dict[str, Any], name: str, values: Values) -> Judged:
    found = values[name]
    if found is None:
        return Judged(False, reason="there are no values")
    if isinstance(found, float) and math.isnan(found):
        if rule.kind.endswith("_fraction"):  # nothing by nothing
            return Judged(False, reason="there are no values")
        return Judged(False, observed=found, reason="there are values that are NaN")
    return Judged(within(found, limits, rule.arguments), observed=found)


def within(found: Any, limits: dict[str, Any], how: Any) -> bool:
    """Whether a value is from min to max, as far as they are given."""
    least, most = limits.get("min"), limits.get("max")
    if isinstance(found, datetime):  # a day is its midnight
        least, most = (_midnight(end, found) for end in (least, most))
    above = least is None or (found > least if how.get("strict_min") else found >= least)
    below = most is None or (found < most if how.get("strict_max") else found <= most)
    return bool(above and below)


def _midnight(end: Any, like: datetime) -> Any:
    if end is None or isinstance(end, datetime):
        return end
    return datetime(end.year, end.month, end.day, tzinfo=like.tzinfo)


def _sum(values: pl.Expr, kind: pl.DataType) -> pl.Expr:
    return values.cast(pl.Int128).sum() if kind.is_integer() else values.sum()


def _plain(values: pl.Expr, kind: pl.DataType) -> pl.Expr:
    return values.cast(pl.String) if type(kind).__name__ in ("Categorical", "Enum") else values


_STATISTICS: dict[str, Callable[[pl.Expr, pl.DataType], Any]] = {
    "minimum": lambda values, kind: _plain(values, kind).min(),
    "maximum": lambda values, kind: _plain(values, kind).max(),
    "mean": lambda values, kind: values.mean(),
    "median": lambda values, kind: values.median(),
    "stdev": lambda values, kind: values.std(),
    "sum": _sum,
    "distinct_count": lambda values, kind: values.drop_nulls().n_unique(),
    "distinct_fraction": lambda values, kind: values.drop_nulls().n_unique() / values.count(),
    "null_fraction": lambda values, kind: values.null_count() / values.len(),
}


def _quantiles(rule: Rule, plan: Plan) -> Check:
    column, how = rule.columns[0], rule.arguments.get("interpolation", "linear")
    kind = plan.kind(column)
    if family(kind) not in ("number", "null"):
        raise RuleProblem(f"{column} is {word(kind)}, and has no quantiles")
    values = _looked_at(rule, plan)
    at = rule.arguments["quantiles"]
    names = [_asked(rule, plan, f"quantile {each} {how}", values.quantile(each, how)) for each in at]

    def judge(computed: Values) -> Judged:
        found = [computed[name] for name in names]
        if None in found:
            return Judged(False, reason="there are no values")
        off = [
            f"{quantile:g}: {value:g}"
            for quantile, value, (least, most) in zip(at, found, rule.arguments["ranges"], strict=True)
            if not within(value, {"min": least, "max": most}, {})
        ]
        return Judged(not off, observed=dict(zip(map(str, at), found, strict=True)), reason="; ".join(off))

    return Check(rule, judge)


def _in_set(rule: Rule, plan: Plan) -> Check:
    """Distinct values that should not be there: counted by rows, which needs no memory, and named afterwards."""
    check = _distinct(rule, plan, more_allowed=False, all_needed=rule.kind == "distinct_equals")
    return check


def _contains(rule: Rule, plan: Plan) -> Check:
    return _distinct(rule, plan, more_allowed=True, all_needed=True)


def _distinct(rule: Rule, plan: Plan, *, more_allowed: bool, all_needed: bool) -> Check:
    column, wanted = rule.columns[0], list(rule.arguments["values"])
    kind, where = plan.kind(column), plan.where(rule)
    found = among(column, wanted, kind)
    strange = ~found if where is None else ~found & where
    there = found if where is None else found & where
    known = _plain(pl.col(column), kind).filter(there).unique().implode()
    names = [_asked(rule, plan, f"known {wanted}", known), _asked(rule, plan, f"strange {wanted}", strange.sum())]

    def after(frame: pl.LazyFrame, values: Values) -> None:
        if values[names[1]] and not more_allowed:
            some = frame.filter(strange).select(_plain(pl.col(column), kind).unique()).head(_SHOWN)
            values[f"{names[1]} {id(rule)}"] = sorted(some.collect(engine="streaming").to_series().to_list(), key=str)

    def judge(values: Values) -> Judged:
        present = list(values[names[0]] or ())
        lacking = [value for value in wanted if value is not None and not _is_in(value, present, kind, column)]
        told = []
        if all_needed and lacking:
            told.append(f"missing: {', '.join(map(str, lacking[:_SHOWN]))}")
        others = values.get(f"{names[1]} {id(rule)}", [])
        if others:
            told.append(f"not expected: {', '.join(map(str, others))}")
        return Judged(not told, observed=sorted(present, key=str)[:_SHOWN] + others, reason="; ".join(told))

    return Check(rule, judge, after=after)


def _is_in(value: Any, present: list[Any], kind: pl.DataType, column: str) -> bool:
    try:
        return as_kind(value, kind, column) in present
    except RuleProblem:
        return False


def _most_common(rule: Rule, plan: Plan) -> Check:
    column = rule.columns[0]
    kind = plan.kind(column)
    values = _plain(_looked_at(rule, plan), kind).drop_nulls()
    name = _asked(rule, plan, "most common", values.mode().implode())
    wanted = rule.arguments["values"]

    def judge(computed: Values) -> Judged:
        found = sorted(computed[name] or (), key=str)
        good = [value for value in found if any(_is_in(each, [value], kind, column) for each in wanted)]
        passed = bool(good) if rule.arguments.get("ties") else len(found) == 1 and bool(good)
        return Judged(passed, observed=found[:_SHOWN])

    return Check(rule, judge)


def _fresh(rule: Rule, plan: Plan) -> Check:
    column = rule.columns[0]
    kind = plan.kind(column)
    values = _looked_at(rule, plan)
    if family(kind) == "text":
        values = as_moments(values)
    elif family(kind) not in ("date", "datetime"):
        raise RuleProblem(f"{column} is {word(kind)}, and tells no moments")
    else:
        zone = getattr(kind, "time_zone", None)
        moments = values.cast(pl.Datetime("us", zone)) if zone else values.cast(pl.Datetime("us"))
        values = moments if zone else moments.dt.replace_time_zone("UTC")
    name = _asked(rule, plan, "latest", values.max())
    longest = timedelta(seconds=seconds_of(rule.arguments["max_age"]) or 0)

    def judge(computed: Values) -> Judged:
        latest = computed[name]
        if latest is None:
            return Judged(False, reason="there are no moments")
        age = plan.now - latest
        passed = age <= longest
        return Judged(passed, observed=latest, reason="" if passed else f"the latest is {_age(age)} old")

    return Check(rule, judge)


def _age(age: timedelta) -> str:
    return str(timedelta(seconds=int(age.total_seconds())))


_MAKERS: dict[str, Callable[[Rule, Plan], Check]] = {
    "row_count": _row_count,
    "row_count_equals": _row_count_equals,
    **dict.fromkeys(_STATISTICS, _statistic),
    "quantiles": _quantiles,
    "distinct_in_set": _in_set,
    "distinct_equals": _in_set,
    "distinct_contains": _contains,
    "most_common_in_set": _most_common,
    "fresh": _fresh,
    "ks_test": ks_check,
    "chi_square": chi_square_check,
    "kl_divergence": kl_check,
}
