"""`penstock alerts`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.console import Column, clean, counted, fitting, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.units import age, ahead, iso
from penstock.core.calendar.moments import as_seconds
from penstock.core.clock import micros, now_us
from penstock.core.errors import ConfigurationError
from penstock.orchestrator.outbox import ToldAlert, alert_record
from penstock.orchestrator.silences import Silence, silence_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_SIGNS = {
    "told": ("✓", "green"),
    "failed": ("✗", "red"),
    "waiting": ("○", "yellow"),
    "sending": ("●", "cyan"),
    "silenced": ("·", _DIM),
    "skipped": ("·", "yellow"),
}


@app.callback()
def _alerts() -> None:
    """See what people were told, try it again, test a channel, and keep things quiet for a while.

    Channels are tables [tool.penstock.alerts.channels.NAME] of pyproject.toml.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples("penstock alerts list", "penstock alerts list --failed --json  # what could not be told"),
)
def list_alerts(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that could not be told.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that are still to be told.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="At most so many.")] = 50,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List alerts: those that wait, then the last ones that were told, or could not be told."""
    states = (("failed",) if failed else ()) + (("waiting", "sending") if waiting else ())
    with at_desk() as desk:
        found = desk.alerts.listed(states, limit)
    if json:
        write_json({"alerts": [alert_record(each) for each in found]})
    elif not found:
        write("There are no such alerts." if states else "Nobody was told of anything yet.")
    else:
        now = now_us()
        columns = [
            Column(""), Column("alert", least=10), Column("to", least=6), Column("id", leaves=2),
            Column("error", least=10, leaves=1), Column("when", right=True),
        ]  # fmt: skip
        write_table(columns, [_row(each, now) for each in found])


def _row(each: ToldAlert, now: int) -> list[Any]:
    sign, style = _SIGNS[each.state]
    when = ahead(each.due_at, now) if each.due_at is not None and each.due_at > now else age(each.at, now)
    told = text((fitting(f"{sign} "), style), each.state)
    return [told, clean(each.title), clean(", ".join(each.to)), clean(each.id), clean(each.error or ""), when]


@app.command(
    cls=Command,
    epilog=examples("penstock alerts retry run-failed/1204/0", "penstock alerts retry --all  # all that failed"),
)
def retry(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="See penstock alerts list --failed.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the last 1,000 that failed.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Have alerts that could not be told be tried anew; the scheduler does it."""
    if bool(ids) == every:
        raise ConfigurationError("Say which alerts.", hint="penstock alerts retry ID, or --all")
    with at_desk(writing=True) as desk:
        again = desk.alerts.retry(ids) if ids else desk.alerts.retry_failed()
    if json:
        write_json({"alerts": again})
    else:
        write(f"{counted(len(again), 'alert')} will be tried again.")


@app.command("test", cls=Command, epilog=examples("penstock alerts test team  # a message that says it is a test"))
def try_out(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name.", show_default=False)],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Send a message by a channel, now. The exit code is 1 where it could not be sent."""
    with at_desk() as desk:
        error, told = desk.alerts.try_out(channel)
    if json:
        write_json({"channel": channel, "ok": error is None, "error": error, "told": told})
    elif error is None:
        write(text((fitting("✓ "), "green"), f"{clean(channel)} took the message."))
    else:
        write(text((fitting("✗ "), "red"), clean(error)))
    if error is not None:
        raise typer.Exit(1)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock alerts silence --for 2h --reason 'moving the database'  # everything",
        "penstock alerts silence flow=fetch-* tags=prod --for 30m  # only alerts about these",
        "penstock alerts silence level=warning --from 2026-02-01T22:00+01:00 --for 8h  # later",
    ),
)
def silence(
    where: Annotated[
        list[str] | None,
        typer.Argument(metavar="FACT=VALUE", help="What alerts must be about: flow, tags, level, channel, ..."),
    ] = None,
    lasts: Annotated[str, typer.Option("--for", metavar="LENGTH", help="Such as 30m, 2h or 1 day.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="Not before then; now when left out.")] = "",
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Have nobody be told of certain things for a while. What happens then is not told later either."""
    filters: dict[str, Any] = {}
    for each in where or ():
        path, equals, value = each.partition("=")
        if not equals or not value:
            raise ConfigurationError(f"{each!r} is no filter.", hint="write FACT=VALUE, such as flow=fetch-*")
        filters[path] = [*filters.get(path, []), value]
    with at_desk(writing=True) as desk:
        made = desk.alerts.silence(filters, _length(lasts), since=_moment(since) if since else None, reason=reason)
    if json:
        write_json({"silence": silence_record(made, now_us())})
    else:
        write(text((fitting("✓ "), "green"), f"{made.id}  {_told(made)}, until {iso(made.until)}"))


def _length(given: str) -> float:
    if not given:
        raise ConfigurationError("Say for how long.", hint="--for 2h")
    try:
        return as_seconds(given)
    except ValueError as error:
        raise ConfigurationError(f"--for: {error}.") from None


def _moment(given: str) -> int:
    try:
        return micros(given)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"--from: {given!r} is no time.", hint="write 2026-01-31T06:00Z") from None


def _told(silence: Silence) -> str:
    filters = [f"{path}={_values(wanted)}" for path, wanted in silence.where.items()]
    return clean(" ".join(filters) or "everything")


def _values(wanted: Any) -> str:
    return ",".join(map(str, wanted)) if isinstance(wanted, (list, tuple)) else str(wanted)


@app.command(
    "silences",
    cls=Command,
    epilog=examples("penstock alerts silences", "penstock alerts silences --end 3fb2c1a09d77  # people are told again"),
)
def list_silences(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    end: Annotated[str, typer.Option(metavar="ID", help="End this one now.")] = "",
    json: Annotated[bool, JSON] = False,
) -> None:
    """List silences, or end one."""
    if end:
        with at_desk(writing=True) as desk:
            ended, silence = desk.alerts.end(end)
            found = [silence]
    else:
        with at_desk() as desk:
            found = desk.alerts.silences(every)
    records = [silence_record(each, now_us()) for each in found]
    if json:
        write_json({"silences": records})
    elif end:
        write("It is over." if ended else "It was over already.")
    elif not found:
        write("There are no silences.")
    else:
        columns = [Column("id"), Column(""), Column("of", least=10), Column("until"), Column("reason", leaves=1)]
        rows = zip(found, records, strict=True)
        write_table(columns, [[s.id, r["state"], _told(s), r["until"] or "", clean(s.reason or "")] for s, r in rows])


command = typer.main.get_command(app)
