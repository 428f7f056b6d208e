"""What jobs do, in steps: each tells how far it has come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from penstock.app import Penstock
from penstock.core import typed
from penstock.core.decisions import RequestCancel
from penstock.core.engines import LOCAL
from penstock.core.errors import InvalidTransition, RunNotFound
from penstock.core.events import ON_REQUEST, RunAnswered, RunPauseRequested, now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine import recovery
from penstock.engine.commands import append_command
from penstock.engine.outside import executed_by
from penstock.engine.waiting import replies
from penstock.orchestrator.retention import Purge

_PAGE = 200
_COUNTED = ""
"""Why a run is left alone that was counted before its job was interrupted."""


class Progress(msgspec.Struct):
    """How far a job has come.

    Attributes:
        done: of how many runs what was wanted is done.
        skipped: how many were left alone, and why.
        result: what else there is to tell.
    """

    done: int = 0
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    result: dict[str, Any] = {}


def chosen(journal: Journal, wanted: dict[str, Any]) -> Iterator[list[Run]]:
    """The runs that a job is about, page by page, the newest first.

    Args:
        journal: where they are.
        wanted: `ids`, or the fields of a `RunFilter`.
    """
    where = typed.convert(wanted["where"], RunFilter)
    if wanted.get("ids"):
        some = journal.runs_of(wanted["ids"])
        tags = None if where.any_tags is None else set(where.any_tags)
        yield [run for run in some if tags is None or not tags.isdisjoint(run.tags)]
        return
    before = None
    while page := journal.runs(msgspec.structs.replace(where, before=before, limit=_PAGE)):
        before = page[-1].id
        yield page


def cleanup(penstock: Penstock, wanted: dict[str, Any], by: str, since: int | None = None) -> Iterator[Progress]:
    """Remove runs that ended before some times; `dry`: only count them."""
    purge = Purge(
        penstock.journal, penstock.results, wanted["before"], now_us(), asked=True, dry=wanted["dry_run"],
        passing=wanted.get("passing"),
    )  # fmt: skip
    for _ in purge.steps():
        yield _purged(purge)
    yield _purged(purge)


def _purged(purge: Purge) -> Progress:
    done = purge.done
    result = {"below": done.below, "results": done.results, "events": done.events, "cached": done.cached,
              "flows": {flow: dict(counts) for flow, counts in done.flows.items()}}  # fmt: skip
    return Progress(done.runs, Counter(done.kept), result)


def cancel(penstock: Penstock, wanted: dict[str, Any], by: str, since: int | None = None) -> Iterator[Progress]:
    """Ask all of these runs to stop; then kill those that have not in time."""
    journal, told = penstock.journal, Progress()
    asked: list[str] = []
    reason = wanted.get("reason") or f"Cancelled by {by}."
    for page in chosen(journal, wanted):
        for run in page:
            if run.ended:
                if not _cancelled_since(run, since):
                    told.skipped["had ended"] += 1
                continue
            if run.owner is not None:
                try:
                    append_command(journal, run.id, RequestCancel(now_us(), reason))
                except InvalidTransition:
                    told.skipped["had ended"] += 1
                else:
                    asked.append(run.id)
            else:
                _one(journal, told, run.id, partial(recovery.cancel, grace_seconds=0, reason=reason))
        yield told
    end = time.monotonic() + float(wanted.get("grace_seconds", 10.0))
    for run_id in asked:
        left = max(0.0, end - time.monotonic())
        _one(journal, told, run_id, partial(_see_off, grace_seconds=left, reason=reason))
        yield told
    yield told


def _see_off(journal: Journal, run_id: str, *, grace_seconds: float, reason: str) -> None:
    """Wait for a run that was asked to stop, and kill it where it does not; it may have stopped already."""
    try:
        recovery.cancel(journal, run_id, grace_seconds=grace_seconds, reason=reason)
    except InvalidTransition:
        run = journal.run(run_id)
        if run is None or run.state != "Cancelled":
            raise


def _cancelled_since(run: Run, since: int | None) -> bool:
    """Whether this job has done so, before it was interrupted: then the run was counted."""
    return since is not None and run.state == "Cancelled" and (run.ended_at or 0) >= since


def pause(penstock: Penstock, wanted: dict[str, Any], by: str, since: int | None = None) -> Iterator[Progress]:
    """Ask all of these runs to pause."""
    journal = penstock.journal

    def why_not(run: Run) -> str | None:
        if _told_since(journal, run, RunPauseRequested, by, since):
            return _COUNTED
        if run.ended:
            return "had ended"
        return None if executed_by(journal, run) == LOCAL else "is executed by another engine"

    yield from _each(journal, wanted, why_not, partial(replies.pause, by=by, reason=wanted.get("reason")))


def resume(penstock: Penstock, wanted: dict[str, Any], by: str, since: int | None = None) -> Iterator[Progress]:
    """Let all of these runs go on that were asked to pause, and that somebody executes, or will."""
    journal = penstock.journal

    def why_not(run: Run) -> str | None:
        if not run.pause_requested:
            return _COUNTED if _told_since(journal, run, RunAnswered, by, since) else "was not asked to pause"
        return "nobody executes it" if replies.abandoned(run) else None

    yield from _each(journal, wanted, why_not, partial(replies.let_go_on, by=by))


def _told_since(
    journal: Journal, run: Run, kind: type[RunPauseRequested] | type[RunAnswered], by: str, since: int | None
) -> bool:
    """Whether this job has told a run so, before it was interrupted: then the run was counted."""
    if since is None:
        return False
    told = [each.event for each in journal.load(run.id) if isinstance(each.event, (RunPauseRequested, RunAnswered))]
    ours = [event for event in told if not isinstance(event, RunAnswered) or event.step == ON_REQUEST]
    return bool(ours) and isinstance(ours[-1], kind) and ours[-1].by == by and ours[-1].at >= since


def delete(penstock: Penstock, wanted: dict[str, Any], by: str, since: int | None = None) -> Iterator[Progress]:
    """Remove all of these runs that have ended."""

    def why_not(run: Run) -> str | None:
        return None if run.ended or run.lost(now_us()) else "has not ended"

    yield from _each(penstock.journal, wanted, why_not, recovery.delete)


def _each(
    journal: Journal,
    wanted: dict[str, Any],
    why_not: Callable[[Run], str | None],
    work: Callable[[Journal, str], object],
) -> Iterator[Progress]:
    """Do it to one run after the other, but to those that it is not for."""
    told = Progress()
    for page in chosen(journal, wanted):
        for run in page:
            reason = why_not(run)
            if reason is not None:
                told.skipped.update([reason] if reason != _COUNTED else [])
                continue
            _one(journal, told, run.id, work)
            yield told
    yield told


def _one(journal: Journal, told: Progress, run_id: str, work: Callable[[Journal, str], object]) -> None:
    try:
        work(journal, run_id)
    except RunNotFound:
        told.skipped["was gone"] += 1
    except InvalidTransition:
        run = journal.run(run_id)
        told.skipped["had ended" if run is None or run.ended else "could not be done from here"] += 1
    else:
        told.done += 1


WORK: dict[str, Callable[[Penstock, dict[str, Any], str, int | None], Iterator[Progress]]] = {
    "cleanup": cleanup,
    "cancel": cancel,
    "pause": pause,
    "resume": resume,
    "delete": delete,
}
"""Each with what exactly is wanted, by whom, and since when, where it is gone on with: what is done is not counted."""
