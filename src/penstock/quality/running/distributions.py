"""Rules on how values are distributed. The tests are SciPy's."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from penstock.core.extras import require
from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.running.plan import Check, Judged, Plan, Values
from penstock.quality.running.types import as_kind, family, word

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

LEAST_P = 0.05


def _numbers(rule: Rule, plan: Plan) -> pl.Expr:
    kind = plan.kind(rule.columns[0])
    if family(kind) not in ("number", "null"):
        raise RuleProblem(f"{rule.columns[0]} is {word(kind)}, and only numbers have such a distribution")
    return pl.col(rule.columns[0]).cast(pl.Float64)


def ks_check(rule: Rule, plan: Plan) -> Check:
    """Kolmogorov and Smirnov: do the values come from this distribution? Holds the column in memory."""
    values, where = _numbers(rule, plan), plan.where(rule)
    stats = require("scipy.stats", "quality")
    parameters = rule.arguments.get("params", {})
    named = {} if isinstance(parameters, list) else dict(parameters)
    placed = parameters if isinstance(parameters, list) else []
    try:
        distribution = getattr(stats, rule.arguments["distribution"])(*placed, **named)
    except TypeError as error:
        raise RuleProblem(f"{rule.arguments['distribution']} has other parameters: {error}") from None
    computed = f"ks {id(rule)}"

    def after(frame: pl.LazyFrame, found: Values) -> None:
        rows = frame if where is None else frame.filter(where)
        column = rows.select(values.drop_nulls()).collect(engine="streaming").to_series()
        found[computed] = float(stats.kstest(column.to_numpy(), distribution.cdf).pvalue) if len(column) else None

    return Check(rule, lambda found: _judge_p(rule, found[computed]), after=after)


def chi_square_check(rule: Rule, plan: Plan) -> Check:
    """Pearson: do the values come as often as these weights say? A value without a weight never does."""
    stats = require("scipy.stats", "quality")
    names, weights, others = _counted(rule, plan)

    def judge(found: Values) -> Judged:
        counts = [found[name] or 0 for name in names]
        total = sum(counts) + (found[others] or 0)
        if not total:
            return Judged(False, reason="there are no values")
        if found[others] or any(count and not weight for count, weight in zip(counts, weights, strict=True)):
            return _judge_p(rule, 0.0)
        expected = [total * weight for weight in weights if weight]
        observed = [count for count, weight in zip(counts, weights, strict=True) if weight]
        return _judge_p(rule, float(stats.chisquare(observed, expected).pvalue))

    return Check(rule, judge)


def kl_check(rule: Rule, plan: Plan) -> Check:
    """Kullback and Leibler: how many nats the values are from these weights; infinite where one has no weight."""
    names, weights, others = _counted(rule, plan)

    def judge(found: Values) -> Judged:
        counts = [found[name] or 0 for name in names]
        total = sum(counts) + (found[others] or 0)
        if not total:
            return Judged(False, reason="there are no values")
        divergence = math.inf if found[others] else 0.0
        for count, weight in zip(counts, weights, strict=True):
            if count:
                share = count / total
                divergence += share * math.log(share / weight) if weight else math.inf
        return Judged(divergence <= rule.arguments["max"], observed=divergence)

    return Check(rule, judge)


def _counted(rule: Rule, plan: Plan) -> tuple[list[str], list[float], str]:
    """Names of the counts of each value or range, their weights (1 together), and the name of the count of others."""
    column, given = rule.columns[0], rule.arguments["weights"]
    where = plan.where(rule)
    groups = _ranges(rule, plan) if "bins" in rule.arguments else _single_values(column, list(given), plan)
    weights = list(given.values()) if isinstance(given, dict) else list(given)
    conditions = groups if where is None else [group & where for group in groups]
    about = f"{rule.columns} {rule.where}"
    names = [plan.value(f"group {at} of {given} {about}", each.sum()) for at, each in enumerate(conditions)]
    there = pl.col(column).is_not_null() if where is None else pl.col(column).is_not_null() & where
    others = (there & ~pl.any_horizontal(groups)).sum()
    whole = math.fsum(weights)
    return names, [weight / whole for weight in weights], plan.value(f"others than {given} {about}", others)


def _single_values(column: str, values: list[Any], plan: Plan) -> list[pl.Expr]:
    kind = plan.kind(column)
    return [(pl.col(column) == as_kind(value, kind, column)).fill_null(False) for value in values]


def _ranges(rule: Rule, plan: Plan) -> list[pl.Expr]:
    """Each range has its lower end; the last one has both."""
    values, bins = _numbers(rule, plan), rule.arguments["bins"]
    last = len(bins) - 2
    ranges = itertools.pairwise(bins)
    return [
        ((values >= low) & ((values <= high) if at == last else (values < high))).fill_null(False)
        for at, (low, high) in enumerate(ranges)
    ]


def _judge_p(rule: Rule, found: float | None) -> Judged:
    if found is None:
        return Judged(False, reason="there are no values")
    return Judged(found >= rule.arguments.get("p_value", LEAST_P), observed=found)
