"""`penstock automations`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.asking import YES, ask
from penstock.cli.automation_view import (
    write_automation,
    write_automations,
    write_firings,
    write_told,
)
from penstock.cli.console import clean, counted, fitting, text, write, write_json
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading
from penstock.core.automations import Automation
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.orchestrator import automations as plans
from penstock.orchestrator.declaring import project_file
from penstock.orchestrator.firings import automation_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_EXAMPLE = """[tool.penstock.automations.tell-me]
trigger = { event = "RunFailed" }
actions = [{ type = "notify", message = "{flow} failed: {message}" }]"""


def _complete(incomplete: str) -> list[str]:
    with suppress(PenstockError, OSError), reading() as penstock:
        names = [each.name for each in penstock.journal.automations()]
        return [name for name in names if name.startswith(incomplete) and name == clean(name)]
    return []


NAME = typer.Argument(metavar="NAME", help="Its name.", autocompletion=_complete, show_default=False)


@app.callback()
def _automations() -> None:
    """Declare, list, show, test, pause, resume and delete automations.

    An automation does something when something happens, or does not happen for too long. The scheduler looks after
    them: `penstock serve`, or `penstock worker start`.
    """


@app.command(
    cls=Command,
    epilog=examples(
        "penstock automations declare  # those of [tool.penstock.automations] in pyproject.toml",
        "penstock automations declare tell-me  # only this one",
    ),
)
def declare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Those of these names; all of them otherwise.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Declare the automations of pyproject.toml; `penstock deploy` does so too."""
    found = _of_project(names or ())
    with executing() as penstock:
        changed = plans.declare(penstock.journal, *found.values())
    if json:
        write_json({"automations": [{"name": name, "changed": name in changed} for name in found]})
        return
    for name in found:
        sign, style = ("✓", "green") if name in changed else ("·", _DIM)
        told = "declared" if name in changed else "as it was"
        write(text((fitting(f"{sign} "), style), clean(name), (f"  {told}", _DIM)))


def _of_project(names: list[str] | tuple[str, ...]) -> dict[str, Automation]:
    file = project_file(Path.cwd())
    found = plans.automations_in_project(file) if file is not None else {}
    unknown = [name for name in names if name not in found]
    if unknown or not found:
        what = f"no automation {unknown[0]!r}" if unknown else "no automations"
        raise ConfigurationError(
            f"{file or 'No pyproject.toml here or above'} declares {what}.",
            hint=f"add a table for each:\n{_EXAMPLE}",
        )
    return {name: found[name] for name in names or found}


@app.command(
    "list",
    cls=Command,
    epilog=examples("penstock automations list", "penstock automations list --json  # for scripts"),
)
def list_automations(json: Annotated[bool, JSON] = False) -> None:
    """List automations: what each waits for, what it does, and when it last fired."""
    with at_desk() as desk:
        found = desk.journal.automations()
    if json:
        write_json({"automations": [automation_record(each) for each in found]})
    elif not found:
        write(text("There are no automations yet. Declare some: ", ("penstock automations declare", "cyan")))
    else:
        write_automations(found)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock automations show tell-me  # what it is, and what its last firings did",
        "penstock automations show tell-me --limit 50  # more of them",
    ),
)
def show(
    name: Annotated[str, NAME],
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=1000, help="At most so many firings.")] = 10,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show an automation, what it remembers, and what became of its last firings."""
    with at_desk() as desk:
        stored, groups, reason, firings = desk.automations.seen(name, limit)
    if json:
        remembered = [{"group": each.group, **each.state} for each in groups]
        record = {**automation_record(stored), "reason": reason, "remembered": remembered}
        write_json({"automation": record, "firings": firings})
        return
    write_automation(stored, groups, reason if stored.paused else None)
    write_firings(firings)


@app.command(cls=Command, epilog=examples("penstock automations pause tell-me"))
def pause(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let an automation not fire until it is resumed; what it remembers is forgotten."""
    _change(name, True, json)


@app.command(cls=Command, epilog=examples("penstock automations resume tell-me"))
def resume(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let an automation fire again, because of what happens from now on."""
    _change(name, False, json)


def _change(name: str, paused: bool, as_json: bool) -> None:
    with at_desk(writing=True) as desk:
        changed, stored = desk.automations.switch(name, paused)
    if as_json:
        write_json({"automation": automation_record(stored), "changed": changed})
    elif changed:
        write(text((fitting("✓ "), "green"), f"{clean(name)} is {'paused' if paused else 'resumed'}."))
    else:
        write(f"{clean(name)} is {'paused' if stored.paused else 'not paused'} already.")


@app.command(cls=Command, epilog=examples("penstock automations delete tell-me --yes"))
def delete(
    name: Annotated[str, NAME],
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete an automation; what its firings have begun goes on."""
    with at_desk(writing=True) as desk:
        plans.find_automation(desk.journal, name)
        if not yes:
            ask(f"Delete the automation {clean(name)}?")
        desk.automations.delete(name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted {clean(name)}.")


@app.command(
    "test",
    cls=Command,
    epilog=examples(
        "penstock automations test tell-me --event failed.json  # would it fire, and what would it do?",
        "penstock events list --type RunFailed --json | penstock automations test tell-me --event -  # real events",
    ),
)
def try_out(
    name: Annotated[str, NAME],
    event: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Events as JSON: one, a list, one a line, or what `events list --json` says; - for stdin.",
        ),
    ],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show what an automation would do about events. Nothing is done, and nothing is recorded.

    It is the one in the journal, or else the one that pyproject.toml declares.
    """
    given = _events(event)
    with at_desk() as desk:
        told = desk.automations.rehearse(name, given)
    if json:
        write_json({"events": [msgspec.to_builtins(each) for each in told]})
        return
    for each in told:
        write_told(each)
    fires = sum(each.outcome == "fires" for each in told)
    write(text((f"\n{counted(len(told), 'event')}, {counted(fires, 'firing')}; nothing was done.", _DIM)))


def _events(file: str) -> list[dict[str, Any]]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        found = list(_documents(data))
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{file} is no JSON: {error}.", hint='write an event such as {"event": "RunFailed", "flow": "etl"}'
        ) from None
    if not found or not all(isinstance(each, dict) for each in found):
        raise ConfigurationError(f"{file} holds no events.", hint='{"event": "RunFailed", "flow": "etl"} is one')
    return found


def _documents(data: bytes) -> Iterator[Any]:
    try:
        whole = [msgspec.json.decode(data)]
    except msgspec.DecodeError:
        whole = [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
    for each in whole:
        if isinstance(each, dict) and isinstance(each.get("events"), list):
            yield from each["events"]
        elif isinstance(each, list):
            yield from each
        else:
            yield each


command = typer.main.get_command(app)
