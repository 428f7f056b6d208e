"""`penstock workflows`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli import triggering, workflow_view
from penstock.cli.console import answer_in_json, clean, text, write, write_json
from penstock.cli.declared import PARAM, PARAMS_FILE
from penstock.cli.desk import at_desk
from penstock.cli.following import follow as follow_run
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.parameters import plain_parameters
from penstock.cli.workflow_desk import Text, complete_workflow
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.files import atomic_write
from penstock.core.workflows import WorkflowFilter
from penstock.orchestrator.records import run_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)

NAME = typer.Argument(metavar="NAME", help="Its name.", autocompletion=complete_workflow, show_default=False)
FILE = typer.Argument(metavar="FILE", help="A .yaml or .json file; - for YAML or JSON from stdin.", show_default=False)
KEY = typer.Option("--key", metavar="KEY", help="However often this is done with the same key, it is done once.")


@app.callback()
def _workflows() -> None:
    """Make workflows, which are flows given as data; list, change, run and delete them.

    A workflow is written as YAML or JSON. What it may call, the project says: [tool.penstock.workflows] modules.
    """


def _read(file: str) -> Text:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    as_json = file.lower().endswith(".json") or (file == "-" and content.lstrip()[:1] == b"{")
    return Text(content, "json" if as_json else "yaml")


def _told(record: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        write_json({"workflow": record})
    else:
        workflow_view.write_done(record, what, now_us())


@app.command(
    cls=Command,
    epilog=examples(
        "penstock workflows create nightly.yaml",
        "cat nightly.json | penstock workflows create - --json  # for scripts",
    ),
)
def create(
    file: Annotated[str, FILE], key: Annotated[str | None, KEY] = None, json: Annotated[bool, JSON] = False
) -> None:
    """Make a workflow of a file. Every mistake in it is told, and nothing is made then."""
    if json:
        answer_in_json()
    given = _read(file)
    with at_desk(writing=True) as desk:
        _told(desk.workflows.create(given, key), "is made", json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock workflows apply nightly.yaml  # make it, or have it become as the file says",
        "penstock workflows apply nightly.yaml --check  # only see whether it can be",
    ),
)
def apply(
    file: Annotated[str, FILE],
    check: Annotated[bool, typer.Option("--check", help="Only see whether it can be.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make a workflow of a file, or change the one of its name. What changes nothing makes no version."""
    if json:
        answer_in_json()
    given = _read(file)
    with at_desk(writing=not check) as desk:
        if not check:
            _told(desk.workflows.apply(given, None), "is as the file says", json)
            return
        desk.workflows.validate(given)
    if json:
        write_json({"valid": True})
    else:
        write(f"{clean(file)} is a workflow that can be.")


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock workflows list  # all of them, and when each is due next",
        "penstock workflows list --tag etl --active  # those with a tag whose schedules make runs",
        "penstock workflows list --json | jq -r '.workflows[].name'  # for scripts",
    ),
)
def list_workflows(
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only those with this tag.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Only those whose schedules make runs, or make none.")
    ] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only those with this in their name.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 200,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List workflows by name."""
    where = WorkflowFilter(tag=tag, active=active, text=search or "", limit=limit)
    with at_desk() as desk:
        found, total = desk.workflows.list(where)
    if json:
        write_json({"workflows": found, "total": total})
    elif found:
        workflow_view.write_list(found, total, now_us())
    elif tag or search or active is not None:
        write("No such workflows.")
    else:
        write(text("There are no workflows yet. Make one: ", ("penstock workflows create FILE.yaml", "cyan")))


@app.command(
    cls=Command,
    epilog=examples(
        "penstock workflows show nightly  # its tasks, and when it is due next",
        "penstock workflows show nightly --json  # for scripts",
    ),
)
def show(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Show a workflow: its schedule, its parameters and its tasks."""
    with at_desk() as desk:
        found = desk.workflows.get(name)
    if json:
        write_json({"workflow": found})
    else:
        workflow_view.write_one(found, now_us())


