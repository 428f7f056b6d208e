"""From what was counted of an access log to what is told of it."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.access_counts import Totals
from penstock.processing.logs.anomalies import Detector, moment
from penstock.processing.logs.clients import robots, scanners, scans, unexplained
from penstock.processing.logs.decoding import text_of
from penstock.processing.logs.extras import Array, Frame, np, pl
from penstock.processing.logs.report import LogReport, Top
from penstock.processing.logs.tally import Tally
from penstock.processing.logs.visits import Clients

_SHOWN = 20
_MOST_MINUTES = 10 * 366 * 1440
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def tell(report: LogReport, totals: Totals, detector: Detector) -> None:
    """Put what was counted into a report."""
    if totals.first is None or totals.last is None:
        return
    report.start, report.end = moment(totals.first / 60), moment(totals.last / 60)
    counted = totals.minutes.frame()
    _sums(report, counted)
    report.methods, report.protocols = (dict(each.most_common()) for each in (totals.methods, totals.protocols))
    dense = filled(_by_minute(counted))
    clients, paths = texts(totals.clients.frame(), "client"), texts(totals.paths.frame(), "path")
    agents, referrers = texts(totals.agents.frame(), "agent"), texts(totals.referrers.frame(), "referrer")
    report.sessions = int(clients["sessions"].sum()) + totals.clients.lost["sessions"]
    report.clients = top(_timed(clients), totals.clients)
    found = scanners(clients)
    report.scanners = top(_timed(found), totals.clients, by="refused")
    mean = pl.when(pl.col("timed") > 0).then(pl.col("taken") / pl.col("timed") / 1e6)
    paths = paths.with_columns(mean=mean, longest=pl.when(pl.col("timed") > 0).then(pl.col("longest") / 1e6))
    shown = paths.drop("taken", "timed")
    report.paths = top(shown, totals.paths)
    report.failing = top(shown.filter(pl.col("failed") > 0), totals.paths, by="failed")
    report.slow = top(shown.filter((pl.col("mean") > 0) & (pl.col("n") >= 10)), totals.paths, by="mean")
    report.agents, report.referrers = top(agents, totals.agents), top(referrers, totals.referrers)
    report.robots = top(robots(agents), totals.agents)
    if totals.latency.count:
        values = {name: totals.latency.quantile(share) for name, share in _QUANTILES.items()}
        values = {"mean": totals.latency.mean, **values, "max": totals.latency.longest}
        report.latency = {name: value for name, value in values.items() if value is not None}
    if dense is not None:
        report.minutes = dense.with_columns(_time()).select("time", pl.all().exclude("time", "minute"))
        report.anomalies = unexplained(detector(dense), found)
    report.anomalies = sorted([*report.anomalies, *scans(found)], key=lambda each: (each.start, each.kind))


def _sums(report: LogReport, counted: Frame) -> None:
    by_status = counted.group_by("status").agg(pl.col("n").sum()).sort("status")
    report.statuses = dict(by_status.iter_rows())
    report.requests = int(counted["n"].sum())
    report.refused = sum(count for status, count in report.statuses.items() if 400 <= status < 500)
    report.failed = sum(count for status, count in report.statuses.items() if status >= 500)
    report.bytes_sent = int(counted["bytes"].sum())
    ordered = counted.sort("minute", "status")
    report.by_status = ordered.select(_time(), "status", pl.col("n").alias("requests"), "bytes")


def _time() -> Any:
    return (pl.col("minute") * 60_000).cast(pl.Datetime("ms", "UTC")).alias("time")


def _by_minute(counted: Frame) -> Frame:
    status, n = pl.col("status"), pl.col("n")
    return counted.group_by("minute").agg(
        n.sum().alias("requests"),
        n.filter((status >= 400) & (status < 500)).sum().alias("refused"),
        n.filter(status >= 500).sum().alias("failed"),
        pl.col("bytes", "timed").sum(),
        pl.col("taken").sum() / 1e6,
    )


def filled(minutes: Frame) -> Frame | None:
    """A row for each minute from the first to the last; None where that would be more than ten years."""
    first, last = int(minutes["minute"].min()), int(minutes["minute"].max())
    if last - first >= _MOST_MINUTES:
        return None
    all_of_them: Array = np.arange(first, last + 1)
    every = pl.DataFrame({"minute": pl.Series(all_of_them, dtype=pl.Int64)})
    return every.join(minutes, on="minute", how="left").sort("minute").fill_null(0)


def texts(frame: Frame, column: str) -> Frame:
    """A column of bytes as text; a byte that is no text is spelled out."""
    return frame.with_columns(text_of(frame[column]).alias(column))


def _timed(clients: Frame) -> Frame:
    times = [(pl.col(name) * 1000).cast(pl.Datetime("ms", "UTC")).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in _ENDS]
    return clients.with_columns([each.alias(name) for each, name in zip(times, _ENDS, strict=True)])


_ENDS = ("first", "last")


def top(frame: Frame, tally: Tally | Clients, by: str = "n") -> Top:
    """The first rows; equal ones are ordered by what they count.

    Args:
        frame: all rows, or some of them.
        tally: where they come from.
        by: the column that says which are first.
    """
    whole = tally.frame()
    many = tally.seen if whole is not None and len(whole) == len(frame) else len(frame)
    key = frame.columns[0]
    first = frame.sort(by, key, descending=[True, False], nulls_last=True).head(_SHOWN)
    rows: list[dict[str, Any]] = first.to_dicts()
    return Top(rows, many, tally.exact, tally.forgotten)
