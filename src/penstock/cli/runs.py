"""`penstock runs`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from penstock.cli import logs, show
from penstock.cli.console import (
    Column,
    answer_in_json,
    clean,
    colour,
    counted,
    fitting,
    glyph,
    text,
    write,
    write_json,
    write_parts,
    write_table,
)
from penstock.cli.execution import execute
from penstock.cli.help import JSON, PLAIN, QUIET, Command, Group, examples
from penstock.cli.records import run_record
from penstock.cli.session import complete_flow, complete_run, complete_step, executing, named_run, reading, short
from penstock.cli.summary import advice
from penstock.cli.units import age, duration
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.core.states import StateType
from penstock.engine import recovery

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)

RUN = typer.Argument(
    metavar="RUN",
    help="Its id, the beginning or end of its id, its name, or `last`.",
    autocompletion=complete_run,
    show_default=False,
)
RUNS = typer.Argument(metavar="RUN...", help="One or more runs.", autocompletion=complete_run, show_default=False)
WORDS = {kind.word.lower(): kind.word for kind in StateType}
_OPEN = ("Running", "Retrying", "Pending", "Paused", "Scheduled")


@app.callback()
def _runs() -> None:
    """List, show, resume, fork, cancel and delete runs, and read their logs.

    A run is named by its id, by the beginning or the end of its id, by its name, or by `last`.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock runs list  # the newest runs",
        "penstock runs list --state failed --state crashed  # what needs a look",
        "penstock runs list --flow users-posts --limit 5  # of one flow",
        "penstock runs list --before 8b5bd7be  # the next page",
        "penstock runs list --json | jq -r '.runs[].id'  # for scripts",
    ),
)
def list_runs(
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="Only runs in this state; may be repeated.",
            autocompletion=lambda incomplete: [word for word in WORDS if word.startswith(incomplete.lower())],
        ),
    ] = None,
    flow: Annotated[
        str | None, typer.Option(metavar="FLOW", help="Only runs of this flow.", autocompletion=complete_flow)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only runs older than this one.", autocompletion=complete_run)
    ] = None,
    children: Annotated[bool, typer.Option("--children", help="List the runs of subflows too.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List runs, newest first."""
    wanted = _states(state)
    with reading() as penstock:
        now = now_us()
        before_id = named_run(penstock.journal, before).id if before is not None else None
        where = RunFilter(flow=flow, before=before_id, children=children, limit=limit + 1)
        runs = _page(penstock.journal, where, wanted, now)
    more = len(runs) > limit
    runs = runs[:limit]
    if json:
        write_json({"runs": [run_record(run, now) for run in runs], "next": runs[-1].id if more else None})
    elif not runs:
        told = "No such runs." if state or flow or before else "There are no runs yet."
        write(text(told, fitting("  Start one: "), ("penstock run FILE.py", "cyan")) if not state else told)
    else:
        write_runs(runs, now)
        if more:
            write(text((f"\nolder: penstock runs list --before {short(runs[-1].id)}", "bright_black")))


def _states(given: list[str] | None) -> set[str]:
    wanted: set[str] = set()
    for word in ",".join(given or ()).lower().split(","):
        if word.strip() and word.strip() not in WORDS:
            raise ConfigurationError(f"There is no state {word.strip()!r}.", hint=f"there are: {', '.join(WORDS)}")
        if word.strip():
            wanted.add(WORDS[word.strip()])
    return wanted


def _page(journal: Journal, where: RunFilter, wanted: set[str], now: int) -> list[Run]:
    """Runs by the state they are shown in: one whose process is gone is on record as Running, and is Crashed."""
    asked = wanted | set(_OPEN) if "Crashed" in wanted else wanted
    found: list[Run] = []
    before = where.before
    while True:
        page = journal.runs(
            RunFilter(
                states=tuple(sorted(asked)),
                flow=where.flow,
                before=before,
                children=where.children,
                limit=where.limit,
            )
        )
        found += [run for run in page if not wanted or run.shown_state(now) in wanted]
        if len(page) < where.limit or len(found) >= where.limit:
            return found[: where.limit]
        before = page[-1].id


def write_runs(runs: list[Run], now: int) -> None:
    """A table of runs."""
    columns = [
        Column("state"),
        Column("id"),
        Column("name", least=8, leaves=1),
        Column("flow", least=8),
        Column("started", right=True, leaves=3),
        Column("took", right=True, leaves=2),
        Column("tags", least=6, leaves=4),
    ]
    rows: list[list[Any]] = []
    for run in runs:
        state = run.shown_state(now)
        ended = run.ended_at if run.ended or run.lost(now) else now
        took = duration(ended - run.started_at) if run.started_at and ended else ""
        rows.append(
            [
                text((f"{glyph(state)} {state}", colour(state))),
                short(run.id),
                clean(run.name),
                clean(run.flow),
                text((age(run.created_at, now), "bright_black")),
                took,
                text((clean(" ".join(run.tags)), "bright_black")),
            ]
        )
    if not any(run.tags for run in runs):
        columns.pop()
        rows = [row[:-1] for row in rows]
    write_table(columns, rows)


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
)(logs.logs)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock runs resume last  # go on with the newest run",
        "penstock runs resume 8b5bd7be  # with any run that crashed, failed or was cancelled",
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
    """
    if json:
        answer_in_json()
    with executing() as penstock:
        wanted = named_run(penstock.journal, run)
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
    with executing() as penstock:
        origin = named_run(penstock.journal, run)
        flow = recovery.flow_of(origin)
        made = recovery.fork(penstock.journal, origin, from_step)
        if not (quiet or json):
            write_parts([[(f"fork of {clean(origin.name)} from {clean(from_step)}: {clean(made.name)}", "")], []])

        def start() -> Any:
            return penstock.engine.resume(made.id, flow, True)

        return execute(penstock, start, resumed=made, quiet=quiet, plain=plain, as_json=json)


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
    with reading() as penstock:
        wanted = named_run(penstock.journal, run)
        ended = recovery.cancel(penstock.journal, wanted.id, grace_seconds=grace)
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete runs with their subflow runs, logs and results, for good."""
    with reading() as penstock:
        wanted = list({found.id: found for found in (named_run(penstock.journal, name) for name in runs)}.values())
        if not yes:
            _confirm(wanted)
        count = sum(recovery.delete(penstock.journal, found.id) for found in wanted)
        files = penstock.results.sweep(penstock.journal.refs())  # type: ignore[attr-defined]
    if json:
        write_json({"deleted": [found.id for found in wanted], "runs": count, "result_files": files})
    else:
        write_parts([[(f"Deleted {counted(count, 'run')} and {counted(files, 'result file')}.", "")]])


def _confirm(runs: list[Run]) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("Nothing was deleted: there is nobody to ask.", hint="add --yes")
    for found in runs[:10]:
        write_parts([[(f"  {short(found.id)}  {clean(found.name)}  {clean(found.flow)}", "")]])
    typer.confirm(f"Delete {counted(len(runs), 'run')} for good?", abort=True, err=True)


command = typer.main.get_command(app)
