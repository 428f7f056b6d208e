"""`penstock quality outliers` and `anomalies`: values unlike the others, and times unlike those before."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer

from penstock.cli.console import Column, answer_in_json, clean, counted, glyph, text, write, write_json, write_table
from penstock.cli.help import JSON, QUIET, Command, examples
from penstock.cli.quality_data import data_of
from penstock.core.errors import ConfigurationError
from penstock.quality.anomalies import DETECTORS, METHODS, AnomalyReport, ColumnOutliers, OutlierReport, anomalies_of
from penstock.quality.anomalies import outliers as outliers_of

_DIM = "bright_black"
_DATA = typer.Argument(metavar="DATA", help="A file or a pattern, an address such as lake:raw/orders, a dataset.")
_LIMIT = typer.Option("--limit", metavar="N", min=0, help="Show so many, the strangest ones; all are counted.")
_THRESHOLD = typer.Option(metavar="SCORE", help="From which score on something is strange; each method has its own.")


def add(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(
        "outliers",
        cls=Command,
        epilog=examples(
            "penstock quality outliers orders.parquet  # in all columns of numbers",
            "penstock quality outliers orders.csv --column amount --method iqr  # Tukey's fences",
            "penstock quality outliers orders.csv -c amount -c items --method forest  # columns taken together",
            "penstock quality outliers hourly.csv -c orders --method seasonal --period 24 --json  # for programs",
        ),
    )(outliers)
    app.command(
        "anomalies",
        cls=Command,
        epilog=examples(
            "penstock quality anomalies cpu.csv --time timestamp --value value  # each value, by those before it",
            "penstock quality anomalies sales.parquet -t day -v revenue --method seasonal  # weeks told from the times",
            "penstock quality anomalies meter.csv -t at -v kwh --zone Europe/Berlin  # times of local clocks",
            "penstock quality anomalies load.csv -t at -v load --method cusum --set drift=0.5 --json  # change points",
        ),
    )(anomalies)


def outliers(
    data: Annotated[str, _DATA],
    column: Annotated[
        list[str] | None, typer.Option("--column", "-c", metavar="COLUMN", help="Look at this one; may be repeated.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help=f"One of {', '.join(METHODS)}.")] = "mad",
    threshold: Annotated[float | None, _THRESHOLD] = None,
    period: Annotated[int, typer.Option(metavar="ROWS", min=0, help="Of seasonal: values repeat after so many.")] = 0,
    limit: Annotated[int, _LIMIT] = 10,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Find values unlike the others of their column, however large the data is.

    The whole column is looked at first. Nulls and NaN are left out; infinite values are outliers.
    """
    if json:
        answer_in_json()
    report = outliers_of(
        data_of(data), column or None, method=method, threshold=threshold, period=period, limit=max(limit, 0)
    )
    if json:
        write_json(report.as_dict())
    else:
        _write_outliers(report, quiet)


def anomalies(
    data: Annotated[str, _DATA],
    value: Annotated[list[str], typer.Option("--value", "-v", metavar="COLUMN", help="Numbers; may be repeated.")],
    time: Annotated[
        str | None, typer.Option("--time", "-t", metavar="COLUMN", help="Their times; else rows are in order.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help=f"One of {', '.join(DETECTORS)}.")] = "tails",
    threshold: Annotated[float | None, _THRESHOLD] = None,
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times that say nothing of theirs, such as Europe/Berlin.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="A setting of the method; may be repeated.")
    ] = None,
    limit: Annotated[int, _LIMIT] = 20,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Find what is strange in a series: each value is compared with those before it, never with later ones.

    Gaps are left open, and the period is told from the times: a day, or a week of daily values.
    """
    if json:
        answer_in_json()
    settings = _settings(setting or [])
    if threshold is not None:
        settings["threshold"] = threshold
    given = data_of(data)
    reports = [anomalies_of(given, name, time, method=method, zone=zone, **settings) for name in value]
    if json:
        write_json([report.as_dict() for report in reports])
        return
    for report in reports:
        _write_anomalies(report, limit, quiet)


def _settings(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in given:
        name, _, number = each.partition("=")
        try:
            found[name] = int(number) if number.strip().lstrip("-").isdigit() else float(number)
        except ValueError:
            raise ConfigurationError(f"{each!r} is no setting.", hint="such as --set window=500") from None
    return found


def _write_outliers(report: OutlierReport, quiet: bool) -> None:
    if not quiet:
        _write_notes(report.notes if report.columns else (*report.notes, "there is no column of numbers"))
        columns = [Column("column", least=12), Column("outliers", right=True), Column("values", right=True)]
        columns += [Column("missing", right=True), Column("below", right=True), Column("above", right=True)]
        if report.columns:
            write_table([*columns, Column("", least=10, leaves=1)], [_row(each) for each in report.columns])
        for each in report.outliers:
            write(text((f"  row {each.row:,}  ", _DIM), clean(each.reason)))
        if report.count > len(report.outliers):
            write(text((f"  and {report.count - len(report.outliers):,} more", _DIM)))
        write()
    _write_end(report.count, report.summary())


def _row(column: ColumnOutliers) -> list[str]:
    lines = ["" if line is None else f"{line:,.6g}" for line in (column.low, column.high)]
    counts = [f"{count:,}" for count in (column.outliers, column.checked, column.missing)]
    return [clean(column.column), *counts, *lines, column.note]


def _write_anomalies(report: AnomalyReport, limit: int, quiet: bool) -> None:
    if not quiet:
        _write_notes(report.notes)
        worst = sorted(report.anomalies, key=lambda each: -each.score)[:limit]
        for each in sorted(worst, key=lambda each: each.row):
            when = _span(each.start, each.end) if each.start is not None else f"row {each.row:,}"
            points = "" if each.points == 1 else f"  ({counted(each.points, 'value')})"
            write(text((f"  {when}  ", "cyan"), clean(each.reason), (points, _DIM)))
        if len(report.anomalies) > len(worst):
            write(text((f"  and {len(report.anomalies) - len(worst):,} more", _DIM)))
    _write_end(len(report.anomalies), report.summary())


def _span(start: datetime.datetime, end: datetime.datetime | None) -> str:
    first = f"{start:%Y-%m-%d %H:%M:%S}"
    if end is None or end == start:
        return f"{first}Z"
    return f"{first} to {end:%H:%M:%S}Z" if end.date() == start.date() else f"{first} to {end:%Y-%m-%d %H:%M:%S}Z"


def _write_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        write(text((f"Note: {clean(note)}", _DIM)))


def _write_end(count: int, summary: str) -> None:
    sign, colour = (glyph("Failed"), "yellow") if count else (glyph("Completed"), "green")
    write(text((f"{sign} ", colour), (clean(summary), "bold")))
