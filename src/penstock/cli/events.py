"""`penstock events`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import Column, clean, fitting, text, width, write, write_json, write_json_line, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import short
from penstock.cli.units import iso, micros, moment
from penstock.core.calendar.moments import as_seconds
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.orchestrator.watching import EventFilter

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_MOST_LATELY = 10_000

TYPE = typer.Option(
    "--type", metavar="NAME", help="Only these events: RunFailed, 'Run*', 'orders.*', 'Task*'; may be repeated."
)
SINCE = typer.Option("--since", metavar="WHEN", help="Only later ones: 90s, 15m, 2h, 3d, or an ISO time.")
ABOUT = typer.Option(
    "--about", metavar="TEXT", help="Only about this run, flow, deployment or thing; * and ? stand for any text."
)


@app.callback()
def _events() -> None:
    """See what happens, and tell of it: the events of the journal, Penstock's own and those of `emit_event`.

    Events of steps (`Task*`) are shown only where they are asked for.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock events list  # the last ones",
        "penstock events list --type RunFailed --since 2h  # what failed in the last two hours",
        "penstock events list --type 'orders.*' --about orders --json  # for scripts",
    ),
)
def list_events(
    kind: Annotated[list[str] | None, TYPE] = None,
    since: Annotated[str | None, SINCE] = None,
    about: Annotated[str | None, ABOUT] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many, the newest.")] = 30,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List the newest events, in the order in which they were recorded."""
    after = _since(since) if since is not None else None
    with at_desk() as desk:
        where = EventFilter(patterns=tuple(kind or ()), about=about, since=after)
        found = desk.events.newest(where, limit)[::-1]
    if json:
        write_json({"events": found})
    elif not found:
        write("No such events." if kind or since or about else "Nothing has happened yet.")
    else:
        columns = [Column("time"), Column("event", least=12), Column("about", least=12), Column("", least=10, leaves=1)]
        write_table(columns, [_row(facts) for facts in found])


@app.command(
    cls=Command,
    epilog=examples(
        "penstock events follow  # what happens from now on, until Ctrl-C",
        "penstock events follow --type 'Run*' --since 10m  # and what happened in the last ten minutes",
        "penstock events follow --json | jq .event  # JSON Lines: one object a line",
    ),
)
def follow(
    kind: Annotated[list[str] | None, TYPE] = None,
    since: Annotated[str | None, SINCE] = None,
    about: Annotated[str | None, ABOUT] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show events as they are recorded, until Ctrl-C."""
    where = EventFilter(patterns=tuple(kind or ()), about=about)
    lately = None
    if since is not None:
        lately = EventFilter(patterns=where.patterns, about=about, since=_since(since))
    with at_desk(writing=True) as desk:
        try:
            for facts in desk.events.follow(where, lately, _MOST_LATELY):
                _write(facts, json)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return


@app.command(
    cls=Command,
    epilog=examples(
        "penstock events emit orders.imported --about orders --fact rows=1200  # something happened",
        "penstock events emit orders.imported --key 2026-01-31  # once, however often this is called",
    ),
)
def emit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What happened, such as orders.imported.")],
    about: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it is about, such as the name of a dataset.")
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="More about it: JSON, or else a text; may be repeated."),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="A second event with it is the first one.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Record that something happened, for automations and for people."""
    facts = _given(fact or ())
    with at_desk(writing=True) as desk:
        made = desk.events.emit(name, about, facts, key)
    if json:
        told = {"name": made.name, "at": iso(made.at), "about": made.about, "facts": made.facts}
        write_json({"event": told})
    else:
        write(text((fitting("✓ "), "green"), clean(made.name), (f"  {moment(made.at)}", _DIM)))


def _given(facts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in facts:
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or not name or name in found:
            what = "is given twice" if name in found and equals else "is not NAME=VALUE"
            raise ConfigurationError(f"--fact {item!r} {what}.", hint="such as --fact rows=1200")
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


def _since(given: str) -> int:
    stripped = given.strip()
    try:
        if stripped[:1].isdigit() and "-" not in stripped:
            return now_us() - int(as_seconds(stripped) * 1_000_000)
        return micros(stripped)
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(
            f"--since {given!r} is no time.", hint="give a length such as 15m or 2h, or an ISO time"
        ) from None


def _row(facts: dict[str, Any]) -> list[Any]:
    return [text((_time(facts), _DIM)), clean(facts["event"]), clean(_about(facts)), text((clean(_more(facts)), _DIM))]


def _write(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json_line(facts)
        return
    line = f"{_time(facts)}  {clean(facts['event']):<20}  {clean(_about(facts))}  {clean(_more(facts))}".rstrip()
    write(line if len(line) <= width() else line[: width() - 1] + "…")


def _time(facts: dict[str, Any]) -> str:
    return moment(micros(facts["at"]))


def _about(facts: dict[str, Any]) -> str:
    run = facts.get("run")
    if facts.get("about") is not None:
        return str(facts["about"])
    if run:
        return f"{run.get('flow', 'run')} · {run.get('name', '')} {short(run['id'])}"
    if facts["stream"].startswith("event/"):
        return ""
    return str(facts["stream"]).partition("/")[2]


def _more(facts: dict[str, Any]) -> str:
    """What else there is to say in a few words."""
    if facts["event"] == "AutomationFired":
        return f"because of {facts['facts'].get('event')}"
    if facts.get("facts"):
        return "  ".join(f"{name}={value}" for name, value in facts["facts"].items())
    step = facts.get("step")
    told = [step.get("key") if isinstance(step, dict) else None, facts.get("message") or facts.get("reason")]
    if isinstance(facts.get("error"), dict) and not told[1]:
        told[1] = f"{facts['error'].get('type')}: {facts['error'].get('text', '')}"
    elif isinstance(facts.get("error"), str):
        told[1] = facts["error"]
    return "  ".join(str(each).partition("\n")[0] for each in told if each)


command = typer.main.get_command(app)
