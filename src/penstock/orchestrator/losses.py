"""Runs whose process is gone: put back into their queue, or ended."""

from __future__ import annotations

import contextlib

from penstock.core.decisions import Finish, Reschedule
from penstock.core.deployments import of_data
from penstock.core.errors import InvalidTransition, RunNotFound
from penstock.core.events import now_us
from penstock.core.ids import owner_is_dead
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.core.states import StateType
from penstock.engine.commands import append_command, end_family

_DEFAULT_RETRIES = 3
_DEFAULT_DELAY = 1.0
_LONGEST_DELAY = 300.0
_SILENT_US = 600_000_000


def recover_lost(journal: Journal, now: int) -> list[Run]:
    """Deal with every run of a pool that nobody executes any more; returns them as they were."""
    lost = {run.id: run for run in journal.lost_runs(now)}
    for run in journal.held_runs():
        if run.owner is not None and owner_is_dead(run.owner):
            lost[run.id] = run
    for run in lost.values():
        if run.parent_id is None:
            begun = run.state != "Pending"  # else its worker died before the run had its process
            recover(journal, run, "Its process died." if begun else "Its worker died.", crashed=begun)
    return list(lost.values())


def recover(journal: Journal, run: Run, why: str, *, crashed: bool = True) -> str:
    """Put a run back into its queue, or end it as Crashed when its process died too often.

    Args:
        journal: where it is.
        run: as it was when its process was seen to be gone; if it changed since then, nothing is done.
        why: for people.
        crashed: it counts against `crash_retries`.

    Returns:
        What became of it: rescheduled, crashed, cancelled or nothing.
    """
    with contextlib.suppress(InvalidTransition, RunNotFound):
        if run.cancel_requested:
            end_family(
                journal, run.id, StateType.CANCELLED, "The run was cancelled; its process is gone.", owner=run.owner
            )
            return "cancelled"
        retries, delay = _policy(journal, run)
        if crashed and run.crashes >= retries:
            message = f"{why} That was attempt {run.crashes + 1}, and the last."
            end_family(journal, run.id, StateType.CRASHED, message, owner=run.owner)
            return "crashed"
        wait = min(delay * 2**run.crashes, _LONGEST_DELAY) if crashed else 0.0
        due = now_us() + int(wait * 1_000_000)
        append_command(journal, run.id, Reschedule(now_us(), due, why, crashed), owner=run.owner)
        return "rescheduled"
    return "nothing"


def refuse(journal: Journal, run_id: str, reason: str, owner: str) -> None:
    """End a run as Failed whose flow could not be loaded; nothing is done if somebody else has it by now."""
    message = f"The flow of this run could not be loaded: {reason}"
    with contextlib.suppress(InvalidTransition):
        append_command(journal, run_id, Finish(now_us(), StateType.FAILED, None, message), owner=owner)


def forget_silent(journal: Journal, now: int) -> None:
    """Forget workers that died without signing off."""
    for worker in journal.workers():
        if owner_is_dead(worker.id) or now - worker.seen_at > _SILENT_US:
            journal.forget_worker(worker.id)


def _policy(journal: Journal, run: Run) -> tuple[int, float]:
    found = journal.deployments(run.deployment) if run.deployment is not None else []
    if not found:
        return _DEFAULT_RETRIES, _DEFAULT_DELAY
    deployment = of_data(found[0].spec)
    return deployment.crash_retries, deployment.crash_delay_seconds
