"""`penstock logs`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.bars import show_of
from penstock.cli.console import clean, counted, glyph, say, text, write, write_json
from penstock.cli.help import JSON, QUIET, Command, Group, examples
from penstock.cli.logs_follow import FORMAT, HTML, NEW_SINCE, PATTERN, TIME_FORMAT, follow, new_since_of
from penstock.cli.logs_view import facts_of, save_page, write_report
from penstock.cli.session import executing
from penstock.cli.signals import until_told
from penstock.cli.units import size as size_told
from penstock.core.addresses import FILES, parsed
from penstock.core.errors import BadData, ConfigurationError, SinkUnavailable

if TYPE_CHECKING:
    from penstock.processing.logs import LogAnalyzer, LogReport, Progress

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_INTERRUPTED = 130
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE)


@app.callback()
def _logs() -> None:
    """Read log files far larger than memory, and say what is in them."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock logs analyze access.log  # what is in it",
        "penstock logs analyze access.log /var/log/nginx --html report.html  # and a page to share",
        "zcat old/*.gz | penstock logs analyze -  # standard input",
        "penstock logs analyze access.log --out lines  # and Parquet files of all lines, by day and hour",
        "penstock logs analyze app.log --json | jq .templates.rows  # for scripts",
        "penstock logs analyze /shared/logs --engine dask --scheduler tcp://10.0.0.5:8786  # a Dask cluster counts",
    ),
)
def analyze(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders, or - for standard input.")],
    format: Annotated[str, FORMAT] = "auto",
    pattern: Annotated[str | None, PATTERN] = None,
    time_format: Annotated[str | None, TIME_FORMAT] = None,
    new_since: Annotated[str | None, NEW_SINCE] = None,
    html: Annotated[Path | None, HTML] = None,
    out: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Write the lines, too: a folder for Parquet, or lake:TABLE.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="ENGINE", help="local, or dask: the workers of a cluster.")] = "local",
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of Dask: tcp://HOST:8786.")] = None,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Say what is in log files: traffic, errors, who asks for what, and what is not as usual.

    Files are read once, and may be far larger than memory. Every line is accounted for: parsed, malformed or blank.
    The exit code is 1 where a file could not be read to its end, or where no line means anything.
    """
    from penstock.processing.logs import LogAnalyzer

    if out is not None and engine != "local":
        raise ConfigurationError(
            f"--out writes from this process, and --engine {engine} does not read here.", hint="leave one of them out"
        )
    analyzer = LogAnalyzer(
        format=format,
        pattern=pattern,
        time_format=time_format,
        new_since=new_since_of(new_since),
        engine=engine,
        scheduler=scheduler,
    )
    show = show_of(clean(", ".join(files)), quiet=quiet or json)
    with until_told() as stop:
        show.start()
        try:
            report = _read(analyzer, files, out, lambda p: show.tell(facts_of(p), p.fraction), stop)
        finally:
            show.stop()
    if html is not None:
        save_page(html, report)
    if json:
        write_json(report.to_dict())
    else:
        write_report(report, quiet)
        if html is not None:
            write(text((f"{glyph('Completed')} ", "green"), f"Wrote {clean(html)}"))
    for file, trouble in report.problems.items():
        say(f"{clean(file)}: {trouble}")
    if stop.is_set():
        say("Stopped; this is of what had been read.")
        return _INTERRUPTED
    if report.senseless:
        say("No line means anything: is this a log? --format or --pattern say how its lines are written.")
    return 1 if report.problems or report.senseless else 0


def _read(
    analyzer: LogAnalyzer, files: list[str], out: str | None, tell: Callable[[Progress], None], stop: Event
) -> LogReport:
    if out is None:
        return analyzer.analyze(files, on_progress=tell, stop=stop)
    to_folder = parsed(out).scheme in (FILES, "file")
    with nullcontext() if to_folder else executing():  # what lands in a table is on record in the journal
        return analyzer.write(files, out, on_progress=tell, stop=stop)


app.command(
    cls=Command,
    epilog=examples(
        "penstock logs follow /var/log/nginx/access.log  # what comes, until Ctrl-C",
        "penstock logs follow app.log worker.log --json | jq .rate  # an object for each look at them",
        "penstock logs follow access.log --once --html report.html  # from cron: what is new, and a page of everything",
    ),
)(follow)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock logs generate access.log  # 100,000 lines, with six anomalies in them",
        "penstock logs generate big.log --size 2GB --days 7 --anomalies 20",
        "penstock logs generate slow.log --timed --seed 7  # each line says how long it took",
    ),
)
def generate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    lines: Annotated[int, typer.Option(metavar="N", min=1, help="How many requests, about.")] = 100_000,
    size: Annotated[str | None, typer.Option(metavar="SIZE", help="Instead of lines: 500MB, 2GB.")] = None,
    days: Annotated[float, typer.Option(metavar="N", help="How long a time the log is of.")] = 1.0,
    start: Annotated[str, typer.Option(metavar="DAY", help="Its first day.")] = "2026-01-05",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The same seed makes the same log.")] = 0,
    anomalies: Annotated[int, typer.Option(metavar="N", min=0, help="How many are planted.")] = 6,
    malformed: Annotated[int, typer.Option(metavar="N", min=0, help="How many lines mean nothing.")] = 10,
    timed: Annotated[bool, typer.Option("--timed", help="Each line says how long the request took.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Write an access log that never was, with anomalies and malformed lines in it.

    What was planted, and where, is told in FILE.planted.json.
    """
    from penstock.processing.logs import Traffic
    from penstock.processing.logs import generate as make

    wanted = Traffic.lines_in(_bytes(size)) if size is not None else lines
    traffic = Traffic(
        lines=wanted,
        days=_days(days),
        seed=seed,
        start=_day(start),
        anomalies=anomalies,
        malformed=malformed,
        timed=timed,
    )
    show = show_of(clean(file), quiet=quiet or json)
    show.start()
    try:
        told = make(file, traffic, on_progress=lambda n, all_: show.tell([counted(n, "line")], n / max(all_, 1)))
    except OSError as error:
        raise SinkUnavailable(f"{file} cannot be written: {error.strerror}.", hint="check the path") from None
    finally:
        show.stop()
    if json:
        write_json(told)
        return
    parts = [counted(told["lines"], "line"), size_told(file.stat().st_size)]
    write(text((f"{glyph('Completed')} ", "green"), f"Wrote {clean(file)}: {', '.join(parts)}"))
    if not quiet:
        planted = counted(len(told["anomalies"]), "anomaly", "anomalies")
        write(
            f"  {planted} and {counted(len(told['malformed']), 'malformed line')}, told in {clean(file)}.planted.json"
        )


def _bytes(told: str) -> int:
    found = _SIZE.fullmatch(told.strip())
    if found is None:
        raise BadData(f"{told!r} is no size.", hint="such as 500MB or 2GB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _day(told: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(told)
    except ValueError:
        raise BadData(f"{told!r} is no day.", hint="such as 2026-01-05") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _days(days: float) -> float:
    if not 1 / 1440 <= days <= 3660:
        raise BadData(f"A log of {days:g} days cannot be made.", hint="a minute (0.0007) at least, ten years at most")
    return days


command = typer.main.get_command(app)
