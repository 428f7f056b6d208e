"""The one account of everything that was read: where every line has gone, and what was counted."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Sequence
from typing import Any

from penstock.core.errors import BadData
from penstock.processing.logs import detection
from penstock.processing.logs.access_counts import Part, Totals
from penstock.processing.logs.access_report import tell
from penstock.processing.logs.anomalies import Detector
from penstock.processing.logs.blocks import LONGEST, SAMPLE
from penstock.processing.logs.report import LogReport, Malformed
from penstock.processing.logs.text_counts import TextPart, TextTotals, tell_text
from penstock.processing.logs.text_formats import TextFormat

_SAMPLES = 20


class Counting:
    """What was counted of logs of one kind.

    Args:
        report: its accounts of lines are kept here.
        detector: what finds anomalies.
        new_since: see `LogAnalyzer`.
        totals: what was counted before.
    """

    def __init__(
        self,
        report: LogReport,
        detector: Detector,
        new_since: datetime.datetime | None = None,
        totals: Totals | TextTotals | None = None,
    ) -> None:
        self.report = report
        self.totals = totals
        self._detector = detector
        self._new_since = new_since

    def add(
        self, path: str, cut: Sequence[bytes], part: Part | TextPart, kind: TextFormat | None, first: int | None = None
    ) -> None:
        """Take in what was read.

        Args:
            path: of which file.
            cut: how the lines began that were too long, and came before all others.
            part: what was counted of the others.
            kind: None for an access log.
            first: how many lines of the file came before; by default as many as were told.

        Raises:
            BadData: logs of the other kind were counted before.
        """
        if part.good:
            self._count(part)
        report = self.report
        if path not in report.lines_of:
            name = kind.name if kind is not None else detection.ACCESS
            report.formats[name] = report.formats.get(name, 0) + 1
            report.lines_of[path] = 0
        wrong = self._account(path, cut, part, kind, report.lines_of[path] if first is None else first)
        report.lines_of[path] += len(cut) + part.lines
        report.lines += len(cut) + part.lines
        report.parsed += part.good
        report.malformed += wrong
        report.skipped += part.blank

    def _count(self, part: Part | TextPart) -> None:
        is_access = isinstance(part, Part)
        totals: Any = self.totals
        if totals is None:
            totals = self.totals = Totals() if is_access else TextTotals()
        if isinstance(totals, Totals) != is_access:
            raise BadData(
                "Access logs and other logs are counted differently, and here are both.",
                hint="analyse them one after the other",
            )
        totals.add(part)

    def _account(
        self, path: str, cut: Sequence[bytes], part: Part | TextPart, kind: TextFormat | None, first: int
    ) -> int:
        """How many lines mean nothing; the first of them are shown."""
        samples = self.report.samples
        for line, text, reason in wrong_lines(cut, part, kind, first):
            if len(samples) >= _SAMPLES:
                break
            samples.append(Malformed(path, line, text[:SAMPLE].decode("utf-8", "backslashreplace"), reason))
        return len(cut) + len(part.malformed)

    def told(self) -> LogReport:
        """All that can be told by now; what is counted later does not change it."""
        report = copy.copy(self.report)
        for name in ("formats", "problems", "lines_of", "samples"):
            setattr(report, name, copy.copy(getattr(report, name)))
        if isinstance(self.totals, Totals):
            tell(report, self.totals, self._detector)
        elif self.totals is not None:
            tell_text(report, self.totals, self._detector, self._new_since)
        return report


def wrong_lines(
    cut: Sequence[bytes], part: Part | TextPart, kind: TextFormat | None, first: int
) -> list[tuple[int, bytes, str]]:
    """Number, beginning and fault of the lines that mean nothing."""
    wrong = [(first + place + 1, text, f"longer than {LONGEST:,} bytes") for place, text in enumerate(cut)]
    told = f"no line of {'an access' if kind is None else f'a {kind.name}'} log"
    return wrong + [(first + len(cut) + line + 1, text, told) for line, text in part.malformed]
