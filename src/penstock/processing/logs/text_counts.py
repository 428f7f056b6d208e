"""What is counted of a log with levels and messages."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.processing.logs.access_report import filled, top
from penstock.processing.logs.anomalies import Detector, moment
from penstock.processing.logs.blocks import LONGEST, SAMPLE, Block
from penstock.processing.logs.decoding import text_or_null
from penstock.processing.logs.extras import Array, Frame, np, pa, pl
from penstock.processing.logs.report import LogReport, Top
from penstock.processing.logs.tally import Tally, compact
from penstock.processing.logs.templates import Template, Templates, shapes_in
from penstock.processing.logs.text_formats import FAILED, TextFormat, parsed

_LINE_END = 10
_SHOWN = 20


@dataclass
class TextPart:
    """What was counted of a block."""

    lines: int
    blank: int
    malformed: list[tuple[int, bytes]]
    good: int
    tables: dict[str, Any] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None
    shapes: list[tuple[str, int, int, float, float, str]] = field(default_factory=list)


def lines_of(block: Block) -> tuple[Any, Array, Array]:
    """The lines of a block as text (null where they are none), and where they start and end."""
    data = block.data
    ends = np.flatnonzero(data[block.start : block.end] == _LINE_END) + block.start
    starts = np.empty(len(ends), np.int64)
    if not len(ends):
        return pl.Series([], dtype=pl.String), starts, ends
    starts[0] = block.start
    starts[1:] = ends[:-1] + 1
    bounds = np.empty((len(ends), 2), np.int32)
    bounds[:, 0], bounds[:, 1] = starts, ends - (data[ends - 1] == 13) * (ends > starts)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(block.buffer)]
    between = pl.from_arrow(pa.Array.from_buffers(pa.binary(), 2 * len(ends) - 1, buffers))
    return text_or_null(between.gather_every(2)), starts, ends


def frame_of(block: Block, kind: TextFormat, year: int, sample: int = SAMPLE) -> tuple[Frame, TextPart]:
    """What the lines say that mean something, and how the others are accounted for.

    A line that begins with a blank goes on from the one before it, as the lines of a traceback do; it is skipped.
    """
    lines, starts, ends = lines_of(block)
    part = TextPart(len(ends), 0, [], 0)
    frame = parsed(lines, kind, year).with_columns(line=pl.int_range(pl.len()))
    good = frame["time"].is_not_null() & pl.Series(ends - starts <= LONGEST)
    for line in (~good).arg_true().to_list():
        text = bytes(block.buffer[int(starts[line]) : min(int(ends[line]), int(starts[line]) + sample)])
        if not text.strip() or text[:1] in (b" ", b"\t"):
            part.blank += 1
        else:
            part.malformed.append((line, text))
    frame = frame.filter(good)
    part.good = len(frame)
    return frame, part


def count_text(block: Block, kind: TextFormat, year: int) -> TextPart:
    """Read a block, and count what is in it."""
    frame, part = frame_of(block, kind, year)
    fill(part, frame)
    return part


def fill(part: TextPart, frame: Frame) -> None:
    """Count what is in the lines of a block."""
    if not part.good:
        return
    part.first, part.last = frame["time"].min(), frame["time"].max()
    frame = frame.with_columns(
        minute=(pl.col("time") // 60).cast(pl.Int64),
        failed=pl.col("level").is_in(FAILED).fill_null(False).cast(pl.Int64),
        level=pl.col("level").fill_null("none"),
    )
    n = pl.len().cast(pl.Int64).alias("n")
    failed = pl.col("failed").sum()
    part.tables = {
        "minutes": compact(frame.group_by("minute", "level").agg(n)),
        "components": compact(frame.drop_nulls("component").group_by("component").agg(n, failed)),
    }
    part.shapes = list(shapes_in(frame).iter_rows())


class TextTotals:
    """Everything that was counted of the blocks so far."""

    def __init__(self) -> None:
        self.minutes = Tally(["minute", "level"], {"n": "sum"}, most=None)
        self.components = Tally(["component"], {"n": "sum", "failed": "sum"})
        self.templates = Templates()
        self.first: float | None = None
        self.last: float | None = None

    def add(self, part: TextPart) -> None:
        """Take a block in."""
        for name, table in part.tables.items():
            getattr(self, name).add(table)
        self.templates.add(part.shapes)
        if part.first is not None and part.last is not None:
            self.first = part.first if self.first is None else min(self.first, part.first)
            self.last = part.last if self.last is None else max(self.last, part.last)


def tell_text(
    report: LogReport, totals: TextTotals, detector: Detector, new_since: datetime.datetime | None = None
) -> None:
    """Put what was counted into a report.

    Args:
        report: where it goes.
        totals: what was counted.
        detector: what finds anomalies.
        new_since: templates that were met first at this time or later are new; by default the last tenth of the log.
    """
    if totals.first is None or totals.last is None:
        return
    counted = totals.minutes.frame()
    assert counted is not None
    report.start, report.end = moment(totals.first / 60), moment(totals.last / 60)
    by_level = counted.group_by("level").agg(pl.col("n").sum()).sort("n", "level", descending=[True, False])
    report.levels = dict(by_level.iter_rows())
    report.requests = int(counted["n"].sum())
    report.failed = sum(report.levels.get(level, 0) for level in FAILED)
    components = totals.components.frame()
    if components is not None:
        report.components = top(components, totals.components)
    _tell_templates(report, totals, new_since)
    n, none = pl.col("n"), pl.lit(0, pl.Int64)
    zeros: Sequence[Any] = [none.alias(name) for name in ("refused", "bytes", "timed")]
    minutes = counted.group_by("minute").agg(
        n.sum().alias("requests"), n.filter(pl.col("level").is_in(FAILED)).sum().alias("failed")
    )
    dense = filled(minutes.with_columns(*zeros, pl.lit(0.0).alias("taken")))
    if dense is not None:
        report.minutes = dense.with_columns((pl.col("minute") * 60_000).cast(pl.Datetime("ms", "UTC")).alias("time"))
        report.minutes = report.minutes.select("time", "requests", "refused", "failed", "bytes", "taken", "timed")
        report.anomalies = detector(dense)


def _tell_templates(report: LogReport, totals: TextTotals, new_since: datetime.datetime | None) -> None:
    assert totals.first is not None
    assert totals.last is not None
    since = totals.last - (totals.last - totals.first) / 10
    if new_since is not None:
        since = new_since.timestamp()
    elif totals.first == totals.last:
        since = totals.last + 1
    every = totals.templates
    errors = [each for each in every if each.failed]
    report.messages = _top_templates(list(every), every)
    report.templates = _top_templates(errors, every, by="failed")
    report.new_templates = _top_templates([each for each in errors if each.first >= since], every, by="failed")


def _top_templates(some: Sequence[Template], every: Templates, by: str = "n") -> Top:
    first = sorted(some, key=lambda each: (-getattr(each, by), each.text))[:_SHOWN]
    rows = [
        {
            "template": each.text,
            "n": each.n,
            "failed": each.failed,
            "first": _told(each.first),
            "last": _told(each.last),
            "example": each.example,
        }
        for each in first
    ]
    many = every.seen if len(some) == len(every) else len(some)
    return Top(rows, many, every.exact, every.forgotten)


def _told(seconds: float) -> str:
    return f"{moment(seconds / 60):%Y-%m-%dT%H:%M:%SZ}"
