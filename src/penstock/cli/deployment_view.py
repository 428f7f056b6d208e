"""`penstock deployments show`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import clean, clean_lines, colour, counted, fitting, glyph, text, write, write_json
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON
from penstock.cli.plans import (
    complete_deployment,
    deployment_record,
    next_sentence,
    next_told,
    obstacle,
    spec_told,
    workers_of,
)
from penstock.cli.run_table import write_runs
from penstock.cli.summary import advice
from penstock.cli.units import ahead, duration, in_zone
from penstock.core.calendar import Occurrence, preview
from penstock.core.calendar.moments import length_of
from penstock.core.deployments import Deployment, Promises, of_data, schedule_of
from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter, StoredDeployment, StoredSchedule
from penstock.orchestrator.deployments import find_deployment
from penstock.orchestrator.records import run_record

_DIM = "bright_black"
_JUDGED = 50
_ENDED = ("Completed", "Failed", "Crashed", "Cancelled")


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Its name.", autocompletion=complete_deployment, show_default=False),
    ],
    count: Annotated[int, typer.Option("--next", metavar="N", min=0, max=1000, help="So many due instants.")] = 5,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=0, max=1000, help="So many of its last runs.")] = 5,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show a deployment: its schedules and when they are due, its parameters, promises, pool and last runs."""
    with at_desk() as desk:
        journal, now = desk.journal, now_us()
        stored = find_deployment(journal, name)
        last = journal.runs(RunFilter(deployment=name, limit=max(runs, 1)))[:runs]
        judged = journal.runs(RunFilter(deployment=name, states=_ENDED, limit=_JUDGED))
        due = upcoming(stored, count, now)
        workers = workers_of(journal, stored.pool, stored.queue, now)
        trouble = obstacle(journal, stored.pool, stored.queue, now)
    if json:
        write_json(
            {
                "deployment": deployment_record(stored),
                "next": [
                    {"schedule": each.name, "utc": due.utc, "local": due.local, "note": due.note} for each, due in due
                ],
                "runs": [run_record(run, now) for run in last],
                "recent": _judgement(judged),
                "workers": len(workers),
            }
        )
        return
    _write_head(stored, of_data(stored.spec), len(workers), now)
    _write_due(stored, due, now)
    if last:
        write()
        write_runs(last, now)
        _write_judgement(judged)
    else:
        write(text(("\nIt has not run yet.", _DIM)))
    _advise(stored, trouble, next_told(stored, now) == "overdue")


def upcoming(stored: StoredDeployment, count: int, now: int) -> list[tuple[StoredSchedule, Occurrence]]:
    """The next due instants of all its schedules that are not paused."""
    if stored.paused:
        return []
    found: list[tuple[StoredSchedule, Occurrence]] = []
    for each in stored.schedules:
        if each.paused or each.next_due is None:
            continue
        found += [(each, due) for due in preview(schedule_of(each.spec).spec, max(each.next_due - 1, now), count)]
    return sorted(found, key=lambda pair: pair[1].due_us)[:count]


def _write_head(stored: StoredDeployment, spec: Deployment, workers: int, now: int) -> None:
    told = next_sentence(stored, now)
    title = text((clean(stored.name), "bold"), fitting(" · "), clean(stored.flow), "  ")
    title.append(told, style="yellow" if told in ("paused", "overdue") else _DIM)
    write(title)
    for line in clean_lines(spec.description.split("\nArgs:")[0].strip()) if spec.description else []:
        write(line, indent=2)
    place = f"{stored.pool}, queue {stored.queue}" if stored.queue != "default" else stored.pool
    facts: list[tuple[str, str]] = [("flow at", spec.entrypoint), ("folder", spec.folder or "")]
    facts += [("schedule", _schedule(each, len(stored.schedules) > 1)) for each in stored.schedules]
    facts.append(("with", _parameters(spec.parameters)))
    facts += [("tags", ", ".join(spec.tags)), ("version", spec.version or "")]
    facts.append(("pool", f"{place}  ({counted(workers, 'worker')})"))
    if stored.concurrency is not None:
        then = "others wait" if spec.collision == "wait" else "what is due meanwhile is left out"
        facts.append(("at once", f"{stored.concurrency}, {then}"))
    facts.append(("promises", ", ".join(promised(spec.promises))))
    for name, value in facts:
        if value:
            write(text((f"{name:<8}  ", _DIM), clean(value)), indent=2)


