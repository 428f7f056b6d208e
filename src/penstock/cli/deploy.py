"""`penstock deploy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from penstock.cli.console import answer_in_json, clean, counted, fitting, text, write, write_json, write_parts
from penstock.cli.declared import CRON, INTERVAL, NAME, PARAM, PARAMS_FILE, TARGETS, ZONE, OfOne, declared
from penstock.cli.deploy_outside import engine_in, placed_record, put_there, take_away, write_placed
from penstock.cli.help import JSON, Command, examples
from penstock.cli.plans import deployment_record, following, instant_told, next_sentence, obstacle, spec_told
from penstock.cli.session import executing, reading
from penstock.cli.summary import advice
from penstock.core.deployments import SERVED, Deployment, as_data, of_data
from penstock.core.engines import Placed
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.model import StoredDeployment
from penstock.core.ports import Journal
from penstock.orchestrator.automations import automations_in_project, compared, declared_no_more
from penstock.orchestrator.automations import declare as declare_automations
from penstock.orchestrator.automations import delete as delete_automation
from penstock.orchestrator.deployments import delete
from penstock.orchestrator.engines import engine_of
from penstock.orchestrator.services import deploy as put
from penstock.orchestrator.services import refuse_taken_names

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SIGNS = {
    "new": ("+", "green"),
    "changed": ("~", "yellow"),
    "unchanged": ("·", "bright_black"),
    "removed": ("-", "red"),
}
_DIM = "bright_black"


class Change(NamedTuple):
    """One thing that is another than before; None where there was, or is, nothing."""

    what: str
    before: Any
    after: Any


class Deed(NamedTuple):
    """What is done about a deployment: new, changed, unchanged or removed."""

    name: str
    what: str
    changes: list[Change]


@app.command(
    cls=Command,
    epilog=examples(
        "penstock deploy  # all that pyproject.toml declares",
        "penstock deploy nightly --dry-run  # what would become of one of them",
        "penstock deploy --prune  # and remove what it declares no more",
        'penstock deploy flow.py:hello --name nightly --cron "0 2 * * *" --tz Europe/Paris  # without a file',
        "penstock deploy flow.py:hello --interval 15m -p name=moon  # every 15 minutes, with a parameter",
        "penstock deploy prefect nightly  # on a Prefect server, which PREFECT_API_URL names",
    ),
)
def deploy(
    targets: Annotated[list[str] | None, TARGETS] = None,
    name: Annotated[str | None, NAME] = None,
    cron: Annotated[list[str] | None, CRON] = None,
    interval: Annotated[str | None, INTERVAL] = None,
    tz: Annotated[str | None, ZONE] = None,
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[Path | None, PARAMS_FILE] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Of its runs; may be repeated.")] = None,
    pool: Annotated[str | None, typer.Option(metavar="POOL", help="Whose workers take its runs.")] = None,
    queue: Annotated[str | None, typer.Option(metavar="QUEUE", help="Of that pool.")] = None,
    concurrency: Annotated[int | None, typer.Option(metavar="N", min=1, help="So many of its runs at once.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Its schedules make no runs until it is resumed.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what pyproject.toml has declared, and declares no more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Deploy flows: from then on their schedules make runs, which workers execute.

    Deployments are declared in pyproject.toml, in tables such as [tool.penstock.deployments.nightly] with
    flow = "flow.py:hello" and cron = "0 2 * * *"; or one is given here. What is as it was goes on undisturbed, and
    what was paused by hand stays paused. Without names, the automations of pyproject.toml are declared too.
    Where the first name is that of an engine (prefect, airflow), the deployments are put there: it makes their runs.
    """
    if json:
        answer_in_json()
    options: dict[str, Any] = {
        **{"cron": cron or None, "interval": interval, "timezone": tz, "tags": tag or None, "pool": pool},
        **{"queue": queue, "concurrency": concurrency, "paused": paused or None},
    }
    if prune and targets:
        raise ConfigurationError(
            "--prune compares all of pyproject.toml with what is deployed.", hint="leave the names out: penstock deploy"
        )
    engine, named = engine_in(targets or ())
    found, file = declared(named, OfOne(name, options, param or (), params_file))
    if engine is not None:
        found = [msgspec.structs.replace(each, engine=engine) for each in found]
    automations = automations_in_project(file) if file is not None and not targets else {}
    with reading() if dry_run else executing() as penstock:
        journal = penstock.journal
        refuse_taken_names(journal, found)
        deeds = [_deed(journal, deployment) for deployment in found]
        if prune and file is not None:
            deeds += [Deed(gone, "removed", []) for gone in _gone(journal, file, found)]
        placed: dict[str, Placed] = {}
        if not dry_run:
            placed = {each.name: each for each in put_there(penstock, found)}
            put(*found, app=penstock)
            for deed in deeds:
                if deed.what == "removed":
                    take_away(penstock, next(iter(journal.deployments(deed.name)), None))
                    delete(journal, deed.name)
        told = compared(journal, automations.values())
        if prune and file is not None:
            told |= dict.fromkeys(declared_no_more(journal, file, automations), "removed")
        if not dry_run:
            declare_automations(journal, *automations.values())
            for each, what in told.items():
                if what == "removed":
                    delete_automation(journal, each)
        stored = {each.name: each for each in journal.deployments()}
        if json:
            also = [{"name": name, "change": what} for name, what in told.items()]
            write_json({**_record(deeds, stored, file, dry_run, placed), "automations": also})
            return
        for each, what in told.items():
            sign, style = _SIGNS[what]
            write(text((fitting(f"{sign} "), style), f"automation {clean(each)}", (f"  {what}", style)))
        _write(journal, deeds, stored, dry_run, placed)


