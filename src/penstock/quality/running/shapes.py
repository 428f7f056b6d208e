"""Rules on names and types: nothing has to be read for them."""

from __future__ import annotations

from collections.abc import Callable

from penstock.quality.rules import Rule
from penstock.quality.rules.arguments import listed
from penstock.quality.running.plan import Judged, Plan
from penstock.quality.running.types import word, words_of


def judge_shape(rule: Rule, plan: Plan) -> Judged:
    """The verdict of a rule on names and types."""
    return _JUDGES[rule.kind](rule, plan)


def _column_exists(rule: Rule, plan: Plan) -> Judged:
    column, position = rule.columns[0], rule.arguments.get("position")
    names = list(plan.schema)
    if column not in names:
        return Judged(False, observed=None, reason=f"there is no column {column}")
    at = names.index(column)
    passed = position is None or position == at
    return Judged(passed, observed=at, reason="" if passed else f"{column} is at position {at}")


def _columns_match(rule: Rule, plan: Plan) -> Judged:
    names, wanted = list(plan.schema), list(rule.columns)
    exact, ordered = rule.arguments.get("exact", True), rule.arguments.get("ordered", False)
    missing = [name for name in wanted if name not in names]
    more = [name for name in names if name not in wanted] if exact else []
    told = [f"missing: {', '.join(missing)}"] if missing else []
    told += [f"not expected: {', '.join(more)}"] if more else []
    if ordered and not missing and [name for name in names if name in wanted] != wanted:
        told.append(f"another order: {', '.join(name for name in names if name in wanted)}")
    return Judged(not told, observed=names, reason="; ".join(told))


def _column_count(rule: Rule, plan: Plan) -> Judged:
    return judge_count(rule, len(plan.schema))


def _type(rule: Rule, plan: Plan) -> Judged:
    kind = plan.kind(rule.columns[0])
    passed = bool(words_of(kind) & set(listed(rule.arguments["types"])))
    return Judged(passed, observed=word(kind), reason="" if passed else f"{rule.columns[0]} is {word(kind)}")


def judge_count(rule: Rule, found: int) -> Judged:
    """The verdict on a count: `equals`, or `min` and `max`, all of them optional."""
    equals, least, most = (rule.arguments.get(name) for name in ("equals", "min", "max"))
    passed = (
        (equals is None or found == equals) and (least is None or found >= least) and (most is None or found <= most)
    )
    return Judged(passed, observed=found, reason="" if passed else f"there are {found:,}")


_JUDGES: dict[str, Callable[[Rule, Plan], Judged]] = {
    "column_exists": _column_exists,
    "columns_match": _columns_match,
    "column_count": _column_count,
    "type": _type,
}
