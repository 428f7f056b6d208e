"""`penstock logs follow`."""

from __future__ import annotations

import datetime
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.console import answer_in_json, clean, counted, fitting, glyph, say, text, write, write_json_line
from penstock.cli.help import JSON, QUIET
from penstock.cli.live import Live, can_be_drawn_on
from penstock.cli.logs_view import CLASS_COLOURS, KIND_COLOURS, save_page, sparkline, write_report
from penstock.cli.session import executing
from penstock.cli.signals import until_told
from penstock.cli.times import instant
from penstock.cli.units import lasting, size
from penstock.core.errors import BadData
from penstock.core.events import now_us

if TYPE_CHECKING:
    from rich.text import Text

    from penstock.processing.logs import Anomaly, Interval

FORMAT = typer.Option(metavar="FORMAT", help="auto, access, json, syslog, hdfs, spark, iso.")
PATTERN = typer.Option(metavar="REGEX", help="Of a line: with groups time, level, component, message.")
TIME_FORMAT = typer.Option(metavar="FORMAT", help="Of the time in the pattern, such as '%d.%m.%Y %H:%M:%S'.")
NEW_SINCE = typer.Option(metavar="TIME", help="Errors met first since then are new: 2h, 2026-01-31; or the last tenth.")
HTML = typer.Option(metavar="FILE", help="Write a page with everything.")
_MICROSECONDS = 1_000_000
_REMEMBERED = 60
_SHOWN = 5
_DIM = "bright_black"


def follow(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files that are written on; they may come later.")
    ],
    format: Annotated[str, FORMAT] = "auto",
    pattern: Annotated[str | None, PATTERN] = None,
    time_format: Annotated[str | None, TIME_FORMAT] = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to say what came.")] = 0.5,
    once: Annotated[bool, typer.Option("--once", help="Read what has come since the last time, and end.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what was counted, and begin anew.")] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What was counted is kept under it; by default under the paths.")
    ] = None,
    new_since: Annotated[str | None, NEW_SINCE] = None,
    html: Annotated[Path | None, HTML] = None,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Read logs while they are written: what comes, what fails, and what is not as usual. Ctrl-C ends it.

    Files are followed through their rotations. What was counted is kept in the journal together with the place up to
    which it was; killed at any moment and called again, it goes on from there, and every line counts once.
    """
    from penstock.processing.logs import LogAnalyzer

    if json:
        answer_in_json()
    if not 0.05 <= every <= 3600:
        raise BadData(f"--every {every:g} cannot be.", hint="seconds, from 0.05 to 3600")
    analyzer = LogAnalyzer(
        format=format,
        pattern=pattern,
        time_format=time_format,
        new_since=new_since_of(new_since),
    )
    show = _show_of(clean(", ".join(files)), json=json, quiet=quiet)
    last: Interval | None = None
    with executing() as app, until_told() as stop:
        found = analyzer.follow(
            files, every=every, once=once, restart=restart, name=name, journal=app.journal, stop=stop
        )
        show.start()
        try:
            with closing(found):
                for last in found:
                    show.tell(last)
        finally:
            show.stop()
    if last is not None:
        _say_goodbye(last, html, plain=not json, quiet=quiet)
    return 0


def new_since_of(told: str | None) -> datetime.datetime | None:
    """The time that was given.

    Raises:
        ConfigurationError: it is no time.
    """
    if told is None:
        return None
    return datetime.datetime.fromtimestamp(instant("--new-since", told, now_us()) / _MICROSECONDS, datetime.UTC)


def _say_goodbye(last: Interval, html: Path | None, *, plain: bool, quiet: bool) -> None:
    if html is not None:
        save_page(html, last.report)
    if plain:
        write_report(last.report, quiet)
        if html is not None:
            write(text((f"{glyph('Completed')} ", "green"), f"Wrote {clean(html)}"))
    for file, trouble in last.report.problems.items():
        say(f"{clean(file)}: {trouble}")


class _Watch(Live):
    """Draws how it goes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._began = time.monotonic()
        self._last: Interval | None = None
        self._rates: deque[float] = deque(maxlen=_REMEMBERED)
        self._failures: deque[float] = deque(maxlen=_REMEMBERED)

    def tell(self, interval: Interval) -> None:
        """An interval is over."""
        self._rates.append(interval.rate)
        self._failures.append(interval.failed / interval.requests if interval.requests else 0.0)
        self._last = interval

    def drawn(self, columns: int, rows: int, moving: bool) -> Text | None:
        """How many lines come, how many of them failed, and the last anomalies."""
        if not moving:
            return None
        took = lasting(int((time.monotonic() - self._began) * _MICROSECONDS))
        lines = [text((fitting("● "), "cyan"), self._name, (f"  {took}", _DIM))]
        if self._last is not None:
            lines += self._told(self._last, max(min(_REMEMBERED, columns - 50), 10))
        for each in lines:
            each.truncate(columns, overflow="ellipsis")
        return text(*_between(lines[: max(rows, 1)], "\n"))

    def _told(self, now: Interval, columns: int) -> Iterator[Text]:
        report = now.report
        share = now.failed / now.requests if now.requests else 0.0
        sparks = sparkline(list(self._rates), columns), sparkline(list(self._failures), columns)
        yield text(f"  {'Lines':<8}{now.rate:>12,.0f}/s  ", (sparks[0], "cyan"), (f"  {_sums(now)}", _DIM))
        yield text(f"  {'Failed':<8}{share:>13.2%}  ", (sparks[1], "red"), (f"  {report.error_rate:.2%} of all", _DIM))
        parts: list[Any] = ["  "]
        for name, count in now.classes.items():
            parts += [(f"{name} ", CLASS_COLOURS.get(name, "default")), f"{count:,}  "]
        yield text(*parts)
        yield from map(_anomaly, report.anomalies[-_SHOWN:])


