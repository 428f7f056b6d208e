"""`penstock runs show`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import clean, clean_lines, colour, console, fitting, glyph, text, width, write, write_json
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON
from penstock.cli.progress import Progress
from penstock.cli.run_table import waiting_told
from penstock.cli.session import complete_run, named_run, short
from penstock.cli.summary import advice
from penstock.cli.tree import Tree
from penstock.cli.units import age, ahead, duration, moment
from penstock.core.events import ON_REQUEST, ErrorInfo, Waiting, now_us
from penstock.core.model import Artifact, Run, RunFilter, TaskRun
from penstock.core.ports.reading import Reading
from penstock.orchestrator.records import artifact_record, error_record, run_record, step_record

_DIM = "bright_black"
_MOST_ERRORS = 5
_MOST_CHILDREN = 1000


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Its id, the beginning or end of its id, its name, or `last`.",
            autocompletion=complete_run,
            show_default=False,
        ),
    ],
    all_steps: Annotated[
        bool, typer.Option("--all", help="Every call of a task, not only how many there were.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show a run: its steps as a tree, parameters, errors, and the runs it came from and led to."""
    with at_desk() as desk:
        journal = desk.journal
        found = named_run(journal, run)
        now = now_us()
        steps = journal.task_runs(found.id)
        children = journal.runs(RunFilter(parent_id=found.id, limit=_MOST_CHILDREN))[::-1]
        origin = journal.run(found.origin_id) if found.origin_id else None
        later = continuations(journal, found)
        kept = journal.artifacts(found.id, bare=True)
        errors = desk.errors(found.id) if _went_wrong(found, steps) else []
        if json:
            write_json(
                {
                    "run": run_record(found, now),
                    "steps": [step_record(step) for step in steps],
                    "errors": [error_record(key, error) for key, error in errors],
                    "children": [run_record(child, now) for child in children],
                    "origin": run_record(origin, now) if origin else None,
                    "continuations": [run_record(other, now) for other in later],
                    "artifacts": [artifact_record(each) for each in kept],
                }
            )
            return
        _write_head(found, now, origin, later)
        _write_tree(journal, found, now, all_steps)
    _write_artifacts(kept, found)
    write_errors(errors)
    _write_advice(found, now)


def continuations(journal: Reading, run: Run) -> list[Run]:
    """Runs that took over steps of this one. They are newer than it, and of the same flow."""
    found: list[Run] = []
    before = None
    while True:
        page = journal.runs(RunFilter(flow=run.flow, before=before, limit=500))
        newer = [other for other in page if other.id > run.id]
        found += [other for other in newer if other.origin_id == run.id]
        if len(newer) < 500:
            return found[::-1]
        before = page[-1].id


def _went_wrong(run: Run, steps: list[TaskRun]) -> bool:
    return run.state in ("Failed", "Crashed") or any(step.state in ("Failed", "Crashed") for step in steps)


def _write_head(run: Run, now: int, origin: Run | None, later: list[Run]) -> None:
    state = run.shown_state(now)
    ended = run.ended_at or (now if state not in ("Crashed", "Pending") else None)
    title = text((f"{glyph(state)} {state}", f"bold {colour(state)}"), "  ", (clean(run.flow), "bold"))
    title.append(fitting(f" · {clean(run.name)}"))
    write(title)
    facts: list[tuple[str, Any]] = [("id", run.id), *_why_it_is(run, now)]
    if run.started_at is not None:
        took = f"  took {duration(ended - run.started_at)}" if ended else ""
        facts.append(("started", f"{moment(run.started_at)}  ({age(run.started_at, now)}){took}"))
    if run.attempt > 1:
        facts.append(("attempt", str(run.attempt)))
    if run.crashes:
        facts.append(("crashes", f"{run.crashes}: so often its process died, and it was taken up again"))
    if run.lost(now):
        then = "a scheduler puts it back into its queue" if run.pool is not None else "it can be resumed"
        facts.append(("message", f"Its process is gone and its end is not on record: {then}."))
    elif run.waiting is not None:
        facts.append(("paused", waiting_told(run, now)))
        if run.waiting.refused:
            facts.append(("refused", clean(run.waiting.refused)))
    elif run.message:
        facts.append(("message", clean_lines(run.message)[0]))
    if run.parameters:
        facts.append(("with", clean(", ".join(f"{name}={_shown(value)}" for name, value in run.parameters.items()))))
    if run.tags:
        facts.append(("tags", clean(", ".join(run.tags))))
    if run.flow_version:
        facts.append(("version", clean(run.flow_version)))
    if run.entrypoint:
        facts.append(("flow at", clean(run.entrypoint)))
    if run.parent_id:
        facts.append(("part of", f"{short(run.parent_id)}  as its step {clean(run.parent_key)}"))
    if run.origin_id:
        forked = f"fork from {clean(run.from_step)} of"
        told = {"fork": forked, "retry": "begins anew like"}.get(run.origin or "", "goes on where")
        named = f"{clean(origin.name)} ({origin.state})" if origin else "(deleted)"
        facts.append(("origin", f"{told} {short(run.origin_id)}  {named}"))
    for other in later:
        forked = f"forked from {clean(other.from_step)}"
        told = {"fork": forked, "retry": "retried"}.get(other.origin or "", "resumed")
        facts.append(("later", f"{told} as {short(other.id)}  {clean(other.name)} ({other.shown_state(now)})"))
    longest = max(8, *(len(name) for name, _ in facts))
    for name, value in facts:
        write(text((f"{name:<{longest}}  ", _DIM), _cut(value, longest + 4)), indent=2)
    write()


