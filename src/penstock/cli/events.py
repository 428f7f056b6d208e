"""`penstock events`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import Column, clean, fitting, text, width, write, write_json, write_json_line, write_table
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading, short
from penstock.cli.units import iso, micros, moment
from penstock.core.calendar.moments import as_seconds
from penstock.core.errors import ConfigurationError
from penstock.core.events import Stored, now_us, stored_name
from penstock.core.ports import Journal
from penstock.core.triggers import is_glob, names_like, stored_names
from penstock.orchestrator.emitting import emit as emit_to
from penstock.orchestrator.facts import Facts

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_LOOK_SECONDS = 0.5
_PAGE = 1000
_MOST_PAGES = 500
_QUIET = frozenset({"AutomationMatched", "ActionTried"})
"""What is only worth seeing for those who ask for it."""

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
    with reading() as penstock:
        found = list(_newest(penstock.journal, kind or (), after, about, limit))[::-1]
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
    patterns = kind or ()
    with executing() as penstock:
        journal, position = penstock.journal, penstock.journal.head()
        if since is not None:
            for facts in list(_newest(journal, patterns, _since(since), about, 10_000, position + 1))[::-1]:
                _write(facts, json)
        try:
            _follow(journal, patterns, about, position, json)
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
    with executing() as penstock:
        made = emit_to(penstock.journal, name, about, facts, key=key)
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


def _follow(journal: Journal, patterns: Sequence[str], about: str | None, position: int, as_json: bool) -> None:
    types, facts_of = _types(patterns), Facts(journal)
    watch = journal.watch()
    try:
        while True:
            sys.stdout.flush()
            found = journal.read(position, _PAGE, types)
            for stored in found:
                facts = _wanted(facts_of, stored, patterns, about)
                if facts is not None:
                    _write(facts, as_json)
            if found:
                position = found[-1].position
            if len(found) < _PAGE:
                watch.wait(_LOOK_SECONDS)
    finally:
        watch.close()


def _newest(
    journal: Journal,
    patterns: Sequence[str],
    since: int | None,
    about: str | None,
    limit: int,
    before: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Facts of the newest events, newest first."""
    types, facts_of = _types(patterns), Facts(journal)
    for _ in range(_MOST_PAGES):
        page = journal.read_back(before, _PAGE if since or about or patterns else limit, types)
        for stored in page:
            if since is not None and stored.event.at < since:
                continue
            facts = _wanted(facts_of, stored, patterns, about)
            if facts is not None:
                yield facts
                limit -= 1
                if not limit:
                    return
        if len(page) < _PAGE or (since is not None and all(stored.event.at < since for stored in page)):
            return
        before = page[-1].position


def _types(patterns: Sequence[str]) -> tuple[str, ...]:
    """Under which names events are stored that may be wanted."""
    if not patterns:
        return tuple(sorted(names_like("*") - _QUIET))
    found: set[str] = set()
    for pattern in patterns:
        found |= names_like(pattern)
        if pattern not in stored_names():
            found.add("Happened")
    return tuple(sorted(found))


def _wanted(facts_of: Facts, stored: Stored, patterns: Sequence[str], about: str | None) -> dict[str, Any] | None:
    facts = facts_of.of(stored)
    kind = stored_name(stored.event)[0]
    if patterns and not any(fnmatchcase(name, pattern) for name in (kind, facts["event"]) for pattern in patterns):
        return None
    if about is not None and not _is_about(facts, about):
        return None
    return facts


def _is_about(facts: dict[str, Any], about: str) -> bool:
    run = facts.get("run", {})
    if run and not is_glob(about) and (run["id"].startswith(about) or run["id"].endswith(about)):
        return True
    stream = facts["stream"].partition("/")[2]
    names = (run.get("name"), facts.get("flow"), facts.get("deployment"), facts.get("about"), facts.get("name"), stream)
    return any(name is not None and fnmatchcase(str(name), about) for name in names)


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