class _Lines:
    """Writes a line for each interval in which something came."""

    def start(self) -> None:
        """Nothing to say yet."""

    def tell(self, interval: Interval) -> None:
        """An interval is over."""
        if interval.lines:
            parts = [
                f"{interval.rate:,.0f} lines/s",
                *(f"{name} {count:,}" for name, count in interval.classes.items()),
            ]
            if interval.malformed:
                parts.append(f"{interval.malformed:,} malformed")
            if interval.behind:
                parts.append(f"{size(interval.behind)} behind")
            write(f"{interval.at.astimezone():%H:%M:%S}  {fitting(' · ').join(parts)}")
        for each in interval.new:
            write(_anomaly(each))
        sys.stdout.flush()

    def stop(self) -> None:
        """Nothing more to say."""


class _JsonLines(_Lines):
    """Writes an object for each interval."""

    def tell(self, interval: Interval) -> None:
        """An interval is over."""
        write_json_line(interval.to_dict())
        sys.stdout.flush()


class _Nothing(_Lines):
    """Waits for the end."""

    def tell(self, interval: Interval) -> None:
        """An interval is over."""


def _show_of(name: str, *, json: bool, quiet: bool) -> _Watch | _Lines:
    if json:
        return _JsonLines()
    if quiet:
        return _Nothing()
    return _Watch(name) if sys.stdout.isatty() and can_be_drawn_on() else _Lines()


def _sums(now: Interval) -> str:
    parts = [counted(now.report.lines, "line")]
    if now.report.malformed:
        parts.append(f"{now.report.malformed:,} malformed")
    if now.behind:
        parts.append(f"{size(now.behind)} behind")
    return fitting(" · ").join(parts)


def _anomaly(found: Anomaly) -> Text:
    when = f"{found.start:%m-%d %H:%M}-{found.end:%H:%M}"
    return text(f"  {when}  ", (f"{found.kind:<8}", KIND_COLOURS.get(found.kind, "yellow")), clean(found.reason))


def _between(lines: list[Text], separator: str) -> list[Any]:
    parts: list[Any] = []
    for line in lines:
        parts += [separator, line]
    return parts[1:]
