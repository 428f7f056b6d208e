"""`penstock deployments`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli import deployment_view, triggering
from penstock.cli.console import (
    Column,
    answer_in_json,
    clean,
    colour,
    counted,
    glyph,
    text,
    write,
    write_json,
    write_parts,
    write_table,
)
from penstock.cli.declared import PARAM, PARAMS_FILE
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.plans import (
    complete_deployment,
    complete_pool,
    complete_schedule,
    deployment_record,
    following,
    instant_told,
    next_sentence,
    next_told,
    schedules_told,
    undue,
)
from penstock.cli.session import complete_flow
from penstock.cli.units import age
from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter, StoredDeployment
from penstock.orchestrator.engines import engine_of
from penstock.orchestrator.records import run_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_OPEN = ("Scheduled", "Pending", "Running", "Retrying", "Paused")

DEPLOYMENT = typer.Argument(metavar="NAME", help="Its name.", autocompletion=complete_deployment, show_default=False)
SCHEDULE = typer.Option(
    metavar="SCHEDULE",
    help="Only this schedule of it.",
    autocompletion=lambda ctx, incomplete: complete_schedule(ctx.params.get("name") or ""),
)


@app.callback()
def _deployments() -> None:
    """List, show, run, pause, resume and delete deployments.

    A deployment is a flow that is run without being called: by its schedules, or by `penstock deployments run`.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock deployments list  # all of them, and when each is due next",
        "penstock deployments list --pool etl  # of one pool",
        "penstock deployments list --json | jq -r '.deployments[].name'  # for scripts",
    ),
)
def list_deployments(
    flow: Annotated[
        str | None, typer.Option(metavar="FLOW", help="Only of this flow.", autocompletion=complete_flow)
    ] = None,
    pool: Annotated[
        str | None, typer.Option(metavar="POOL", help="Only of this pool.", autocompletion=complete_pool)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 200,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List deployments by name: when each is due next, and how its last run ended."""
    with at_desk() as desk:
        journal, now = desk.journal, now_us()
        found = [d for d in journal.deployments() if flow in (None, d.flow) and pool in (None, d.pool)]
        more, found = len(found) - limit, found[:limit]
        last = {each.name: next(iter(journal.runs(RunFilter(deployment=each.name, limit=1))), None) for each in found}
    if json:
        write_json({"deployments": [_with_last(each, last[each.name], now) for each in found], "more": max(more, 0)})
    elif not found:
        told = "No such deployments." if flow or pool else "There are no deployments yet. Make one: "
        write(text(told, *([] if flow or pool else [("penstock deploy", "cyan")])))
    else:
        _write_list(found, last, now)
        if more > 0:
            write(text((f"\n{counted(more, 'other')}: --limit shows more", _DIM)))


def _with_last(stored: StoredDeployment, last: Run | None, now: int) -> dict[str, Any]:
    return {**deployment_record(stored), "last_run": run_record(last, now) if last is not None else None}


def _write_list(found: list[StoredDeployment], last: dict[str, Run | None], now: int) -> None:
    columns = [
        Column("deployment", least=8),
        Column("flow", least=6, leaves=3),
        Column("schedule", least=10, leaves=2),
        Column("next"),
        Column("last run"),
        Column("", right=True, leaves=1),
        Column("pool", least=6, leaves=4),
    ]
    rows: list[list[Any]] = []
    for stored in found:
        run = last[stored.name]
        state = run.shown_state(now) if run is not None else ""
        told = next_told(stored, now)
        rows.append(
            [
                clean(stored.name),
                clean(stored.flow),
                text((schedules_told(stored), _DIM)),
                text((told, "yellow" if told == "paused" else "")),
                text((f"{glyph(state)} {state}", colour(state))) if run is not None else "",
                text((age(run.created_at, now), _DIM)) if run is not None else "",
                text((clean(stored.pool), _DIM)),
            ]
        )
    write_table(columns, rows)


app.command(
    "show",
    cls=Command,
    epilog=examples(
        "penstock deployments show nightly  # when it is due, what it promises, how its last runs ended",
        "penstock deployments show nightly --next 20  # the next 20 times",
        "penstock deployments show nightly --json | jq -r .next[0].utc  # for scripts",
    ),
)(deployment_view.show)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock deployments run nightly  # now, by a worker of its pool",
        "penstock deployments run nightly -p day=2026-01-31 --follow  # watch it to its end",
        'penstock deployments run nightly --at "2026-01-31T06:00"  # later; "in 15m" is understood too',
        "penstock deployments run nightly --key order-1234  # however often this is called, it is one run",
        "penstock deployments run nightly --wait --json | jq .run.state  # for scripts",
    ),
)
def run(
    name: Annotated[str, DEPLOYMENT],
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[Path | None, PARAMS_FILE] = None,
    at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When it is due: an ISO time of this machine, or in 15m.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="A second run with the same key is the first one.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag the run; may be repeated.")] = None,
    run_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name the run.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show its states and its log until it ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and show only that.")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Have a deployment run once, by a worker of its pool.

    Parameters go over those of the deployment, and are checked here where its flow can be imported.

    Exit codes: 0 the run exists (with --follow or --wait: it completed), 1 it failed or crashed, 2 a mistake, 3 it was
    cancelled, 130 Ctrl-C (the run goes on).
    """
    if json:
        answer_in_json()
    asked = triggering.Asked(name, param or (), params_file, at, key, tag or (), run_name)
    return triggering.run(asked, follow=follow, wait=wait, as_json=json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock deployments pause nightly  # its schedules make no runs",
        "penstock deployments pause nightly --schedule schedule-2  # one of them makes none",
    ),
)
def pause(
    name: Annotated[str, DEPLOYMENT],
    schedule: Annotated[str | None, SCHEDULE] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Let the schedules of a deployment make no runs, until it is resumed.

    Runs that exist already go on, and `penstock deployments run` still makes some.
    """
    with at_desk() as desk:
        _tell(desk.deployments.pause(name, schedule), json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock deployments resume nightly",
        "penstock deployments resume nightly --schedule schedule-2  # one of its schedules",
    ),
)
def resume(
    name: Annotated[str, DEPLOYMENT],
    schedule: Annotated[str | None, SCHEDULE] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Let the schedules of a deployment make runs again, from now on.

    What was due meanwhile is not made up for.
    """
    with at_desk() as desk:
        _tell(desk.deployments.resume(name, schedule), json)


def _tell(stored: StoredDeployment, as_json: bool) -> None:
    if as_json:
        write_json({"deployment": deployment_record(stored)})
        return
    now = now_us()
    for schedule in stored.schedules:
        rests = stored.paused or schedule.paused
        due = f"due {instant_told(schedule)}" if schedule.next_due is not None else undue(engine_of(stored))
        told = "paused" if rests else due
        write(text(clean(f"{stored.name}, {schedule.name}: "), (told, "yellow" if rests else "green")))
    if not stored.schedules:
        write(f"{clean(stored.name)} has no schedules; it runs when it is triggered.")
    elif not stored.paused and following(stored) is not None:
        write(text((next_sentence(stored, now), _DIM)))


@app.command(cls=Command, epilog=examples("penstock deployments delete nightly"))
def delete(name: Annotated[str, DEPLOYMENT], json: Annotated[bool, JSON] = False) -> None:
    """Remove a deployment and its schedules. Its runs stay, and those that wait are still executed."""
    with at_desk() as desk:
        desk.deployments.delete(name)
        waiting = desk.journal.runs(RunFilter(deployment=name, states=_OPEN, limit=1000))
    if json:
        write_json({"deleted": name, "unfinished_runs": [each.id for each in waiting]})
        return
    write_parts([[(f"Deleted the deployment {clean(name)}; its runs stay.", "")]])
    if waiting:
        told = f"{counted(len(waiting), 'run')} of it {'has' if len(waiting) == 1 else 'have'} not ended: "
        write(text(told, (f"penstock runs list --deployment {clean(name)}", "cyan")))


command = typer.main.get_command(app)
