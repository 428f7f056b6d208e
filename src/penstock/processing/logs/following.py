"""Logs that are written on: read as they grow, through their rotations, from where the last reading came to.

What was counted and the place up to which it was counted are kept together, in one commit of the journal. Whatever is
killed whenever, the next reading goes on from that place with those counts: no line is lost, and none counts twice.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from penstock.core.errors import BadData, PipeTakenOver
from penstock.core.ports import Journal
from penstock.engine.datasets import journal_here
from penstock.processing.logs.access_counts import Part
from penstock.processing.logs.anomalies import Anomaly, iso
from penstock.processing.logs.extras import pl
from penstock.processing.logs.keeping import packed, unpacked
from penstock.processing.logs.opening import STDIN
from penstock.processing.logs.report import LogReport
from penstock.processing.logs.tails import Piece, Tail, Tails
from penstock.processing.logs.text_counts import TextPart

if TYPE_CHECKING:
    from penstock.processing.logs.analyzer import LogAnalyzer, Paths

_KEEP_SECONDS = 5.0
_SHARE = 20
"""Keeping what was counted, and telling it, takes a twentieth of the time each, at most."""


class Following(TypedDict, total=False):
    """How logs are followed; see `follow`."""

    every: float
    once: bool
    restart: bool
    name: str | None
    journal: Journal | None
    stop: threading.Event | None


@dataclass
class Interval:
    """What came in a while.

    Attributes:
        at: when it ended.
        seconds: how long it was.
        lines, parsed, malformed, skipped: as in `LogReport`, of this interval.
        requests, failed: of those.
        classes: requests by class of status, or lines by level.
        bytes_read: how much was read.
        behind: bytes that are there and were not read yet.
        report: everything that was counted so far, not only in this interval; not told anew in each one where that
            takes long.
        new: anomalies that were not there in any interval before.
    """

    at: datetime.datetime
    seconds: float
    lines: int = 0
    parsed: int = 0
    malformed: int = 0
    skipped: int = 0
    requests: int = 0
    failed: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    bytes_read: int = 0
    behind: int = 0
    report: LogReport = field(default_factory=lambda: LogReport([]))
    new: list[Anomaly] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it; of the report the sums."""
        names = ("lines", "parsed", "malformed", "skipped", "requests", "failed", "classes", "bytes_read", "behind")
        totals = ("lines", "parsed", "malformed", "skipped", "requests", "failed", "problems")
        return {
            "at": iso(self.at),
            "seconds": round(self.seconds, 3),
            **{name: getattr(self, name) for name in names},
            "rate": round(self.rate, 1),
            "anomalies": [each.to_dict() for each in self.new],
            "total": {name: getattr(self.report, name) for name in totals},
        }


