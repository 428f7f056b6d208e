"""What is done to runs by request: a worker executes what comes of it."""

from __future__ import annotations

from penstock.core.deployments import DEFAULT_POOL
from penstock.core.errors import RunNotFound, RunNotResumable
from penstock.core.events import now_us
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.engine import recovery


def found(journal: Journal, run_id: str) -> Run:
    """One run, by its whole id.

    Raises:
        RunNotFound: there is none.
    """
    run = journal.run(run_id)
    if run is None:
        raise RunNotFound(f"There is no run {run_id!r}.", hint="the list of runs shows those there are")
    return run


def resume(journal: Journal, run_id: str) -> Run:
    """A new run that takes over what an ended one has completed, for the workers of its pool.

    Raises:
        RunNotFound: there is none of this id.
        RunNotResumable: it completed, has not ended, or its flow is not on record.
    """
    run = found(journal, run_id)
    if run.state == "Completed":
        raise RunNotResumable(
            f"Run {run.name} completed, so there is nothing to resume.", hint="fork it from a step to run it again"
        )
    if not run.ended:
        lost = run.owner is not None and run.lost(now_us())
        told = "its process is gone, and it goes back to its queue by itself" if lost else "it goes on by itself"
        if lost and run.pool is None:
            told = f"it was called, not triggered: penstock runs resume {run.id}"
        raise RunNotResumable(f"Run {run.name} has not ended ({run.shown_state(now_us())}).", hint=told)
    return _again(journal, run, None, "resume")


def fork(journal: Journal, run_id: str, from_step: str) -> Run:
    """A new run from this step on, for the workers of the pool.

    Raises:
        RunNotFound: there is none of this id.
        RunNotResumable: it has no such step, or its flow is not on record.
    """
    return _again(journal, found(journal, run_id), from_step, "fork")


def _again(journal: Journal, run: Run, from_step: str | None, origin: str) -> Run:
    if run.entrypoint is None:
        raise RunNotResumable(
            f"The flow {run.flow!r} was defined inside a function or an interactive session; no worker finds it.",
            hint="resume it from Python: penstock.resume(RUN_ID, flow=my_flow)",
        )
    return recovery.fork(journal, run, from_step, origin, pool=run.pool or DEFAULT_POOL)