def _schedule(stored: StoredSchedule, several: bool) -> str:
    schedule = schedule_of(stored.spec)
    parts = [spec_told(schedule.spec)]
    if schedule.parameters:
        parts.append(f"with {_parameters(schedule.parameters)}")
    if schedule.spec.missed != "latest":
        parts.append(f"missed: {schedule.spec.missed}")
    if schedule.spec.jitter_seconds:
        parts.append(f"up to {length_of(schedule.spec.jitter_seconds)} later")
    parts += ["paused"] if stored.paused else []
    return ", ".join(parts) + (f"  [{stored.name}]" if several else "")


def _parameters(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in parameters.items())


def promised(promises: Promises) -> list[str]:
    """What is promised about time, in words."""
    told = {
        "start_seconds": "starts within {} of being due",
        "duration_seconds": "takes no longer than {}",
        "finish_seconds": "has ended {} after it was due",
        "fresh_seconds": "a completed run is never older than {}",
    }
    found = [(words, getattr(promises, field)) for field, words in told.items()]
    return [words.format(length_of(value)) for words, value in found if value is not None]


def _write_due(stored: StoredDeployment, due: Sequence[tuple[StoredSchedule, Occurrence]], now: int) -> None:
    if not due:
        return
    write()
    for schedule, each in due:
        zone = schedule_of(schedule.spec).spec.timezone
        line = text(("due  ", _DIM), f"{in_zone(each.due_us, zone):<28}", (f"  {ahead(each.due_us, now)}", _DIM))
        if len(stored.schedules) > 1:
            line.append(f"  {clean(schedule.name)}", style=_DIM)
        if each.note:
            line.append(f"  {each.note}", style="yellow")
        write(line, indent=2)


def _judgement(runs: Sequence[Run]) -> dict[str, Any]:
    """How its recent runs went."""
    took = [(run.ended_at - run.started_at) / 1_000_000 for run in runs if run.ended_at and run.started_at]
    return {
        "ended": len(runs),
        "completed": sum(run.state == "Completed" for run in runs),
        "median_seconds": statistics.median(took) if took else None,
        "longest_seconds": max(took, default=None),
    }


def _write_judgement(runs: Sequence[Run]) -> None:
    found = _judgement(runs)
    if not found["ended"]:
        return
    style = colour("Completed" if found["completed"] == found["ended"] else "Failed")
    line = text("\n", (f"{glyph('Completed')} ", style), f"{found['completed']} of the last {found['ended']} completed")
    if found["median_seconds"] is not None:
        half, longest = (duration(round(found[f"{each}_seconds"] * 1_000_000)) for each in ("median", "longest"))
        line.append(f", half of them in {half}, the longest took {longest}", style=_DIM)
    write(line)


def _advise(stored: StoredDeployment, trouble: tuple[str, str] | None, overdue: bool) -> None:
    ways = [(f"penstock deployments run {clean(stored.name)}", "run it now")]
    if stored.paused:
        ways.append((f"penstock deployments resume {clean(stored.name)}", "let its schedules make runs again"))
    write()
    if overdue:
        write("No scheduler is at work: it comes with `penstock worker start` and `penstock serve`.", indent=2)
    if trouble is not None:
        write(trouble[0], indent=2)
        ways.append((clean(trouble[1]), ""))
    for line in advice(ways):
        write(text(*line))
