"""Logs being read, and what was found in them, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli.console import Column, clean, counted, fitting, glyph, text, width, write, write_table
from penstock.cli.units import duration, lasting, size
from penstock.core.errors import SinkUnavailable

if TYPE_CHECKING:
    from penstock.processing.logs import LogReport, Progress, Top, Written

_MICROSECONDS = 1_000_000
_MOST_ROWS = 10
_SPARKS = "▁▂▃▄▅▆▇█"
_PLAIN_SPARKS = "_.-~=+*#"
CLASS_COLOURS = {"2xx": "green", "3xx": "cyan", "4xx": "yellow", "5xx": "red"}
KIND_COLOURS = {"spike": "yellow", "drop": "magenta", "errors": "red", "scanner": "red"}


def facts_of(progress: Progress) -> list[str]:
    """Lines, bytes, speed, and how long it will take."""
    facts = [counted(progress.lines, "line"), size(progress.bytes_read), f"{size(int(progress.rate))}/s"]
    if progress.malformed:
        facts.append(f"{progress.malformed:,} malformed")
    if progress.seconds_left is not None:
        facts.append(f"{lasting(int(progress.seconds_left * _MICROSECONDS))} left")
    return facts


def sparkline(values: Sequence[float], columns: int) -> str:
    """Numbers as a row of bars; several share a bar where there are more of them than columns."""
    if not values:
        return ""
    columns = min(columns, len(values))
    edges = [place * len(values) // columns for place in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    most = max(means)
    sparks = _SPARKS if fitting("…") == "…" else _PLAIN_SPARKS
    return "".join(sparks[min(int(mean / most * len(sparks)), len(sparks) - 1) if most else 0] for mean in means)


def save_page(path: Path, report: LogReport) -> None:
    """Write the page of a report.

    Raises:
        SinkUnavailable: it cannot be written.
    """
    try:
        report.save(path)
    except OSError as error:
        raise SinkUnavailable(f"{path} cannot be written: {error.strerror}.", hint="check the path") from None


def write_report(report: LogReport, quiet: bool) -> None:
    """What was found, on a screen or two."""
    _write_accounts(report)
    if report.written is not None:
        _write_written(report.written)
    if quiet:
        return
    if report.start is not None and report.end is not None:
        _write_traffic(report)
    _write_anomalies(report)
    for title, top, columns in _tops(report):
        _write_top(title, top, columns)
    for sample in report.samples[:3]:
        write()
        write(text(("Malformed  ", "yellow"), f"{clean(sample.file)}, line {sample.line:,}: {sample.reason}"))
        write(text((f"  {clean(sample.text)[: max(width() - 4, 20)]}", "bright_black")))


def _write_accounts(report: LogReport) -> None:
    parts = [f"{report.parsed:,} parsed", f"{report.malformed:,} malformed", f"{report.skipped:,} skipped"]
    sign, colour = (glyph("Failed"), "red") if report.senseless else (glyph("Completed"), "green")
    write(text((f"{sign} ", colour), f"{counted(report.lines, 'line')}: ", fitting(" · ").join(parts)))
    rate = size(int(report.bytes_read / report.seconds)) if report.seconds else ""
    took = duration(int(report.seconds * _MICROSECONDS))
    formats = ", ".join(f"{name}" for name in report.formats)
    facts = [counted(len(report.files), "file"), formats, size(report.bytes_read), took, f"{rate}/s"]
    write(text((f"  {fitting(' · ').join(each for each in facts if each)}", "bright_black")))


def _write_written(written: Written) -> None:
    parts = [f"Wrote {counted(written.rows, 'line')} to {clean(written.place)}"]
    if written.malformed:
        parts.append(f"{written.malformed:,} malformed apart")
    if written.before:
        parts.append(f"{written.before:,} were there")
    if written.unfinished:
        parts.append(
            "the last line has no end yet" if written.unfinished == 1 else f"{written.unfinished:,} have no end yet"
        )
    if written.files:
        parts += [counted(written.files, "file"), size(written.bytes)]
    write(text((f"{glyph('Completed')} ", "green"), fitting(" · ").join(parts)))


def _write_traffic(report: LogReport) -> None:
    assert report.start is not None
    assert report.end is not None
    write()
    write(text((f"{report.start:%Y-%m-%d %H:%M:%S} {fitting('→')} {report.end:%Y-%m-%d %H:%M:%S} UTC", "bright_black")))
    columns = 48
    series = {} if report.minutes is None else {name: report.minutes[name].to_list() for name in report.minutes.columns}
    shown = [("Requests" if not report.levels else "Lines", f"{report.requests:,}", "requests", "cyan")]
    shown.append(("Failed", f"{report.error_rate:.2%}", "failed", "red"))
    if not report.levels:
        shown.append(("Sent", size(report.bytes_sent), "bytes", "blue"))
    for name, told, column, colour in shown:
        spark = sparkline(series.get(column, []), columns)
        write(text(f"  {name:<10}{told:>14}  ", (spark, colour)))
    if report.latency:
        told = fitting(" · ").join(f"{name} {value:.3f} s" for name, value in report.latency.items())
        write(f"  {'Time':<10}{told}")
    if report.sessions:
        write(f"  {'Visits':<10}{report.sessions:>14,}  {report.clients.distinct:,} clients")
    counts = report.levels or report.status_classes
    parts: list[Any] = [f"  {'Levels' if report.levels else 'Status':<10}"]
    for name, count in counts.items():
        parts += [(f"{name} ", CLASS_COLOURS.get(name, "default")), f"{count:,} ({count / report.requests:.1%})  "]
    write(text(*parts))


def _write_anomalies(report: LogReport) -> None:
    if not report.anomalies:
        return
    write()
    write(text(("Anomalies", "bold")))
    for found in report.anomalies[:20]:
        when = f"{found.start:%m-%d %H:%M}-{found.end:%H:%M}"
        write(text(f"  {when}  ", (f"{found.kind:<8}", KIND_COLOURS.get(found.kind, "yellow")), clean(found.reason)))
    if len(report.anomalies) > 20:
        write(f"  and {len(report.anomalies) - 20:,} more; --json has them all")


def _tops(report: LogReport) -> list[tuple[str, Top, list[str]]]:
    return [
        ("Paths", report.paths, ["path", "n", "failed"]),
        ("Failing", report.failing, ["path", "failed", "n"]),
        ("Slow", report.slow, ["path", "mean", "n"]),
        ("Clients", report.clients, ["client", "n", "refused", "sessions"]),
        ("Referrers", report.referrers, ["referrer", "n"]),
        ("Agents", report.agents, ["agent", "n"]),
        ("Robots", report.robots, ["agent", "n"]),
        ("Components", report.components, ["component", "n", "failed"]),
        ("Errors", report.templates, ["template", "failed", "first"]),
        ("New errors", report.new_templates, ["template", "failed", "first"]),
        ("Messages", report.messages, ["template", "n"]),
    ]


def _write_top(title: str, top: Top, names: list[str]) -> None:
    if not top.rows:
        return
    few = 5 if title in ("Agents", "Referrers", "Robots", "Slow", "Failing") else _MOST_ROWS
    write()
    many = f"{top.distinct:,}" if top.exact else f"at least {top.distinct:,}"
    write(text((title, "bold"), (f"  {many} in all" + ("" if top.exact else ", counts about"), "bright_black")))
    columns = [Column("requests" if name == "n" else name, name != names[0], 20 * (name == names[0])) for name in names]
    write_table(columns, [[_cell(row[name]) for name in names] for row in top.rows[:few]], indent=2)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f} s"
    return f"{value:,}" if isinstance(value, int) else clean(value)
