"""Which rows follow the rules, and which do not, one by one and with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from penstock.quality.errors import RuleProblem
from penstock.quality.report import RuleResult
from penstock.quality.rules import KINDS, Rule
from penstock.quality.running.pairs import missing
from penstock.quality.running.plan import Plan
from penstock.quality.running.repeats import comparable_values
from penstock.quality.running.running import failing_rows
from penstock.quality.running.sources import reading

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_TOGETHER = 64
"""Rules that are looked at in one pass."""


def can_part(result: RuleResult) -> bool:
    """Whether a rule that was not kept says of each row whether it does not follow it."""
    return result.verdict == "failed" and KINDS[result.rule.kind].level == "row"


def reasons_of(frame: pl.DataFrame, rules: Sequence[Rule], tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """The rows that do not follow one of the rules: `row`, its place, and `rules`, their titles."""
    found = [pl.DataFrame(schema={"row": pl.Int64, "rule": pl.String})]
    for start in range(0, len(rules), _TOGETHER):
        group = rules[start : start + _TOGETHER]
        plan = Plan(dict(frame.schema), tables, datetime.now(UTC))
        flags = [_failing(rule, plan).alias(f"\0{place}") for place, rule in enumerate(group)]
        told = reading(partial(frame.with_columns, flags))
        for rule, flag in zip(group, told.get_columns()[frame.width :], strict=True):
            rows = flag.arg_true().cast(pl.Int64)
            found.append(pl.DataFrame({"row": rows}).with_columns(pl.lit(rule.title).alias("rule")))
    return pl.concat(found).group_by("row", maintain_order=True).agg(pl.col("rule").alias("rules")).sort("row")


def _failing(rule: Rule, plan: Plan) -> pl.Expr:
    where = plan.where(rule)
    if rule.kind not in ("unique", "unique_together"):
        failing = failing_rows(rule, plan).failing
        return failing if where is None else failing & where
    ignored = missing(rule)
    looked_at = pl.lit(True) if ignored is None else ~ignored
    if where is not None:
        looked_at = looked_at & where
    try:
        same = pl.struct([*comparable_values(rule, plan), looked_at.fill_null(False).alias("\0looked at")])
    except RuleProblem:
        return pl.lit(False)
    return same.is_duplicated() & looked_at.fill_null(False)
