"""What a log says."""

from __future__ import annotations

import datetime
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from penstock.processing.logs.anomalies import Anomaly, iso
from penstock.processing.logs.extras import Frame, pl


@dataclass(frozen=True)
class Malformed:
    """A line that means nothing.

    Attributes:
        line: its number in the file, from 1.
        text: how it begins.
    """

    file: str
    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Top:
    """The most frequent of many.

    Attributes:
        rows: the first of them; `n` is how often, and the other columns say more.
        distinct: how many there are; at least so many where `exact` is false.
        exact: False where there were too many to count them all. A count is then too low by `error` at most.
        error: see `exact`.
    """

    rows: list[dict[str, Any]]
    distinct: int
    exact: bool = True
    error: int = 0


NONE = Top([], 0)


@dataclass
class Written:
    """What became of lines that were written somewhere.

    Attributes:
        place: where they are.
        rows: lines that were written.
        malformed: lines that mean nothing, kept apart.
        before: lines that were there already.
        unfinished: last lines without their end, which wait for the next time; of a table only.
        files: Parquet files that were made; 0 for a table.
        bytes: their size; 0 where nobody knows.
    """

    place: str
    rows: int = 0
    malformed: int = 0
    before: int = 0
    unfinished: int = 0
    files: int = 0
    bytes: int = 0


@dataclass
class LogReport:
    """Everything that was found in some files.

    Every line is in exactly one of `parsed`, `malformed` and `skipped` (blank lines).

    Attributes:
        files: those that were read.
        formats: how many files of each format there are.
        bytes_read: as they lie on disk.
        seconds: how long reading and counting took.
        problems: files that could not be read to their end, and why.
        lines_of: how many lines each file has.
        samples: the first malformed lines.
        start, end: times of the first and the last event (UTC); None where there is none.
        minutes: a frame with a row for each minute between them: `time`, `requests`, `refused` and `failed` (4xx and
            5xx; in logs with levels failed is error and worse), `bytes`, `taken`, `timed`.
        by_status: of access logs, a frame with a row for each status in each minute: `time`, `status`, `requests`,
            `bytes`; None of other logs.
        statuses: requests of each status.
        levels: lines of each level.
        paths, clients, agents, referrers: with `refused` and `failed`; paths with `bytes`, `mean` and `longest`.
        slow, failing: paths with the longest mean time, and with the most failures.
        robots: agents that say they are none of us.
        scanners: clients that are refused most of the time.
        sessions: visits without a break of half an hour.
        latency: `mean`, `p50`, `p90`, `p95`, `p99`, `max` in seconds (off by one in a hundred at most); empty where
            the log does not say.
        written: what became of the lines, where they were written.
        components, messages: of logs with levels: who wrote how much, and the templates of what was written.
        templates, new_templates: of those the ones with errors, and of these the ones that are new.
    """

    files: list[str]
    formats: dict[str, int] = field(default_factory=dict)
    bytes_read: int = 0
    seconds: float = 0.0
    lines: int = 0
    parsed: int = 0
    malformed: int = 0
    skipped: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    samples: list[Malformed] = field(default_factory=list)
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    minutes: Frame = None
    by_status: Frame = None
    requests: int = 0
    refused: int = 0
    failed: int = 0
    bytes_sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)
    protocols: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    paths: Top = NONE
    clients: Top = NONE
    agents: Top = NONE
    referrers: Top = NONE
    slow: Top = NONE
    failing: Top = NONE
    robots: Top = NONE
    scanners: Top = NONE
    components: Top = NONE
    messages: Top = NONE
    templates: Top = NONE
    new_templates: Top = NONE
    sessions: int = 0
    lines_of: dict[str, int] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)
    written: Written | None = None

    @property
    def senseless(self) -> bool:
        """There are lines, and none of them means anything: this is no log, or not of the kind that was said."""
        return not self.parsed and self.malformed > 0

    @property
    def error_rate(self) -> float:
        """The share of requests that failed (5xx)."""
        return self.failed / self.requests if self.requests else 0.0

    @property
    def status_classes(self) -> dict[str, int]:
        """Requests by the first digit of their status: `2xx` and so on."""
        found: dict[str, int] = {}
        for status, count in sorted(self.statuses.items()):
            name = f"{status // 100}xx"
            found[name] = found.get(name, 0) + count
        return found

    @property
    def hours(self) -> Frame:
        """As `minutes`, a row for each hour."""
        if self.minutes is None:
            return None
        return self.minutes.group_by_dynamic("time", every="1h").agg(pl.all().exclude("time").sum())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        left_out = ("minutes", "by_status", "anomalies", "samples")
        told = {name: value for name, value in self.__dict__.items() if name not in left_out}
        for name, value in told.items():
            if isinstance(value, Top):
                told[name] = asdict(value)
        return {
            **told,
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "status_classes": self.status_classes,
            "error_rate": self.error_rate,
            "start": iso(self.start) if self.start is not None else None,
            "end": iso(self.end) if self.end is not None else None,
            "written": asdict(self.written) if self.written is not None else None,
            "samples": [asdict(each) for each in self.samples],
            "anomalies": [each.to_dict() for each in self.anomalies],
            "hours": [] if self.minutes is None else _rows(self.hours),
            "minutes": [] if self.minutes is None else _rows(self.minutes),
        }

    def to_html(self) -> str:
        """One page that needs nothing else."""
        from penstock.processing.logs.page import page_of

        return page_of(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page into a file."""
        Path(path).write_text(self.to_html(), encoding="utf-8")


def _rows(frame: Frame) -> list[dict[str, Any]]:
    return [{**row, "time": iso(row["time"])} for row in frame.iter_rows(named=True)]
