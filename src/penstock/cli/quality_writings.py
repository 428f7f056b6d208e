"""`penstock quality writings`: what is not as usual in the history of a dataset."""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
import typer

from penstock.cli.console import answer_in_json, clean, counted, glyph, text, write, write_json
from penstock.cli.dataset import NAME
from penstock.cli.help import JSON, QUIET, Command, examples
from penstock.cli.session import reading
from penstock.quality.anomalies import MetricAnomaly, history_of, metric_anomalies


def add(app: typer.Typer) -> None:
    """Add this command to the group."""
    app.command(
        "writings",
        cls=Command,
        epilog=examples(
            "penstock quality writings orders  # too few rows, too many rejected or null, too late",
            "penstock quality writings orders --threshold 3 --json  # for programs",
        ),
    )(writings)


def writings(
    name: Annotated[str, NAME],
    threshold: Annotated[
        float, typer.Option(metavar="SCORE", help="From how many robust deviations on something is told.")
    ] = 5.0,
    learned: Annotated[
        int, typer.Option(metavar="N", min=2, help="How many writings there are before one is judged.")
    ] = 5,
    past: Annotated[
        bool, typer.Option("--past", help="Only what was written; a writing that is overdue is not told.")
    ] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Find writings of a dataset that are not as those before: too few rows, too many rejected or null, too late.

    Each is compared with the writings before it. One that is usual on its day of the week is no anomaly.
    """
    if json:
        answer_in_json()
    with reading() as penstock:
        known = history_of(name, penstock.journal)
    now = None if past else datetime.datetime.now(datetime.UTC)
    found = metric_anomalies(known, threshold=threshold, learned=learned, now=now)
    count = sum(each.metric == "volume" for each in known)
    if json:
        write_json({"dataset": name, "writings": count, "anomalies": [_record(each) for each in found]})
        return
    if not quiet:
        for each in found:
            write(text((f"  {each.at:%Y-%m-%d %H:%M:%S}Z  ", "cyan"), clean(each.reason)))
        if count <= learned:
            write(text((f"Note: writings are judged after {learned:,}", "bright_black")))
    sign, colour = (glyph("Failed"), "yellow") if found else (glyph("Completed"), "green")
    told = f"{clean(name)}: {counted(len(found), 'anomaly', 'anomalies')} in {counted(count, 'writing')}"
    write(text((f"{sign} ", colour), (told, "bold")))


def _record(found: MetricAnomaly) -> dict[str, object]:
    return {**msgspec.structs.asdict(found), "at": found.at.isoformat().replace("+00:00", "Z")}