def _why_it_is(run: Run, now: int) -> list[tuple[str, str]]:
    """What made a run, when it is due, and what it is about."""
    facts: list[tuple[str, str]] = []
    if run.deployment is not None:
        facts.append(("made by", f"the deployment {clean(run.deployment)}" + (f" ({run.cause})" if run.cause else "")))
    if run.due_at is not None and run.state == "Scheduled":
        facts.append(("due", f"{moment(run.due_at)}  ({ahead(run.due_at, now)})"))
    if run.scheduled_at is not None:
        facts.append(("stands for", moment(run.scheduled_at)))
    if run.partition is not None:
        facts.append(("partition", clean(run.partition)))
    if run.interval_start is not None and run.interval_end is not None:
        facts.append(("data of", f"{moment(run.interval_start)} to {moment(run.interval_end)}"))
    if run.pool is not None:
        facts.append(("pool", clean(run.pool if run.queue in (None, "default") else f"{run.pool}, queue {run.queue}")))
    return facts


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _cut(value: str, beside: int) -> str:
    room = width() - beside
    return value if len(value) <= room else value[: room - 1] + fitting("…")


def _write_tree(journal: Reading, run: Run, now: int, all_steps: bool) -> None:
    progress = Progress(run.id)
    _fill(journal, progress, run, now, 0)
    if not progress.runs[run.id].groups:
        write(text(("no steps are on record", _DIM)), indent=2)
        return
    tree = Tree(progress, now, moving=False, collapse=not all_steps)
    drawn = tree.draw(min(width(), 120), title=False)
    console().print(drawn, soft_wrap=True)


def _fill(journal: Reading, progress: Progress, run: Run, now: int, depth: int) -> None:
    progress.restore(run, journal.task_runs(run.id), goes_on=False, state=run.shown_state(now))
    if depth < 20:
        for child in journal.runs(RunFilter(parent_id=run.id, limit=_MOST_CHILDREN)):
            _fill(journal, progress, child, now, depth + 1)


def _write_artifacts(found: list[Artifact], run: Run) -> None:
    """What it left to look at."""
    if not found:
        return
    named = [f"{clean(each.key or short(each.id))} ({clean(each.kind)})" for each in found[:5]]
    more = fitting(", …") if len(found) > 5 else ""
    write()
    write(text((f"{'artifacts':<11}", _DIM), f"{', '.join(dict.fromkeys(named))}{more}"), indent=2)
    write(text((f"penstock artifacts list --run {short(run.id)}", "cyan")), indent=13)


def write_errors(errors: list[tuple[str | None, ErrorInfo]]) -> None:
    """Write each error once, with every step that ended with it."""
    told: dict[str, tuple[list[str], ErrorInfo]] = {}
    for key, error in errors:
        steps, known = told.setdefault(f"{error.type}: {error.text}", ([], error))
        steps.append(clean(key) if key is not None else "the run")
        if key is None and len(error.trace) > len(known.trace):
            told[f"{error.type}: {error.text}"] = (steps, error)
    for steps, error in list(told.values())[:_MOST_ERRORS]:
        write()
        where = ", ".join(steps[:3]) + (f" and {len(steps) - 3} more" if len(steps) > 3 else "")
        write(text(("Error in ", "red"), where))
        for line in clean_lines((error.trace or f"{error.type}: {error.text}").rstrip()):
            write(text((line, "" if line.startswith(" ") else "red")), indent=2)
    if len(told) > _MOST_ERRORS:
        write(text((f"\n{len(told) - _MOST_ERRORS} other errors: penstock runs show --json", _DIM)))


def _answers(waiting: Waiting, name: str) -> list[tuple[str, str]]:
    kind = waiting.kind
    if waiting.key == ON_REQUEST:
        return [(f"penstock runs resume {name}", "let it go on")]
    if kind == "approval":
        return [(f"penstock runs approve {name}", "say yes"), (f"penstock runs reject {name}", "say no")]
    return [(f"penstock runs answer {name}", "let it go on" if kind == "pause" else "tells what it asks")]


def _write_advice(run: Run, now: int) -> None:
    name = short(run.id)
    ways = [(f"penstock runs logs {name}", "what was logged")]
    state = run.shown_state(now)
    if state in ("Failed", "Crashed", "Cancelled") and run.parent_id is None:
        ways.insert(0, (f"penstock runs resume {name}", "go on from the steps that completed"))
    elif state in ("Running", "Retrying", "Scheduled", "Pending", "Paused"):
        ways[0] = (f"penstock runs logs {name} --follow", "what it says meanwhile")
        ways.append((f"penstock runs cancel {name}", "stop it"))
    if run.waiting is not None and run.waiting.kind != "sleep" and not run.lost(now):
        ways = [*_answers(run.waiting, name), *ways]
    write()
    for line in advice(ways):
        write(text(*line))
