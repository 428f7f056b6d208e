"""`penstock schedule`."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import Column, clean, fitting, text, write, write_json, write_table
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.units import iso
from penstock.core.calendar import Occurrence, ScheduleSpec, preview, schedule
from penstock.core.errors import BadSchedule
from penstock.core.events import now_us

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)

_MARKS = {"moved": "→", "once": "●", "again": "↻", "skipped": "✗", "shifted": "·"}
_COLOURS = {"moved": "yellow", "once": "yellow", "again": "yellow", "skipped": "yellow", "shifted": "bright_black"}


@app.callback()
def _schedule() -> None:
    """See what a schedule will do before it does it."""


@app.command(
    "preview",
    cls=Command,
    epilog=examples(
        'penstock schedule preview "0 9-17 * * MON-FRI" --tz Europe/Paris  # a cron expression',
        "penstock schedule preview @daily --count 3  # a preset",
        'penstock schedule preview "every 90m" --from 2026-01-31T06:00  # an interval',
        'penstock schedule preview "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17"  # a rule of RFC 5545',
        'penstock schedule preview "30 2 * * *" --tz Europe/Paris --from 2026-03-28  # over a change of clocks',
    ),
)
def preview_schedule(
    expression: Annotated[
        str,
        typer.Argument(
            metavar="EXPR",
            help="A cron expression or preset, `every 15m`, an RRULE, or an ISO time.",
            show_default=False,
        ),
    ],
    tz: Annotated[str, typer.Option("--tz", metavar="ZONE", help="The time zone, such as Europe/Paris.")] = "UTC",
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="INSTANT", help="From this ISO time on; now, if it is not given."),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 10,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show when a schedule is due, in local time and in UTC.

    A mark stands wherever a change of clocks moves, repeats or leaves out a run. Nothing is scheduled by this.
    """
    spec, start = _read(expression, tz, begin)
    found = preview(spec, start - 1, count + 1)
    more, found = len(found) > count, found[:count]
    if json:
        write_json(
            {"schedule": msgspec.to_builtins(spec), "from": iso(start), "due": [_record(each) for each in found]}
        )
    else:
        _write(spec, found, more, start)


def _read(expression: str, tz: str, begin: str | None) -> tuple[ScheduleSpec, int]:
    """The schedule, and the instant to begin at. `@once` begins there too."""
    start, mistakes = now_us(), []
    if begin is not None:
        try:
            start = preview(schedule(at=begin, timezone=tz), -(10**17), 1)[0].due_us
        except BadSchedule as error:
            mistakes = [("--from" if where == "at" else where, what) for where, what in error.mistakes]
    try:
        once = {"start": iso(start)} if expression.strip().lower() == "@once" else {}
        spec = ScheduleSpec.read(expression, timezone=tz, **once)
    except BadSchedule as error:
        mistakes += [each for each in error.mistakes if each not in mistakes]
    if mistakes:
        raise BadSchedule([("--tz" if where == "timezone" else where, what) for where, what in mistakes])
    return spec, start


def _record(found: Occurrence) -> dict[str, Any]:
    return {"utc": found.utc, "local": found.local, "mark": found.mark, "note": found.note}


def _write(spec: ScheduleSpec, found: list[Occurrence], more: bool, start: int) -> None:
    write(text((clean(str(spec)), "bold")))
    write()
    if not found:
        write(f"Nothing is due from {iso(start)} on.")
        return
    rows: list[list[Any]] = []
    for each in found:
        local, offset = _split(each.local)
        utc, _ = _split(each.utc)
        note = f"{fitting(_MARKS[each.mark])} {each.note}" if each.mark else ""
        rows.append(
            [
                local,
                text((offset, "bright_black")),
                text((utc, "bright_black")),
                text((note, _COLOURS.get(each.mark or "", ""))),
            ]
        )
    write_table([Column("local"), Column("offset"), Column("UTC"), Column("", least=20)], rows)
    if not more:
        write(text(("\nThat was the last one.", "bright_black")))


def _split(moment: str) -> tuple[str, str]:
    """`Sun 2026-03-29 03:00` and `+02:00`, from an ISO text."""
    at = datetime.datetime.fromisoformat(moment)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]  # %a would follow the locale
    whole, offset = at.isoformat(" ")[:-6], at.isoformat()[-6:]
    return f"{day} {whole.removesuffix(':00')}", offset


command = typer.main.get_command(app)