def follow(
    analyzer: LogAnalyzer,
    paths: Paths,
    *,
    every: float = 0.5,
    once: bool = False,
    restart: bool = False,
    name: str | None = None,
    journal: Journal | None = None,
    stop: threading.Event | None = None,
) -> Generator[Interval, None, None]:
    """Read logs on and on, and say after each interval what came.

    Args:
        analyzer: how lines are read.
        paths: files; they may come later, and may be renamed, copied and cut, or packed meanwhile.
        every: seconds between two intervals.
        once: read what is there, and end.
        restart: forget what was counted, and read everything again.
        name: under which it is kept in the journal; by default it is made of the paths.
        journal: where it is kept; by default that of the project.
        stop: once set, what was counted is kept, and that is the end.

    Raises:
        BadData: logs of two kinds, or counted in another way before; with `once`, no file is there, and none was.
        PipeTakenOver: another process follows under the same name since.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    files = list(dict.fromkeys(os.path.abspath(each) for each in given))
    if not files or every <= 0:
        raise BadData("There is nothing to follow." if not files else f"every={every} cannot be.", hint="see --help")
    if STDIN in given:
        raise BadData("Standard input cannot be followed.", hint="penstock logs analyze - reads it to its end")
    for file in files:
        if os.path.exists(file) and not os.path.isfile(file):
            told = "a folder" if os.path.isdir(file) else "no plain file"
            raise BadData(f"{file} is {told}.", hint="name the files that are written on; rotated ones are found")
    following = _Following(analyzer, files, journal or journal_here(), name)
    following.begin(restart=restart, now=once)
    yield from following.intervals(every, once, stop or threading.Event())


class _Following:
    """The reading, the counting and the keeping."""

    def __init__(self, analyzer: LogAnalyzer, files: list[str], journal: Journal, name: str | None) -> None:
        self._analyzer, self._files, self._journal = analyzer, files, journal
        self._name = f"logs/{name or _name_of(files)}"
        self._seq = 0
        self._counting = analyzer.counting(LogReport(files))
        self._tails = {file: Tail(file, analyzer) for file in files}
        self._others: dict[str, Any] = {}
        self._known: list[tuple[str, str, str]] = []
        self._report: LogReport | None = None
        self._told_at, self._took = 0.0, 0.0
        self._kept_at, self._keeping = time.monotonic(), 0.0
        self._changed = False
        self._places = 0

    def begin(self, *, restart: bool, now: bool) -> None:
        """Go on with what was counted before. Whoever was here before can keep nothing any more.

        Args:
            restart: forget what was counted.
            now: nobody waits for files that may come.

        Raises:
            BadData: it was counted otherwise, or no file is there, and none was.
        """
        kept = self._journal.bookmark(self._name) if not restart else None
        if kept is not None:
            report, totals, more = unpacked(kept.data)
            if more["how"] != self._analyzer.how:
                raise BadData(
                    f"These logs were counted as {more['how']} before, and not as {self._analyzer.how}.",
                    hint="follow them as before, under another --name, or from the beginning with --restart",
                )
            self._seq = kept.seq
            self._counting = self._analyzer.counting(report, totals)
            report.files = list(dict.fromkeys([*report.files, *self._files]))
            self._others, self._known = more["tails"], [tuple(each) for each in more["known"]]
            for file, tail in self._tails.items():
                if file in self._others:
                    tail.restore(self._others[file])
        there = (tail.position is not None or os.path.exists(file) for file, tail in self._tails.items())
        if now and not any(there):  # one that is known may be away for a moment, while it is rotated
            told = f"There is no file {self._files[0]}." if len(self._files) == 1 else "There is none of these files."
            raise BadData(told, hint="look at the path; without --once files are waited for")
        if restart:
            self._journal.drop_bookmark(self._name)
        self.keep()

    def keep(self) -> None:
        """Keep what was counted, and how far, in one commit.

        Raises:
            PipeTakenOver: somebody else has kept something since.
        """
        began = time.monotonic()
        more = {
            "how": self._analyzer.how,
            "tails": {**self._others, **{file: tail.kept() for file, tail in self._tails.items()}},
            "known": self._known,
        }
        data = packed(self._counting.report, self._counting.totals, more)
        self._changed = False
        if not self._journal.keep_bookmark(self._name, self._seq, data):
            raise PipeTakenOver(
                "Another process follows these logs by now; what was read since is counted there.",
                hint="one follower for each --name",
            )
        self._seq += 1
        self._places = self._begun()
        self._kept_at = time.monotonic()
        self._keeping = self._kept_at - began

    def intervals(self, every: float, once: bool, stop: threading.Event) -> Iterator[Interval]:
        """Until it is told to end."""
        with closing(Tails(self._tails, follow=not once)) as tails:
            try:
                began = time.monotonic()
                now = Interval(_now(), 0.0)
                while not stop.is_set():
                    piece = tails.next(max(began + every - time.monotonic(), 0.0), stop)
                    if piece is not None:
                        self._take(piece, now)
                    if piece is None and tails.ended:
                        break
                    if time.monotonic() - began >= every:
                        self._keep_sometimes()
                        yield self._closed(now, began)
                        began, now = time.monotonic(), Interval(_now(), 0.0)
                for file, tail in self._tails.items():
                    self._count(file, tail.rest(), now)
                yield self._closed(now, began, last=True)
            finally:
                if self._changed:
                    self.keep()

    def _keep_sometimes(self) -> None:
        """Now and then; at once where a file was not known before, which could be renamed."""
        due = time.monotonic() - self._kept_at >= max(_KEEP_SECONDS, _SHARE * self._keeping)
        if self._changed and (due or self._begun() != self._places):
            self.keep()

    def _begun(self) -> int:
        return sum(tail.position is not None for tail in self._tails.values())

    def _take(self, piece: Piece, now: Interval) -> None:
        tail = self._tails[piece.file]
        if piece.gap:
            self._counting.report.problems[piece.file] = piece.gap
        now.bytes_read += piece.size
        self._counting.report.bytes_read += piece.size
        self._changed = self._changed or piece.size > 0 or bool(piece.gap)
        self._count(piece.file, tail.counted(piece), now)

    def _count(self, file: str, found: Iterator[tuple[list[bytes], Part | TextPart, int]], now: Interval) -> None:
        for cut, part, first in found:
            self._changed = True
            self._counting.add(file, cut, part, self._tails[file].kind, first)
            now.lines += part.lines + len(cut)
            now.parsed += part.good
            now.malformed += len(part.malformed) + len(cut)
            now.skipped += part.blank
            for name, count in _classes(part).items():
                now.classes[name] = now.classes.get(name, 0) + count
                now.requests += count
                now.failed += count if name in ("5xx", "ERROR", "CRITICAL") else 0

    def _closed(self, now: Interval, began: float, *, last: bool = False) -> Interval:
        """The interval as it is told."""
        ended = time.monotonic()
        now.seconds, now.at = ended - began, _now()
        now.behind = sum(tail.behind() for tail in self._tails.values())
        self._counting.report.seconds += now.seconds
        if last or self._report is None or ended - self._told_at >= _SHARE * self._took:
            self._report = self._counting.told()
            self._told_at = time.monotonic()
            self._took = self._told_at - ended
        now.report = self._report
        now.new = self._new(now.report.anomalies)
        now.classes = dict(sorted(now.classes.items()))
        return now

    def _new(self, anomalies: list[Anomaly]) -> list[Anomaly]:
        """Those that were not told before; one that has grown is none."""
        told = [(each.kind, each.start.isoformat(), each.end.isoformat()) for each in anomalies]
        known, self._known = self._known, told
        return [
            each
            for each, (kind, start, end) in zip(anomalies, told, strict=True)
            if not any(kind == other and start <= last and first <= end for other, first, last in known)
        ]


def _classes(part: Part | TextPart) -> dict[str, int]:
    if not part.good:
        return {}
    minutes = pl.from_arrow(part.tables["minutes"])
    if isinstance(part, Part):
        minutes = minutes.with_columns(level=pl.format("{}xx", pl.col("status") // 100))
    return dict(minutes.group_by("level").agg(pl.col("n").sum()).iter_rows())


def _name_of(files: list[str]) -> str:
    name = ",".join(sorted(files))
    return name if len(name) <= 200 else hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
