"""What a validation found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from penstock.quality.rules import Rule

Verdict = Literal["passed", "failed", "error", "skipped"]


class Sample(msgspec.Struct, frozen=True):
    """A row that does not follow a rule.

    Attributes:
        row: its place, counted from 0.
        key: what tells it from other rows, where keys are known.
        values: of the columns that the rule is about.
    """

    row: int
    key: dict[str, Any]
    values: dict[str, Any]


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one rule.

    Attributes:
        rule: which one.
        verdict: `passed` or `failed`; `error` where it could not be checked, and `skipped` where it was not, because
            one before it failed.
        checked: rows that were looked at; None of rules that do not look at rows.
        failed: rows that do not follow it.
        nulls: rows that were left out because they have no value.
        observed: what is there, of rules on one value of all rows.
        reason: why it failed or could not be checked, where the counts do not say it.
        samples: some of the rows that do not follow it, the first ones first.
    """

    rule: Rule
    verdict: Verdict
    checked: int | None = None
    failed: int | None = None
    nulls: int | None = None
    observed: Any = None
    reason: str = ""
    samples: tuple[Sample, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it passed."""
        return self.verdict == "passed"

    @property
    def fraction(self) -> float | None:
        """Failed by checked; None where no row was looked at."""
        return self.failed / self.checked if self.checked and self.failed is not None else None

    def told(self) -> str:
        """In one line."""
        return f"{self.rule.title}: {self.outcome}"

    @property
    def outcome(self) -> str:
        """What happened, without the name of the rule."""
        if self.verdict == "error":
            return f"could not be checked: {self.reason}"
        if self.verdict == "skipped":
            return "not checked"
        if self.failed:
            return f"{self.failed:,} of {self.checked:,} rows do not follow it"
        if self.good:
            return f"all of {self.checked:,} rows" if self.checked is not None else f"{_short(self.observed)}"
        return self.reason or _short(self.observed)


class Mended(msgspec.Struct, frozen=True):
    """A value that a repair has changed.

    Attributes:
        row: its place, counted from 0.
        before: what it was.
        after: what it is.
    """

    row: int
    before: Any
    after: Any


class RepairResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did to a column, or to all of them.

    Attributes:
        repair: which one.
        column: empty for whole rows.
        changed: values that are others now.
        removed: rows that are gone.
        nulls_before: values that were missing.
        nulls_after: that are missing now.
        reason: why nothing was done, where it could not be.
        samples: some of the values, the first ones first.
    """

    repair: str
    column: str = ""
    changed: int = 0
    removed: int = 0
    nulls_before: int = 0
    nulls_after: int = 0
    reason: str = ""
    samples: tuple[Mended, ...] = ()

    def told(self) -> str:
        """In one line."""
        if self.reason:
            return f"{self.repair}: nothing was done: {self.reason}"
        count, what = (self.changed, "value") if self.column else (self.removed, "row")
        many = f"{count:,} {what}{'' if count == 1 else 's'}"
        return f"{self.repair}: {many} of {self.column} changed" if self.column else f"{self.repair}: {many} removed"


class ColumnStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A column that some rule is about.

    Attributes:
        type: in the words that the rule `type` uses.
        nulls: rows without a value.
        minimum: the least value, of numbers, dates and times.
        maximum: the greatest.
        mean: of numbers.
    """

    name: str
    type: str
    nulls: int
    minimum: Any = None
    maximum: Any = None
    mean: float | None = None


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a validation found.

    Attributes:
        name: of the dataset.
        rows: how many it has; None where nothing was read.
        columns: how many it has.
        results: one for each rule, in the order of the rules.
        statistics: of the columns that rules are about.
        notes: what was done to the data so that it could be looked at.
        started: when, as an ISO 8601 moment of UTC.
        seconds: how long it took.
        seconds_reading: how much of it was the pass over all rows.
        seconds_sampling: and how much was looking for rows to show.
        repairs: what was mended before.
    """

    name: str
    rows: int | None
    columns: int
    results: tuple[RuleResult, ...]
    statistics: tuple[ColumnStatistics, ...] = ()
    notes: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0
    seconds_reading: float = 0.0
    seconds_sampling: float = 0.0
    repairs: tuple[RepairResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every rule of severity `error` passed."""
        return not self.failing("error")

    @property
    def broken(self) -> list[RuleResult]:
        """Every rule that did not pass, whatever its severity."""
        return [each for each in self.results if each.verdict in ("failed", "error")]

    def failing(self, severity: Literal["error", "warning"] = "error") -> list[RuleResult]:
        """The rules that did not pass, of this severity or a worse one."""
        counted = {"error"} if severity == "error" else {"error", "warning"}
        return [each for each in self.broken if each.rule.severity in counted]

    def summary(self) -> str:
        """In one line."""
        good = sum(each.good for each in self.results)
        rows = "" if self.rows is None else f" on {self.rows:,} {'row' if self.rows == 1 else 'rows'}"
        name = f"{self.name}: " if self.name else ""
        told = f"{name}{good} of {len(self.results)} {'rule' if len(self.results) == 1 else 'rules'} passed{rows}"
        warned = len(self.broken) - len(self.failing())
        return f"{told}, {warned} of the others only warn" if warned else told

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "rows": self.rows,
            "columns": self.columns,
            "started": self.started,
            "seconds": round(self.seconds, 6),
            "seconds_reading": round(self.seconds_reading, 6),
            "seconds_sampling": round(self.seconds_sampling, 6),
            "notes": list(self.notes),
            "repairs": [msgspec.to_builtins(each, enc_hook=str) for each in self.repairs],
            "results": [_as_dict(each) for each in self.results],
            "statistics": [msgspec.structs.asdict(each) for each in self.statistics],
        }

    def to_json(self) -> str:
        """As JSON; NaN and infinite numbers are null there, and moments ISO 8601."""
        return msgspec.json.format(msgspec.json.encode(self.as_dict(), enc_hook=str)).decode()

    def to_html(self) -> str:
        """As one page that needs nothing from outside."""
        from penstock.quality.report.page import page_of

        return page_of(self)

    def write_html(self, path: str | Path) -> Path:
        """Write the page to a file."""
        written = Path(path)
        written.write_text(self.to_html(), encoding="utf-8")
        return written


def _as_dict(result: RuleResult) -> dict[str, Any]:
    return {
        "name": result.rule.title,
        "rule": result.rule.as_config(),
        "severity": result.rule.severity,
        "verdict": result.verdict,
        "checked": result.checked,
        "failed": result.failed,
        "nulls": result.nulls,
        "fraction": result.fraction,
        "observed": result.observed,
        "reason": result.reason,
        "samples": [msgspec.structs.asdict(each) for each in result.samples],
    }


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
