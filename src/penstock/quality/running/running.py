"""Rules checked against data: everything that has to be read is read in one streaming pass."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.quality.errors import RuleProblem
from penstock.quality.report import ColumnStatistics, RuleResult, ValidationReport
from penstock.quality.rules import KINDS, Configuration, Rule
from penstock.quality.running.aggregates import whole_check
from penstock.quality.running.pairs import ROWS, Rows
from penstock.quality.running.plan import Check, Judged, Plan, Values, enough
from penstock.quality.running.repeats import unique_check
from penstock.quality.running.samples import samples_of
from penstock.quality.running.shapes import judge_shape
from penstock.quality.running.sources import Input, reading
from penstock.quality.running.types import family, word
from penstock.quality.running.values import VALUES
from penstock.quality.running.words import first_line

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_ALL_NULL = frozenset({"not_null", "null"})
_ORDERED = ("number", "date", "datetime", "time", "duration")


@dataclass
class _Outcome:
    rule: Rule
    judged: Judged | None = None
    problem: str = ""
    check: Check | None = None


class _Reading:
    """One validation."""

    def __init__(
        self, given: Input, configuration: Configuration, tables: Mapping[str, pl.LazyFrame], statistics: bool
    ) -> None:
        self.input = given
        self.configuration = configuration
        self.tables = tables
        self.statistics = statistics
        self.now = datetime.now(UTC)
        self.rows: int | None = None
        self.readable = False
        self.told: dict[str, ColumnStatistics] = {}
        self.schema = self._schema()

    def _schema(self) -> Mapping[str, Any]:
        return reading(lambda: dict(self.input.frame.collect_schema()))

    def shapes(self, rules: Sequence[Rule]) -> list[_Outcome]:
        """The verdicts of rules that need no rows."""
        plan = Plan(self.schema, self.tables, self.now)
        done = []
        for rule in rules:
            try:
                done.append(_Outcome(rule, judge_shape(rule, plan)))
            except RuleProblem as problem:
                done.append(_Outcome(rule, problem=str(problem)))
        return done

    def rules(self, rules: Sequence[Rule], typed: Sequence[str] = ()) -> list[_Outcome]:
        """The verdicts of the others. Where they cannot all be computed at once, halves of them are tried.

        Args:
            rules: which ones.
            typed: columns that are read to be sure of their types.
        """
        plan = Plan(self.schema, self.tables, self.now, self.configuration.keys, self.configuration.samples)
        outcomes = [self._prepared(rule, plan) for rule in rules]
        checks = [each.check for each in outcomes if each.check is not None]
        rows = plan.value("rows None", pl.len())
        for column in self.schema if self.input.whole else typed:
            plan.value(f"nulls {column!r} None", pl.col(column).null_count())
        about = self._asked_statistics(checks, plan) if self.statistics else []
        try:
            values = self._computed(plan, checks)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, RuleProblem) as error:
            return self._again(rules, typed, error)
        self.rows = values[rows]
        self.told |= {told.name: told for told in (make(values) for make in about)}
        for each in outcomes:
            if each.check is not None:
                each.judged = each.check.judge(values)
        return outcomes

    def _again(self, rules: Sequence[Rule], typed: Sequence[str], error: BaseException) -> list[_Outcome]:
        if self.input.widened is not None:
            self.input.frame, notes = reading(self.input.widened)
            self.input.notes += notes
            self.input.widened = None
            self.schema = self._schema()
            return self.rules(rules, typed)
        if not self.readable:
            reading(partial(_read_all, self.input.frame))
            self.readable = True
        if len(rules) > 1:
            middle = len(rules) // 2
            return [*self.rules(rules[:middle]), *self.rules(rules[middle:])]
        if self.statistics:  # they may be what cannot be computed
            self.statistics = False
            outcomes = self.rules(rules)
            self.statistics = True
            return outcomes
        return [_Outcome(rule, problem=first_line(error)) for rule in rules]

    def _prepared(self, rule: Rule, plan: Plan) -> _Outcome:
        try:
            return _Outcome(rule, check=_check(rule, plan))
        except RuleProblem as problem:
            return _Outcome(rule, problem=str(problem))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            return _Outcome(rule, problem=first_line(error))

    def _computed(self, plan: Plan, checks: Sequence[Check]) -> Values:
        frame = self.input.frame
        made = plan.asked(frame).collect(engine="streaming")
        values: Values = made.row(0, named=True) if made.height else {}
        for check in checks:
            if check.after is not None:
                check.after(frame, values)
        return values

    def _asked_statistics(self, checks: Sequence[Check], plan: Plan) -> list[Any]:
        columns = dict.fromkeys(column for check in checks for column in check.rule.columns)
        return [_statistics(column, plan) for column in columns]


def run(
    given: Input,
    configuration: Configuration,
    tables: Mapping[str, pl.LazyFrame],
    *,
    fail_fast: bool = False,
    statistics: bool = False,
) -> ValidationReport:
    """Check all rules.

    Args:
        given: the data.
        configuration: the rules.
        tables: other tables that rules speak of.
        fail_fast: end with the first rule of severity `error` that fails. Rules on names and types come first, and
            where one of them fails nothing is read.
        statistics: also tell the least, greatest and mean values of the columns.

    Raises:
        BadData: the data cannot be read.
    """
    began = time.perf_counter()
    one = _Reading(given, configuration, tables, statistics)
    rules = configuration.rules
    uncertain = [rule for rule in rules if rule.kind == "type" and given.widened is not None]
    schema_rules = [rule for rule in rules if KINDS[rule.kind].level == "schema" and rule not in uncertain]
    others = [rule for rule in rules if KINDS[rule.kind].level != "schema"]
    done = one.shapes(schema_rules)
    stopped = fail_fast and any(_fatal(each) for each in done)
    if not stopped and (others or uncertain or not schema_rules):
        typed = [rule.columns[0] for rule in uncertain if rule.columns[0] in one.schema]
        done += [*one.rules(others, typed), *one.shapes(uncertain)]
    read = time.perf_counter()
    if fail_fast:
        done = _up_to_first(done)
    samples = _samples(one, done, configuration)
    ended = time.perf_counter()
    found = {id(each.rule): _result(each, samples.get(id(each.rule), ())) for each in done}
    results = [found.get(id(rule), RuleResult(rule=rule, verdict="skipped")) for rule in rules]
    return ValidationReport(
        name=configuration.name,
        rows=one.rows,
        columns=len(one.schema),
        results=tuple(results),
        statistics=tuple(one.told.values()),
        notes=tuple(given.notes),
        started=one.now.isoformat(),
        seconds=ended - began,
        seconds_reading=read - began,
        seconds_sampling=ended - read,
    )


def _check(rule: Rule, plan: Plan) -> Check:
    if KINDS[rule.kind].level == "whole":
        return whole_check(rule, plan)
    if rule.kind in ("unique", "unique_together"):
        return unique_check(rule, plan)
    where = plan.where(rule)
    failing, ignored = failing_rows(rule, plan)
    nulls = None
    if rule.kind in VALUES:
        nulls = None if rule.kind in _ALL_NULL else plan.nulls(rule.columns[0], rule)
    elif ignored is not None:
        left_out = (ignored if where is None else ignored & where).sum()
        nulls = plan.value(f"ignored {rule.columns} {rule.arguments} {rule.where}", left_out)
    if where is not None:
        failing = failing & where
    shown = rule.columns or tuple(dict.fromkeys(failing.meta.root_names()))
    failed, first = plan.failed(f"failed {rule.kind} {rule.columns} {rule.arguments} {rule.where}", failing, shown)
    judge = partial(_judge_rows, rule, plan.rows(rule), nulls, failed)
    return Check(rule, judge, failing, shown, first=first)


def failing_rows(rule: Rule, plan: Plan) -> Rows:
    """The rows that do not follow a rule on rows, whether or not it is about them (`where`); not of uniqueness."""
    if rule.kind not in VALUES:
        rows: Rows = ROWS[rule.kind](rule, plan)
        return rows
    empty = family(plan.kind(rule.columns[0])) == "null" and rule.kind not in _ALL_NULL
    return Rows(pl.lit(False) if empty else VALUES[rule.kind](rule, plan), None)


def _judge_rows(rule: Rule, rows: str, nulls: str | None, failed: str, values: Values) -> Judged:
    left_out = values[nulls] or 0 if nulls is not None else 0
    checked = (values[rows] or 0) - left_out
    wrong = values[failed] or 0
    return Judged(enough(rule, checked, wrong), checked, wrong, left_out)


def _statistics(column: str, plan: Plan) -> Any:
    kind, values = plan.kind(column), pl.col(column)
    nulls = plan.value(f"nulls {column!r} None", values.null_count())
    names: dict[str, str] = {}
    if family(kind) in _ORDERED:
        names["minimum"] = plan.value(f"minimum {(column,)} None", values.min())
        names["maximum"] = plan.value(f"maximum {(column,)} None", values.max())
    if family(kind) == "number":
        names["mean"] = plan.value(f"mean {(column,)} None", values.mean())

    def made(computed: Values) -> ColumnStatistics:
        found = {what: computed[name] for what, name in names.items()}
        return ColumnStatistics(name=column, type=word(kind), nulls=computed[nulls], **found)

    return made


def _fatal(outcome: _Outcome) -> bool:
    passed = outcome.judged is not None and outcome.judged.passed
    return not passed and outcome.rule.severity == "error"


def _up_to_first(done: list[_Outcome]) -> list[_Outcome]:
    first = next((place for place, each in enumerate(done) if _fatal(each)), len(done))
    return done[: first + 1]


def _samples(one: _Reading, done: Sequence[_Outcome], configuration: Configuration) -> dict[int, Any]:
    failed = [each.check for each in done if each.judged and each.judged.failed and each.check]
    keys = [key for key in configuration.keys if key in one.schema]
    lacking = [key for key in configuration.keys if key not in one.schema]
    one.input.notes += [f"there is no column {key}, which should tell rows apart" for key in lacking]
    kept = {id(check.rule): check.first.samples for check in failed if check.first is not None}
    wanted = [check for check in failed if check.first is None and check.failing is not None]
    if not wanted:
        return kept
    found = reading(partial(samples_of, one.input.frame, wanted, keys, configuration.samples))
    return kept | {id(check.rule): samples for check, samples in zip(wanted, found, strict=True)}


def _result(outcome: _Outcome, samples: Any) -> RuleResult:
    judged = outcome.judged
    if judged is None:
        return RuleResult(rule=outcome.rule, verdict="error", reason=outcome.problem)
    return RuleResult(
        rule=outcome.rule,
        verdict="passed" if judged.passed else "failed",
        checked=judged.checked,
        failed=judged.failed,
        nulls=judged.nulls,
        observed=judged.observed,
        reason=judged.reason,
        samples=tuple(samples),
    )


def _read_all(frame: pl.LazyFrame) -> Any:
    return frame.select(pl.all().null_count()).collect(engine="streaming")
