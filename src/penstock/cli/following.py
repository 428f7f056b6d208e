"""A run that somebody else executes, followed to its end: its states, its log, and how it ended."""

from __future__ import annotations

import sys
from typing import Any

from penstock.cli.console import Parts, clean, colour, fitting, glyph, say, write_json, write_parts
from penstock.cli.desk import Desk, server
from penstock.cli.execution import CANCELLED, COMPLETED, FAILED, INTERRUPTED
from penstock.cli.plans import obstacle
from penstock.cli.run_logs import family, new_lines, write_line
from penstock.cli.run_table import waiting_told
from penstock.cli.session import short
from penstock.cli.show import write_errors
from penstock.cli.summary import advice
from penstock.cli.units import ahead, clock, duration
from penstock.core.errors import RunNotFound
from penstock.core.events import now_us
from penstock.core.model import Run
from penstock.core.ports.reading import Reading
from penstock.orchestrator.records import error_record, run_record

_LOOK_SECONDS = 0.3
_DIM = "bright_black"


def follow(desk: Desk, run: Run, *, lines: bool, as_json: bool) -> int:
    """Wait for the end of a run.

    Args:
        desk: where it is.
        run: the run.
        lines: show its states and its log meanwhile.
        as_json: say only, as JSON, how it ended.

    Returns:
        0 completed, 1 failed or crashed, 3 cancelled, 130 when Ctrl-C ended the waiting.
    """
    try:
        ended = _wait(desk, run, lines and not as_json)
    except KeyboardInterrupt:
        say()
        say(f"{clean(run.name)} goes on without being watched. To stop it: {_asked(desk)} runs cancel {short(run.id)}")
        return INTERRUPTED
    code = {"Completed": COMPLETED, "Cancelled": CANCELLED}.get(ended.state, FAILED)
    errors = desk.errors(ended.id) if code == FAILED else []
    if as_json:
        told = [error_record(key, error) for key, error in errors]
        write_json({"run": run_record(ended, now_us()), "errors": told, "exit_code": code})
        return code
    write_parts(_summary(ended))
    if errors:
        write_errors(errors)
    write_parts([[], *advice(_ways(ended, desk))])
    return code


def _wait(desk: Desk, run: Run, lines: bool) -> Run:
    journal = desk.journal
    seen: dict[str, int] = {}
    told = ""
    watch = desk.watch()
    try:
        while True:
            found = journal.run(run.id)
            if found is None:
                raise RunNotFound(f"Run {run.name} was deleted.")
            if lines:
                told = _tell_state(journal, found, told)
                _write_lines(journal, found, seen)
            if found.ended:
                return found
            watch.wait(_LOOK_SECONDS)
    finally:
        watch.close()


def _tell_state(journal: Reading, run: Run, before: str) -> str:
    """Write a line when the run is in another state than before."""
    now = now_us()
    told = _state_told(journal, run, now)
    key = f"{run.state} {run.crashes} {run.waiting.key if run.waiting is not None else ''}"
    if key != before and told:
        write_parts([[(f"{clock(now)}  ", _DIM), (f"{glyph(run.state)} ", colour(run.state)), (fitting(told), "")]])
        sys.stdout.flush()
    return key


def _state_told(journal: Reading, run: Run, now: int) -> str:
    name = f"{clean(run.deployment or run.flow)} · {clean(run.name)}"
    if run.state == "Scheduled":
        if run.crashes and run.due_at is not None:
            return f"{name}  {clean(run.message or 'its process died.')} Again {ahead(run.due_at, now)}."
        if run.due_at is not None and run.due_at > now:
            return f"{name}  is due {ahead(run.due_at, now)}"
        trouble = obstacle(journal, run.pool, run.queue or "", now) if run.pool is not None else None
        more = f" {trouble[0]} {trouble[1]}" if trouble is not None else ""
        return f"{name}  waits for a worker.{more}"
    if run.state == "Paused":
        return f"{name}  {waiting_told(run, now)}"
    return f"{name}  {run.state.lower()}" if run.state in ("Running", "Retrying") else ""


def _write_lines(journal: Reading, run: Run, seen: dict[str, int]) -> None:
    names = {found.id: found.flow for found in family(journal, run)}
    for line in new_lines(journal, list(names), seen):
        write_line(line, "" if line.run_id == run.id else names[line.run_id], False)
    sys.stdout.flush()


def _summary(run: Run) -> list[Parts]:
    style = colour(run.state)
    took = duration(run.ended_at - run.started_at) if run.ended_at and run.started_at else ""
    between = (" in " if run.state == "Completed" else " after ") if took else ""
    name = fitting(f"  {clean(run.name)} · {short(run.id)}")
    head: Parts = [(f"{glyph(run.state)} ", style), (f"{clean(run.flow)} {run.state.lower()}", f"bold {style}")]
    lines: list[Parts] = [[*head, (between + took, ""), (name, _DIM)]]
    if run.message and run.state != "Completed":
        lines.append([("  " + clean(run.message.split("\n")[0]), "")])
    return lines


def _asked(desk: Desk) -> str:
    """How commands begin that are meant for where the run is."""
    return f"penstock --server {clean(server())}" if desk.remote else "penstock"


def _ways(run: Run, desk: Desk) -> list[tuple[str, str]]:
    asked = _asked(desk)
    ways: list[Any] = [(f"{asked} runs show {short(run.id)}", "every step")]
    ways.append((f"{asked} runs logs {short(run.id)}", "what was logged"))
    if run.state != "Completed":
        note = "go on from the steps that completed" + ("" if desk.remote else ", here")
        ways.insert(0, (f"{asked} runs resume {short(run.id)}", note))
    return ways
