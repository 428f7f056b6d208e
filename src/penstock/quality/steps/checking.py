"""Rows checked on their way: stopped, let through with a warning, or parted into good ones and quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.quality.errors import BadRules, DataValidationError
from penstock.quality.report import ValidationReport
from penstock.quality.rules import Configuration, Repair, read_repairs
from penstock.quality.running import Input, input_of, run
from penstock.quality.running.files import file_input
from penstock.quality.steps.frames import Frame
from penstock.quality.steps.quarantine import Quarantine, Writing, file_away, in_quarantine, this_writing
from penstock.quality.steps.repairing import Mending, mended
from penstock.quality.steps.splitting import can_part, reasons_of
from penstock.quality.steps.telling import Became, tell
from penstock.quality.validator import DataValidator

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

OnFailure = Literal["stop", "warn", "quarantine"]


@dataclass(frozen=True)
class Plan:
    """What is to be checked, and what is done about it.

    Attributes:
        configuration: the rules.
        on_failure: stop, warn or quarantine.
        dataset: what the rows are called; the name of the rules otherwise.
        repairs: what is mended before.
        quarantine: where failing rows go; the project's own place when left out.
        target: the address of what good rows are for, so that `penstock quality retry` knows.
        tables: others that rules speak of.
        place: where the rows are going, of checks that are declared on a dataset.
    """

    configuration: Configuration
    on_failure: OnFailure
    dataset: str
    repairs: tuple[Repair, ...] = ()
    quarantine: Any = None
    target: str = ""
    tables: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""


def planned(
    rules: Any,
    on_failure: str,
    dataset: Any = None,
    keys: str | Sequence[str] = (),
    repairs: Sequence[Any] = (),
    quarantine: Any = None,
    tables: Mapping[str, Any] | None = None,
    default: str = "",
) -> Plan:
    """See `check`.

    Raises:
        BadRules: rules or repairs that cannot be.
        ConfigurationError: another option that cannot be.
    """
    if on_failure not in get_args(OnFailure):
        raise ConfigurationError(
            f"on_failure={on_failure!r} is nothing that can be done.",
            hint=f"there are: {', '.join(get_args(OnFailure))}",
        )
    if quarantine is not None and on_failure != "quarantine":
        raise ConfigurationError("A quarantine is given, and nothing goes there.", hint='say on_failure="quarantine"')
    configuration = rules.configuration if isinstance(rules, DataValidator) else DataValidator(rules).configuration
    if keys:
        configuration = replace(configuration, keys=(keys,) if isinstance(keys, str) else tuple(keys))
    table = getattr(dataset, "table", None)
    name = dataset if isinstance(dataset, str) else getattr(dataset, "name", "")
    name = name or configuration.name or default
    found = Plan(
        replace(configuration, name=name, repairs=()),
        on_failure,  # type: ignore[arg-type]
        name or "data",
        (*configuration.repairs, *read_repairs(list(repairs))),
        quarantine,
        table.address if table is not None else "",
        tables or {},
    )
    if not found.configuration.rules and not found.repairs:
        raise BadRules([("rules", "there is none, and nothing to repair")])
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of rows.

    Attributes:
        report: what was found, of the rows as they were when repairs were done.
        rows: what goes on: all of them, or (`quarantine`) the good ones. In the form in which they were given.
        quarantined: how many rows went into quarantine.
        filed: where.
    """

    report: ValidationReport
    rows: Any
    quarantined: int
    filed: str
    _frame: Frame = field(repr=False)
    _bad: Any = field(repr=False)
    _repaired: Any = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every rule of severity `error` was kept."""
        return self.report.passed

    @cached_property
    def good(self) -> Any:
        """The rows that follow every rule of severity `error` about rows."""
        return self._some(False)

    @cached_property
    def bad(self) -> Any:
        """The others."""
        return self._some(True)

    def _some(self, bad: bool) -> Any:
        rows = self._frame.rows if self._repaired is None else self._repaired
        wanted = pl.select(pl.int_range(rows.height).is_in(self._bad["row"].implode())).to_series()
        keep = wanted if bad else ~wanted
        return self._frame.kept(keep) if self._repaired is None else self._frame.like_given(rows.filter(keep))


def check(
    rows: Any,
    rules: Any,
    *,
    on_failure: OnFailure = "warn",
    dataset: Any = None,
    keys: str | Sequence[str] = (),
    repairs: Sequence[Any] = (),
    quarantine: Any = None,
    tables: Mapping[str, Any] | None = None,
) -> Outcome:
    """Check rows on their way.

    In a run the outcome is an event (`CheckPassed`, `CheckFailed`), once for a step however often that is executed.

    Args:
        rows: a frame of pandas, Polars or PyArrow, a DuckDB relation, or a list of dictionaries.
        rules: as `DataValidator` takes them, or a validator.
        on_failure: `warn` lets everything through, `stop` nothing where a rule of severity `error` fails, and
            `quarantine` the rows that follow these rules. Rules that are not about single rows can only stop or warn:
            with `quarantine` they stop.
        dataset: what the rows are called: a name, or the `Dataset` that they are for.
        keys: columns that tell rows apart; they are shown with failing rows.
        repairs: what is mended first, such as `{"repair": "trim", "column": "name"}`; after those of the rules' file.
        quarantine: a `Dataset` for failing rows; a place of the project otherwise (`penstock quality quarantined`).
        tables: other tables that rules speak of.

    Raises:
        DataValidationError: rows are not let through; the report is in it.
        BadRules: rules or repairs that cannot be.
        BadData: the rows cannot be read.
    """
    return checked(rows, planned(rules, on_failure, dataset, keys, repairs, quarantine, tables))


def checked(rows: Any, plan: Plan) -> Outcome:
    """Carry a plan out."""
    writing = this_writing()
    frame = Frame(rows)
    mending = mended(frame.rows, plan.repairs)
    report, bad = examined(frame, mending, plan)
    stopped = is_stopped(report, plan)
    quarantined, filed = 0, ""
    if plan.on_failure == "quarantine" and not stopped:
        quarantined = bad.height
        filed = _filed(plan, mending, bad, writing)
    good = 0 if stopped else mending.frame.height - quarantined
    tell(report, plan, Became(good, quarantined), writing.id)
    if stopped:
        raise DataValidationError(report)
    outcome = Outcome(report, frame.all(), quarantined, filed, frame, bad, mending.frame if _changed(mending) else None)
    if plan.on_failure == "quarantine" and quarantined:
        return replace(outcome, rows=outcome.good)
    return outcome if outcome._repaired is None else replace(outcome, rows=frame.like_given(outcome._repaired))


def is_stopped(report: ValidationReport, plan: Plan) -> bool:
    """Whether nothing of the rows goes on."""
    failing = report.failing()
    if plan.on_failure == "quarantine":
        return not all(can_part(each) for each in failing)
    return plan.on_failure == "stop" and bool(failing)


def _changed(mending: Mending) -> bool:
    return any(each.changed or each.removed for each in mending.results)


def examined(frame: Frame, mending: Mending, plan: Plan) -> tuple[ValidationReport, pl.DataFrame]:
    """What is found, and which rows do not follow a rule of severity `error` about rows."""
    with ExitStack() as stack:
        opened = {}
        for name, table in plan.tables.items():
            other = file_input(table) if isinstance(table, str | Path) else input_of(table)
            stack.callback(other.close)
            opened[name] = other.frame
        given = Input(mending.frame.lazy(), list(frame.notes))
        report = run(given, plan.configuration, opened, statistics=True)
        failing = [each.rule for each in report.failing() if can_part(each)]
        bad = reasons_of(mending.frame, failing, opened)
    return msgspec.structs.replace(report, repairs=tuple(mending.results)), bad


def _filed(plan: Plan, mending: Mending, bad: pl.DataFrame, writing: Writing) -> str:
    if not bad.height:
        if plan.quarantine is None and writing.run is not None:
            Quarantine().discard(writing, plan.dataset)
        return ""
    rows = in_quarantine(mending.frame, bad, mending.rows, writing)
    return file_away(plan.quarantine, rows, writing, plan.dataset, plan.target)