def _deed(journal: Journal, deployment: Deployment) -> Deed:
    known = next(iter(journal.deployments(deployment.name)), None)
    if known is None:
        return Deed(deployment.name, "new", [])
    changes = changes_of(of_data(known.spec), of_data(as_data(deployment)))
    return Deed(deployment.name, "changed" if changes else "unchanged", changes)


def changes_of(before: Deployment, after: Deployment) -> list[Change]:
    """What tells two deployments apart."""
    found = []
    for field in Deployment.__struct_fields__:
        old, new = getattr(before, field), getattr(after, field)
        if field == "parameters":
            found += [Change(f"parameter {n}", old.get(n), new.get(n)) for n in sorted({*old, *new})]
        elif field == "schedules":
            olds, news = _schedules(old), _schedules(new)
            found += [Change(n, olds.get(n), news.get(n)) for n in dict.fromkeys([*olds, *news])]
        else:
            found.append(Change(field.replace("_", " "), msgspec.to_builtins(old), msgspec.to_builtins(new)))
    return [change for change in found if change.before != change.after]


def _schedules(schedules: Sequence[Any]) -> dict[str, Any]:
    """Each as a text, with all that makes it another one."""
    found = {}
    for each in schedules:
        more = [f"{name}={msgspec.json.encode(value).decode()}" for name, value in each.parameters.items()]
        shown = ("cron", "interval_seconds", "rrule", "at", "timezone")
        rest = {k: v for k, v in msgspec.to_builtins(each.spec).items() if k not in shown}
        more += [f"{name}={value}" for name, value in rest.items()] + (["paused"] if each.paused else [])
        name = each.name if each.name.startswith("schedule") else f"schedule {each.name}"
        found[name] = " ".join([spec_told(each.spec), *more])
    return found


def _gone(journal: Journal, file: Path, found: Sequence[Deployment]) -> list[str]:
    """Deployments of the file's folder that it does not declare. What a process serves is its own business."""
    names = {deployment.name for deployment in found}
    return [
        stored.name
        for stored in journal.deployments()
        if stored.name not in names and stored.pool != SERVED and of_data(stored.spec).folder == str(file.parent)
    ]


def _record(
    deeds: list[Deed],
    stored: dict[str, StoredDeployment],
    file: Path | None,
    dry_run: bool,
    placed: Mapping[str, Placed],
) -> Any:
    told = []
    for deed in deeds:
        known = stored.get(deed.name)
        record = deployment_record(known) if known is not None and not dry_run else None
        changes = [change._asdict() for change in deed.changes]
        there = placed_record(placed[deed.name], engine_of(stored[deed.name])) if deed.name in placed else None
        told.append({"name": deed.name, "change": deed.what, "changes": changes, "deployment": record, "placed": there})
    return {"file": str(file) if file is not None else None, "dry_run": dry_run, "deployments": told}


def _write(
    journal: Journal,
    deeds: list[Deed],
    stored: dict[str, StoredDeployment],
    dry_run: bool,
    placed: Mapping[str, Placed],
) -> None:
    now = now_us()
    longest = max((len(clean(deed.name)) for deed in deeds), default=0)
    for deed in deeds:
        sign, style = _SIGNS[deed.what]
        parts: list[Any] = [(fitting(f"{sign} "), style), clean(deed.name).ljust(longest), (f"  {deed.what:<9}", style)]
        known = stored.get(deed.name)
        if deed.name in placed and known is not None:
            parts.append(f"  {engine_of(known)} makes its runs")
        elif known is not None and deed.what != "removed" and not dry_run:
            parts.append(f"  {_next(known, now)}")
        write(text(*parts))
        for change in deed.changes:
            write(
                text((f"{clean(change.what)}  ", _DIM), _told(change.before), fitting(" → "), _told(change.after)),
                indent=4,
            )
        if deed.name in placed:
            write_placed(placed[deed.name], engine_of(stored[deed.name]))
    if dry_run:
        write(text(("\nNothing was changed: this was a dry run.", _DIM)))
        return
    here = [stored[deed.name] for deed in deeds if deed.name in stored and deed.name not in placed]
    _advise(journal, here, now)


def _next(stored: StoredDeployment, now: int) -> str:
    told, schedule = next_sentence(stored, now), following(stored)
    if told == "paused":
        return f"paused (penstock deployments resume {clean(stored.name)})"
    if schedule is None or told == "overdue":
        return told
    return f"{told} ({instant_told(schedule)})"


def _told(value: Any) -> str:
    if value in (None, [], ()):
        return "none"
    return clean(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _advise(journal: Journal, deployed: list[StoredDeployment], now: int) -> None:
    """The first thing that stands between these deployments and their runs."""
    places = dict.fromkeys((each.pool, each.queue) for each in deployed)
    found = [(place, trouble) for place in places if (trouble := obstacle(journal, *place, now)) is not None]
    if not found:
        return
    (told, command), others = found[0][1], len(found) - 1
    more = f" (and {counted(others, 'other queue')})" if others else ""
    write_parts([[], [(told + more, "")], *advice([(command, "")])])


command = typer.main.get_command(app)
