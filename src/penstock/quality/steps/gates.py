"""Checks that are declared on a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.ports.checks import Checks as Port
from penstock.core.ports.checks import Gate, Judged
from penstock.engine.datasets import journal_here
from penstock.quality.errors import DataValidationError
from penstock.quality.steps.checking import OnFailure, Plan, examined, is_stopped, planned
from penstock.quality.steps.frames import Frame
from penstock.quality.steps.quarantine import this_writing
from penstock.quality.steps.repairing import mended
from penstock.quality.steps.telling import Became, tell

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


class Checks(Port):
    """Rules that rows have to follow before they land in a dataset.

    Args:
        rules: as `DataValidator` takes them; a file is read when rows come.
        on_failure: `stop` lets nothing of a commit land where a rule of severity `error` fails, `warn` everything;
            `quarantine` rejects the rows that do not follow these rules: they are in the quarantine of the dataset, in
            the same commit. Rules that are not about single rows can only stop or warn: with `quarantine` they stop.
        keys: columns that tell rows apart; they are shown with failing rows.
        repairs: what is mended first.
        tables: other tables that rules speak of.
    """

    def __init__(
        self,
        rules: Any,
        on_failure: OnFailure = "stop",
        *,
        keys: str | Sequence[str] = (),
        repairs: Sequence[Any] = (),
        tables: Mapping[str, Any] | None = None,
    ) -> None:
        self._given = (rules, on_failure, None, keys, repairs, None, tables)
        self._rules = rules
        if not isinstance(rules, str | Path):
            planned(*self._given)

    def gate(self, dataset: str, place: str) -> Gate:
        """See `Checks.gate` of the port."""
        plan = planned(*self._given)
        return _Gate(
            replace(plan, dataset=dataset, place=place, configuration=replace(plan.configuration, name=dataset))
        )

    def told(self) -> str:
        """See `Checks.told` of the port."""
        named = isinstance(self._rules, Path) or (isinstance(self._rules, str) and "\n" not in self._rules)
        what = self._rules if named else "rules"
        return f"{what}: {self._given[1]}"


class _Gate(Gate):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def judge(self, rows: pa.Table, last: bool, id: str) -> Judged:
        plan, writing = self._plan, this_writing()
        told_as = writing.id if writing.run is None else f"{writing.run}/{writing.step}/{id}"
        frame = Frame(rows)
        mending = mended(frame.rows, plan.repairs)
        report, bad = examined(frame, mending, plan)
        stopped = is_stopped(report, plan)
        refused = [] if plan.on_failure != "quarantine" or stopped else list(bad.iter_rows())
        good = 0 if stopped else mending.frame.height - len(refused)
        if last or report.broken:
            tell(report, plan, Became(good, len(refused)), told_as, journal_here())
        if stopped:
            raise DataValidationError(report)
        reasons = [(row, f"does not follow {'; '.join(titles)}") for row, titles in refused]
        removed = frame.rows.height - mending.frame.height
        return Judged(_mended(rows, mending.frame, mending.rows), reasons, removed)


def _mended(rows: pa.Table, frame: pl.DataFrame, kept: pl.Series | None) -> pa.Table:
    """The rows as they were given, but for what repairs have changed."""
    if kept is not None:
        rows = rows.take(kept.to_arrow())
    for place, name in enumerate(rows.schema.names):
        made = frame.to_series(place)
        if not made.equals(Frame(rows.select([place])).rows.to_series(0), null_equal=True, check_dtypes=True):
            column = made.to_arrow()
            kind = pa.string() if pa.types.is_large_string(column.type) else column.type
            rows = rows.set_column(place, name, column.cast(kind))
    return rows