@app.command(cls=Command, epilog=examples("penstock workflows versions nightly  # who changed it, and when"))
def versions(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """List every version that a workflow had, the newest first; also of one that was deleted."""
    with at_desk() as desk:
        found = desk.workflows.versions(name)
    if json:
        write_json({"versions": found})
    else:
        workflow_view.write_versions(found, now_us())


@app.command(cls=Command, epilog=examples("penstock workflows rollback nightly 3  # make it what it was in version 3"))
def rollback(
    name: Annotated[str, NAME],
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version.", show_default=False)],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make a workflow what it was in an earlier version. That makes a new version; runs that have begun go on."""
    with at_desk() as desk:
        _told(desk.workflows.rollback(name, version), f"is what it was in version {version}", json)


@app.command(
    cls=Command, epilog=examples("penstock workflows clone nightly nightly_copy  # with its tasks, not active")
)
def clone(
    name: Annotated[str, NAME],
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="The name of the copy.", show_default=False)],
    key: Annotated[str | None, KEY] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make a workflow with the tasks and all of another one. It is not active."""
    with at_desk() as desk:
        _told(desk.workflows.clone(name, new_name, key), f"is made like {clean(name)}", json)


@app.command(cls=Command, epilog=examples("penstock workflows enable nightly  # its schedule makes runs from now on"))
def enable(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let the schedule of a workflow make runs from now on. What was due meanwhile is not made up for."""
    with at_desk() as desk:
        _told(desk.workflows.enable(name, True), "is active", json)


@app.command(cls=Command, epilog=examples("penstock workflows disable nightly  # its schedule makes no runs"))
def disable(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Let the schedule of a workflow make no runs. It can be triggered still."""
    with at_desk() as desk:
        _told(desk.workflows.enable(name, False), "is not active", json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock workflows trigger nightly  # now, by a worker",
        "penstock workflows trigger nightly -p rows=10 --follow  # watch it to its end",
        "penstock workflows trigger nightly --key order-1234  # however often this is called, it is one run",
        "penstock workflows trigger nightly --wait --json | jq .run.state  # for scripts",
    ),
)
def trigger(
    name: Annotated[str, NAME],
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[Path | None, PARAMS_FILE] = None,
    key: Annotated[str | None, KEY] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag the run; may be repeated.")] = None,
    run_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name the run.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show its states and its log until it ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and show only that.")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Have a workflow run once, by a worker.

    Exit codes: 0 the run exists (with --follow or --wait: it completed), 1 it failed or crashed, 2 a mistake, 3 it was
    cancelled, 130 Ctrl-C (the run goes on).
    """
    if json:
        answer_in_json()
    given, began = plain_parameters(param or (), params_file), now_us()
    with at_desk() as desk:
        made = desk.workflows.trigger(name, given, key=key, tags=tag or (), run_name=run_name)
        known = key is not None and made.created_at < began
        if json and not (follow or wait):
            write_json({"run": run_record(made, now_us()), "new": not known})
            return 0
        if not json and not wait:
            triggering.tell(desk.journal, made, known, advise=not follow)
        return follow_run(desk, made, lines=follow, as_json=json) if follow or wait else 0


@app.command(
    "dry-run",
    cls=Command,
    epilog=examples("penstock workflows dry-run nightly -p rows=10  # what a run would do; nothing is executed"),
)
def dry_run(
    name: Annotated[str, NAME],
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[Path | None, PARAMS_FILE] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Say what a run would do, and see that all it calls is there. Nothing is executed."""
    if json:
        answer_in_json()
    with at_desk() as desk:
        plan = desk.workflows.plan(name, plain_parameters(param or (), params_file))
    if json:
        write_json({"plan": plan})
    else:
        workflow_view.write_plan(plan)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock workflows export nightly > nightly.yaml  # what `apply` takes",
        "penstock workflows export nightly --version 2 --format json --out nightly.json",
    ),
)
def export(
    name: Annotated[str, NAME],
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="yaml or json.")] = "yaml",
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="An earlier version; the present one when left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there instead of to stdout.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Write a workflow, or an earlier version of it, as a text that can be applied."""
    if form not in ("yaml", "json"):
        raise ConfigurationError(f"There is no format {form!r}.", hint="give --format yaml or --format json")
    with at_desk() as desk:
        found = desk.workflows.export(name, "yaml" if form == "yaml" else "json", version)
    if out is not None:
        try:
            with atomic_write(out, "wb") as file:
                file.write(found)
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error.strerror}.") from None
    if json:
        write_json({"workflow": name, "file": str(out) if out else None, "text": None if out else found.decode()})
    elif out is not None:
        write(f"{clean(out)} is written.")
    else:
        sys.stdout.write(found.decode())


@app.command(cls=Command, epilog=examples("penstock workflows delete nightly  # its runs stay"))
def delete(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Remove a workflow and its schedule. Its runs stay, and its versions can still be exported."""
    with at_desk() as desk:
        desk.workflows.delete(name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted the workflow {clean(name)}; its runs stay.")


command = typer.main.get_command(app)
