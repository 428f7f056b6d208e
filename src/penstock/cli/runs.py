"""`penstock runs`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli import answers, listing, run_logs, show
from penstock.cli.asking import YES, ask
from penstock.cli.console import (
    answer_in_json,
    clean,
    colour,
    counted,
    glyph,
    write_json,
    write_parts,
)
from penstock.cli.desk import at_desk, server
from penstock.cli.execution import execute
from penstock.cli.following import follow
from penstock.cli.help import JSON, PLAIN, QUIET, Command, Group, examples
from penstock.cli.session import complete_run, complete_step, going_on, named_run, short
from penstock.cli.summary import advice
from penstock.core.events import now_us
from penstock.core.extras import LateModule
from penstock.core.model import Run
from penstock.engine import recovery
from penstock.orchestrator.records import run_record

_remote: Any = LateModule("penstock.cli.desk_remote")
app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)

RUN = typer.Argument(
    metavar="RUN",
    help="Its id, the beginning or end of its id, its name, or `last`.",
    autocompletion=complete_run,
    show_default=False,
)
RUNS = typer.Argument(metavar="RUN...", help="One or more runs.", autocompletion=complete_run, show_default=False)


@app.callback()
def _runs() -> None:
    """List, show, pause, resume, fork, cancel and delete runs, and read their logs.

    A run is named by its id, by the beginning or the end of its id, by its name, or by `last`.
    """


app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock runs list  # the newest runs",
        "penstock runs list --state failed --state crashed  # what needs a look",
        "penstock runs list --flow users-posts --since 2h  # of one flow, of the last two hours",
        "penstock runs list --tag prod --param day=2026-01-31  # by tag and parameter",
        'penstock runs list --search "503 api" --until yesterday  # by words',
        "penstock runs list --before 8b5bd7be  # the next page",
        "penstock runs list --json | jq -r '.runs[].id'  # for scripts",
    ),
)(listing.list_runs)

app.command(
    "show",
    cls=Command,
    epilog=examples(
        "penstock runs show last  # the newest run",
        "penstock runs show amber-otter --all  # every call of every task",
        "penstock runs show 8b5bd7be --json  # for scripts",
    ),
)(show.show)

app.command(
    "logs",
    cls=Command,
    epilog=examples(
        "penstock runs logs last  # all of the newest run",
        "penstock runs logs last --follow  # and what is still to come",
        "penstock runs logs last --step fetch#2  # of one step",
        "penstock runs logs last --json  # JSON Lines: one object a line",
    ),
)(run_logs.logs)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs resume last  # go on with the newest run",
        "penstock runs resume 8b5bd7be  # with any run that crashed, failed, was cancelled or paused",
    ),
)
def resume(
    run: Annotated[str, RUN],
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Go on with a run that did not complete, in this process.

    Steps that completed are not executed again. A run whose process was killed goes on under its own id; one that has
    ended stays as it is, and a new run takes over its completed steps.
    A run that was begun with a profile goes on with it. With --server a worker of the server executes it, and its end
    is waited for.
    """
    if json:
        answer_in_json()
    if place := server():
        return _by_worker(place, run, None, quiet, json)
    with going_on(run) as (penstock, wanted):
        if answers.unpaused(penstock.journal, wanted, json):
            return 0
        going, flow = recovery.prepare_resume(penstock.engine, wanted.id)
        if going.id != wanted.id and not (quiet or json):
            told = f"{clean(wanted.name)} has ended ({wanted.state}) and stays as it is; "
            write_parts([[(told, "bright_black"), (f"a new run takes over: {clean(going.name)}", "")], []])

        def start() -> Any:
            return penstock.engine.resume(going.id, flow, True, going.owner)

        return execute(penstock, start, resumed=going, quiet=quiet, plain=plain, as_json=json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs fork last --from enrich  # again from the first call of the task enrich",
        "penstock runs fork 8b5bd7be --from fetch#3  # from its third call",
    ),
)
def fork(
    ctx: typer.Context,
    run: Annotated[str, RUN],
    from_step: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="STEP",
            help="This step, and every one after it, is executed anew.",
            autocompletion=lambda ctx, incomplete: complete_step(ctx.params.get("run") or "last"),
        ),
    ],
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Start a new run from any step of another one, whose earlier steps it takes over.

    The other run stays as it is. The steps of a run, as STEP wants them, are in `penstock runs show RUN`.
    """
    if json:
        answer_in_json()
    if place := server():
        return _by_worker(place, run, from_step, quiet, json)
    with going_on(run) as (penstock, origin):
        flow = recovery.flow_of(origin)
        made = recovery.fork(penstock.journal, origin, from_step)
        if not (quiet or json):
            write_parts([[(f"fork of {clean(origin.name)} from {clean(from_step)}: {clean(made.name)}", "")], []])

        def start() -> Any:
            return penstock.engine.resume(made.id, flow, True)

        return execute(penstock, start, resumed=made, quiet=quiet, plain=plain, as_json=json)


def _by_worker(place: str, run: str, from_step: str | None, quiet: bool, as_json: bool) -> int:
    """Have a server go on with a run: one of its workers executes it, and its end is waited for."""
    with _remote.asking(place) as desk:
        wanted = named_run(desk.journal, run)
        made = desk.again(wanted.id, from_step)
        if made.id != wanted.id and not (quiet or as_json):
            told = f"{clean(wanted.name)} stays as it is; a new run takes over: {clean(made.name)}"
            write_parts([[(told, "")], []])
        return follow(desk, made, lines=not quiet, as_json=as_json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs pause last  # it begins no other step",
        'penstock runs pause amber-otter --reason "the warehouse is moved"  # and says why',
        "penstock runs resume last  # it goes on",
    ),
)
def pause(
    run: Annotated[str, RUN],
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Let a run begin no other step until it is resumed. Steps under way, and those submitted before, end."""
    with at_desk() as desk:
        asked = desk.pause(named_run(desk.journal, run).id, reason)
    if json:
        write_json({"run": run_record(asked, now_us())})
        return
    told = "is paused" if asked.state == "Paused" else "pauses before its next step"
    ways = [(f"penstock runs resume {short(asked.id)}", "let it go on")]
    write_parts([[(f"{glyph('Paused')} ", colour("Paused")), (f"{clean(asked.name)} {told}", "")], *advice(ways)])


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs cancel last  # ask it to stop",
        "penstock runs cancel amber-otter --grace 60  # give it a minute before its processes are killed",
    ),
)
def cancel(
    run: Annotated[str, RUN],
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long it may take to stop by itself.")
    ] = 10.0,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Stop a run and everything it has started.

    Its process is asked first; after the grace time it is killed, together with every process it has started.
    """
    with at_desk() as desk:
        ended = desk.cancel(named_run(desk.journal, run).id, grace)
        if json:
            write_json({"run": run_record(ended, now_us())})
            return
    line = [(f"{glyph(ended.state)} ", colour(ended.state)), (f"{clean(ended.name)} ended {ended.state}", "")]
    ways = [(f"penstock runs resume {short(ended.id)}", "a new run, from the steps that completed")]
    write_parts([line, *(advice(ways) if ended.state != "Completed" else [])])


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs delete 8b5bd7be  # after asking",
        "penstock runs delete $(penstock runs list --state failed --json | jq -r '.runs[].id') --yes  # many",
    ),
)
def delete(
    runs: Annotated[list[str], RUNS],
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete runs with their subflow runs, logs and results, for good."""
    with at_desk() as desk:
        wanted = list({found.id: found for found in (named_run(desk.journal, name) for name in runs)}.values())
        if not yes:
            _confirm(wanted)
        count, files = desk.delete([found.id for found in wanted])
    if json:
        write_json({"deleted": [found.id for found in wanted], "runs": count, "result_files": files})
    else:
        also = f" and {counted(files, 'result file')}" if files is not None else ""
        write_parts([[(f"Deleted {counted(count, 'run')}{also}.", "")]])


def _confirm(runs: list[Run]) -> None:
    def show() -> None:
        for found in runs[:10]:
            write_parts([[(f"  {short(found.id)}  {clean(found.name)}  {clean(found.flow)}", "")]])

    ask(f"Delete {counted(len(runs), 'run')} for good?", show=show)


answers.register(app)
command = typer.main.get_command(app)
