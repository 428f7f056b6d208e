"""Rows that were put aside, checked again: what follows the rules now lands, and the rest stays.

How far that has come is kept by the target itself, in the commit of the rows: each row lands once, whatever is killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.ports.data import Batch, Counts, Landing, Part, Sink
from penstock.core.rows import conform, gather
from penstock.engine import datasets
from penstock.quality.rules import Rule
from penstock.quality.rules.kinds import KINDS
from penstock.quality.steps.checking import Plan, examined, planned
from penstock.quality.steps.frames import Frame
from penstock.quality.steps.quarantine import OWN, Quarantine
from penstock.quality.steps.repairing import mended
from penstock.quality.validator import DataValidator

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
else:
    from penstock.quality.extras import pl

PIPE = "quality retry"
_FILES, _RECORDS = "files", "records"
_TOGETHER = 100_000


class Retried(NamedTuple):
    """What became of rows.

    Attributes:
        counts: of those that follow the rules now; the target may have rejected some for other reasons.
        waiting: rows that stay.
        left_out: rules and repairs that are not about single rows, and were passed over.
    """

    counts: Counts
    waiting: int
    left_out: tuple[str, ...]


class Record(NamedTuple):
    """A rejected record of a dataset that was a row once.

    Attributes:
        id: what tells it from others.
        row: names and values.
    """

    id: str
    row: Mapping[str, Any]


def records_of(rejected: pa.RecordBatchReader) -> Iterable[Record]:
    """Rejected records that can be read as rows."""
    for batch in rejected:
        for one in batch.to_pylist():
            try:
                row = json.loads(one["raw"])
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                told = "\0".join(str(one.get(name)) for name in ("pipe", "at", "where", "raw"))
                yield Record(hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(), row)


def done_records(landing: Landing) -> set[str]:
    """Which rejected records a target has taken in since."""
    return set((landing.position or {}).get(_RECORDS, ()))


def retry(
    dataset: str,
    sink: Sink,
    rules: Any,
    *,
    records: Iterable[Record] = (),
    schema: pa.Schema | None = None,
    quarantine: Quarantine | None = None,
) -> Retried:
    """Check rows in quarantine again; those that follow the rules now land, and leave it.

    Args:
        dataset: what the rows are called.
        sink: where they land.
        rules: as `DataValidator` takes them, with or without repairs. Those that are not about single rows are passed
            over.
        records: rejected records of the dataset, to be tried as well.
        schema: of the dataset, which records have to fit.
        quarantine: the project's own when left out.

    Raises:
        BadRules: rules that cannot be.
        SinkUnavailable: quarantine or target cannot be reached. What has landed has left, or leaves at the next call.
        ConfigurationError: another process does the same.
    """
    quarantine = quarantine or Quarantine()
    configuration = DataValidator(rules).configuration
    single = [rule for rule in configuration.rules if _single(rule)]
    repairs = [repair for repair in configuration.repairs if repair.kind != "drop_duplicates"]
    plan = planned(replace(configuration, rules=tuple(single), repairs=tuple(repairs)), "quarantine", dataset)
    left_out = [rule.title for rule in configuration.rules if not _single(rule)]
    left_out += [repair.title for repair in configuration.repairs if repair not in repairs]
    with quarantine.alone(), sink.open(PIPE) as landing:
        one = _Retry(sink, landing, plan)
        for filed in quarantine.waiting(dataset):
            rows = quarantine.rows(filed)
            name = Path(filed.path).stem
            rest = one.file(name, rows)
            if rest.height < rows.height:
                quarantine.leave(filed, rest)
        one.records(records, schema)
    return Retried(one.counts, one.waiting, tuple(left_out))


def _numbers(ranges: Iterable[Sequence[int]]) -> list[int]:
    return [number for first, last in ranges for number in range(first, last + 1)]


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    """The first and the last of those that follow one another: every commit takes all of them along."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _single(rule: Rule) -> bool:
    return KINDS[rule.kind].level == "row"


class _Retry:
    def __init__(self, sink: Sink, landing: Landing, plan: Plan) -> None:
        self._sink = sink
        self._landing = landing
        self._plan = plan
        self.counts = Counts()
        self.waiting = 0

    def file(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Try the rows of a file; those that stay."""
        done: dict[str, list[list[int]]] = dict((self._landing.position or {}).get(_FILES, {}))
        landed = _numbers(done.get(name, ()))
        waiting = rows.filter(~pl.col("_row").is_in(landed))
        mending = mended(waiting.drop(OWN), self._plan.repairs)
        good = self._good(mending.frame)
        if good.any():
            done[name] = _ranges([*landed, *waiting["_row"].filter(good)])
            self._land(mending.frame.filter(good).to_arrow(), _FILES, done)
        rest = waiting.filter(~good)
        self.waiting += rest.height
        return rest

    def records(self, records: Iterable[Record], schema: pa.Schema | None) -> None:
        """Try rejected records."""
        done = done_records(self._landing)
        several: list[Record] = []
        for record in records:
            if record.id not in done:
                several.append(record)
            if len(several) == _TOGETHER:
                self._some(several, schema)
                several = []
        if several:
            self._some(several, schema)

    def _some(self, several: Sequence[Record], schema: pa.Schema | None) -> None:
        gathered = gather([record.row for record in several])
        frame = mended(Frame(gathered.rows).rows, self._plan.repairs).frame
        misfits = conform(frame.to_arrow(), schema) if schema is not None else None
        fits = pl.Series([True] * frame.height)
        rows = frame
        if misfits is not None:
            unfit = {misfit.row for misfit in misfits.misfits}
            fits = pl.Series([place not in unfit for place in range(frame.height)], dtype=pl.Boolean)
            rows = Frame(misfits.rows).rows
        good = self._good(rows)
        places = pl.Series(range(frame.height), dtype=pl.Int64).filter(fits).filter(good).to_list()
        if places:
            landed = done_records(self._landing) | {several[place].id for place in places}
            self._land(rows.filter(good).to_arrow(), _RECORDS, sorted(landed))
        self.waiting += len(several) - len(places)

    def _good(self, rows: pl.DataFrame) -> pl.Series:
        """For each row whether it follows the rules. Where one cannot be checked, none does."""
        if not rows.height:
            return pl.Series([], dtype=pl.Boolean)
        frame = Frame(rows)
        report, bad = examined(frame, mended(rows, ()), self._plan)
        if any(each.verdict == "error" for each in report.failing()):
            return pl.Series([False] * rows.height, dtype=pl.Boolean)
        return ~pl.select(pl.int_range(rows.height, dtype=pl.Int64).is_in(bad["row"].implode())).to_series()

    def _land(self, rows: pa.Table, what: str, done: Any) -> None:
        position = {**(self._landing.position or {}), what: done}
        landed = self._landing.land(Batch((Part(rows),), position, last=True))
        self.counts += landed.counts
        told = datasets.Written(counts=landed.counts, version=landed.version, size=landed.written, pipe=PIPE)
        datasets.wrote(datasets.journal_here(), self._sink.place, told)
