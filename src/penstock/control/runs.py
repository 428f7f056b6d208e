"""What is done to runs by request: a worker executes what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock.control.access import User
from penstock.control.problems import Problem
from penstock.core.deployments import DEFAULT_POOL
from penstock.core.errors import InvalidTransition, RunNotFound, RunNotResumable, SequenceConflict
from penstock.core.events import now_us
from penstock.core.ids import new_run_id
from penstock.core.model import LogLine, Run, RunFilter, RunKey
from penstock.core.ports import Journal
from penstock.engine import recovery
from penstock.orchestrator.keys import take

MOST_COUNTED = 5_000
_PAGE = 1_000
_MOST_PAGES = 20


def found(journal: Journal, run_id: str, user: User) -> Run:
    """One run, by its whole id.

    Raises:
        RunNotFound: there is none, or none for this user.
    """
    run = journal.run(run_id)
    if run is None or not user.sees(run.tags):
        raise RunNotFound(f"There is no run {run_id!r}.", hint="the list of runs shows those there are")
    return run


def resume(journal: Journal, run: Run, key: str | None = None) -> Run:
    """A new run that takes over what an ended one has completed, for the workers of its pool.

    Raises:
        RunNotResumable: it completed, has not ended, or its flow is not on record.
    """
    if run.state == "Completed":
        raise RunNotResumable(
            f"Run {run.name} completed, so there is nothing to resume.", hint="fork it from a step to run it again"
        )
    _refuse_under_way(run)
    return _again(journal, run, None, "resume", key)


def fork(journal: Journal, run: Run, from_step: str, key: str | None = None) -> Run:
    """A new run from this step on, for the workers of the pool.

    Raises:
        RunNotResumable: it has no such step, or its flow is not on record.
    """
    return _again(journal, run, from_step, "fork", key)


def retry(journal: Journal, run: Run, key: str | None = None) -> Run:
    """A new run of the same flow with the same parameters, from the beginning.

    Raises:
        RunNotResumable: it has not ended, or its flow is not on record.
    """
    _refuse_under_way(run)
    return _again(journal, run, None, "retry", key)


def _refuse_under_way(run: Run) -> None:
    if run.ended:
        return
    lost = run.owner is not None and run.lost(now_us())
    told = "its process is gone, and it goes back to its queue by itself" if lost else "it goes on by itself"
    if lost and run.pool is None:
        told = f"it was called, not triggered: penstock runs resume {run.id}"
    elif run.waiting is not None and run.waiting.kind != "sleep":
        told = f"it waits for an answer: penstock runs answer {run.id}"
    raise RunNotResumable(f"Run {run.name} has not ended ({run.shown_state(now_us())}).", hint=told)


def _again(journal: Journal, run: Run, from_step: str | None, origin: str, key: str | None) -> Run:
    if run.entrypoint is None:
        raise RunNotResumable(
            f"The flow {run.flow!r} was defined inside a function or an interactive session; no worker finds it.",
            hint="resume it from Python: penstock.resume(RUN_ID, flow=my_flow)",
        )
    pool = run.pool or DEFAULT_POOL
    if key is None:
        return recovery.fork(journal, run, from_step, origin, pool=pool)
    whole = f"{origin}:{run.id}:{key}"
    new_id = take(journal, run.deployment, whole, new_run_id())
    made = journal.run(new_id)
    if made is None:
        try:
            return recovery.fork(journal, run, from_step, origin, pool=pool, new_id=new_id, key=whole)
        except SequenceConflict:  # the same request was faster
            made = journal.run(new_id)
    if made is None:
        raise RunNotFound("The run that this key has made was deleted.", hint="give another key")
    if (made.origin_id, made.origin, made.from_step) != (run.id, origin, from_step):
        raise Problem(422, f"This key made a run from {made.from_step}.", hint="give each request its own key")
    return made


def cancel(journal: Journal, run: Run, grace_seconds: float, reason: str) -> Run:
    """Stop a run and everything it has started; it is killed when it has not stopped in time.

    Raises:
        InvalidTransition: it has ended.
    """
    if run.ended:
        raise InvalidTransition(f"Run {run.name} has ended ({run.state}).", hint="an ended run needs no cancelling")
    return recovery.cancel(journal, run.id, grace_seconds=grace_seconds, reason=reason)


class Listed(NamedTuple):
    """A page of runs.

    Attributes:
        runs: what is on it.
        total: how many fit, `MOST_COUNTED` at most.
        complete: there are no more than these.
    """

    runs: list[Run]
    total: int
    complete: bool


SORTS = {
    "created": lambda key: key.id,
    "name": lambda key: (key.name, key.id),
    "started": lambda key: (key.started_at, key.id),
    "duration": lambda key: (key.ended_at - key.started_at, key.id),
}
_NEEDED = {"started": ("started_at",), "duration": ("started_at", "ended_at")}


def page(journal: Journal, where: RunFilter, sort: str, skip: int, limit: int) -> Listed:
    """A page of the newest runs that fit, in another order or from another place.

    Only so many are sorted and counted: a million runs would take too long.

    Args:
        journal: where they are.
        where: which.
        sort: one of `SORTS`, `-` before it for the other way round. Runs without it come last.
        skip: so many come before the page.
        limit: at most so many are on it.
    """
    wanted = {name: getattr(where, name) for name in where.__struct_fields__} | {"limit": MOST_COUNTED + 1}
    keys = journal.run_keys(RunFilter(**wanted), bare=sort == "-created")
    complete, keys = len(keys) <= MOST_COUNTED, keys[:MOST_COUNTED]
    some = _sorted(keys, sort)[skip : skip + limit]
    return Listed(journal.runs_of([key.id for key in some]), len(keys), complete)


def _sorted(keys: list[RunKey], sort: str) -> list[RunKey]:
    name = sort.removeprefix("-")
    if sort == "-created":
        return keys
    needed = _NEEDED.get(name, ())
    able = [key for key in keys if all(getattr(key, field) is not None for field in needed)]
    others = [key for key in keys if any(getattr(key, field) is None for field in needed)]
    return [*sorted(able, key=SORTS[name], reverse=sort.startswith("-")), *others]


class Lines(NamedTuple):
    """Log lines.

    Attributes:
        lines: in their order.
        next: what comes behind this id was not looked through; None where nothing is left.
    """

    lines: Sequence[LogLine]
    next: int | None


def lines(journal: Journal, run_id: str, step: str | None, level: int, text: str, after: int, limit: int) -> Lines:
    """Log lines of a run, of at least this level and with this text in them. Only so many are looked through."""
    wanted: list[LogLine] = []
    text = text.casefold()
    size = _PAGE if level or text else limit + 1
    for _ in range(_MOST_PAGES):
        some = journal.logs(run_id, step, after, size)
        for line in some:
            if line.level >= level and (not text or text in line.message.casefold()):
                if len(wanted) == limit:
                    return Lines(wanted, after)
                wanted.append(line)
            after = line.id
        if len(some) < size:
            return Lines(wanted, None)
    return Lines(wanted, after)
