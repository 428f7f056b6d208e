"""Backfills: runs of a flow for many partitions, a few at a time."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from penstock.core import typed
from penstock.core.decisions import RequestCancel
from penstock.core.deployments import Deployment, plain_parameters
from penstock.core.errors import DeploymentError, ParameterError, PlanNotFound, SequenceConflict
from penstock.core.events import Append, Record, now_us
from penstock.core.ids import derived_run_id, new_run_id
from penstock.core.model import Backfill, Run, RunFilter
from penstock.core.partitions import KeyPartitions, Partition, TimePartitions
from penstock.core.plans import BackfillCreated, BackfillEnded, PoolDeclared, PoolDeleted, QueueDeclared, stream_of
from penstock.core.ports import Journal
from penstock.core.states import FINAL_WORDS, StateType
from penstock.engine.commands import append_command, end_family
from penstock.orchestrator.deployments import append_plan, run_of
from penstock.orchestrator.pools import delete_queue

_CHUNK = 500
_PAGE = 1000
_MOST = 100_000


def chosen_partitions(
    journal: Journal,
    flow: Any,
    *,
    first: str | None = None,
    last: str | None = None,
    keys: Iterable[str] = (),
    only_failed: bool = False,
    only_missing: bool = False,
    reverse: bool = False,
) -> list[Partition]:
    """The partitions a backfill is about, in the order of its runs.

    Args:
        journal: for what was run before.
        flow: it declares partitions.
        first: from this day or time on (its time zone is the partitions').
        last: before this day or time; now when left out.
        keys: these partitions only.
        only_failed: those whose latest run failed, crashed or was cancelled.
        only_missing: those that were never run.
        reverse: newest first.

    Raises:
        DeploymentError: the flow has no partitions, a key or time is none, or there is nothing to do.
    """
    partitions = flow.partitions
    if partitions is None:
        raise DeploymentError(
            f"The flow {flow.name!r} declares no partitions.", hint="write @flow(partitions=daily()) above it"
        )
    if wanted := list(dict.fromkeys(keys)):
        if first is not None or last is not None:
            raise DeploymentError("Keys and a time exclude each other.", hint="give --key, or --from and --to")
        found = [_of_key(flow, key) for key in wanted]
    else:
        zone = partitions.spec.timezone if isinstance(partitions, TimePartitions) else "UTC"
        if isinstance(partitions, TimePartitions) and first is None and partitions.spec.start is None:
            raise DeploymentError("A backfill over time needs to know where it begins.", hint="give --from 2026-01-01")
        start = _instant(first or getattr(getattr(partitions, "spec", None), "start", None), zone, 0)
        end = min(_instant(last, zone, now_us()), now_us())
        found = []
        for partition in partitions.between(start, end):
            found.append(partition)
            if len(found) > _MOST:
                raise DeploymentError(f"That is more than {_MOST:,} partitions.", hint="give a shorter time")
    if only_failed or only_missing:
        latest = latest_states(journal, flow.name)
        bad = {"Failed", "Crashed", "Cancelled"}
        found = [
            each
            for each in found
            if (only_failed and latest.get(each.key) in bad) or (only_missing and latest.get(each.key) is None)
        ]
    return found[::-1] if reverse else found


def _of_key(flow: Any, key: str) -> Partition:
    found: Partition | None = flow.partitions.of_key(key)
    if found is None:
        known = flow.partitions
        there = "such as " + ", ".join(known.keys[:10]) if isinstance(known, KeyPartitions) else _like(known)
        raise DeploymentError(f"The flow {flow.name!r} has no partition {key!r}.", hint=f"there are: {there}")
    return found


def _like(partitions: TimePartitions) -> str:
    latest = partitions.ending_by(now_us())
    return f"such as {latest.key}" if latest is not None else "none that is over"


def _instant(text: str | None, zone: str, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise DeploymentError(f"{text!r} is no day or time.", hint="write 2026-01-31 or 2026-01-31T06:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1_000_000)


def latest_states(journal: Journal, flow: str) -> dict[str, str]:
    """The state each partition of a flow is in: that of its latest run."""
    found: dict[str, str] = {}
    for run in _pages(journal, RunFilter(flow=flow, limit=_PAGE)):
        if run.partition is not None:
            found.setdefault(run.partition, run.state)
    return found | dict.fromkeys(journal.purged_partitions(flow), "Completed")


def _pages(journal: Journal, where: RunFilter) -> Iterator[Run]:
    while True:
        page = journal.runs(where)
        yield from page
        if len(page) < where.limit:
            return
        where = msgspec.structs.replace(where, before=page[-1].id)


def create(
    journal: Journal,
    flow: Any,
    partitions: list[Partition],
    *,
    parameters: Mapping[str, Any] | None = None,
    concurrency: int = 4,
    pool: str | None = None,
    backfill_id: str | None = None,
) -> Backfill:
    """Record a backfill and all its runs; who works on its pool executes them, `concurrency` at once.

    Args:
        journal: where.
        flow: whose runs they are.
        partitions: one run for each, in this order.
        parameters: of every run.
        concurrency: so many at once.
        pool: whose workers execute them; a pool of its own when left out.
        backfill_id: its name; something new when left out.

    Raises:
        DeploymentError: there is nothing to do, or there is a backfill of this name already.
        ParameterError: the flow needs a parameter that is not given, or one cannot be stored.
    """
    if not partitions:
        raise DeploymentError("There is no partition to run.", hint="look at --from, --to and --only-failed")
    if flow.entrypoint is None:
        raise DeploymentError(f"The flow {flow.name!r} is defined inside a function; define it at the top of a file.")
    given = plain_parameters(f"flow {flow.name!r}", parameters or {})
    missing = [each.name for each in flow.signature.parameters.values() if _needed(each) and each.name not in given]
    if missing:
        error = ParameterError(f"flow {flow.name!r}", [(each, "missing") for each in missing])
        error.hint = "give it with --param NAME=VALUE"
        raise error
    name = backfill_id or f"backfill-{new_run_id()[-8:]}"
    where = pool or name
    now = now_us()
    deployment = Deployment(
        name="", flow=flow.name, entrypoint=flow.entrypoint, version=flow.version, pool=where, queue=name,
        parameters=given, tags=(*sorted(flow.tags), f"backfill:{name}"), folder=os.getcwd(),
    )  # fmt: skip
    event = BackfillCreated(at=now, id=name, flow=flow.name, partitions=len(partitions), pool=where, slots=concurrency)
    try:
        plan = msgspec.json.encode(_Plan(deployment, partitions))
        journal.append(stream_of("backfill", name), 0, [Record(event, plan)])
    except SequenceConflict:
        raise DeploymentError(
            f"There is a backfill {name!r} already.", hint=f"go on with it: penstock backfill resume {name}"
        ) from None
    return complete(journal, name)


def _needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


class _Plan(msgspec.Struct):
    """What a backfill is to do, as recorded with its beginning."""

    deployment: Deployment
    partitions: list[Partition]


def complete(journal: Journal, name: str) -> Backfill:
    """Make what a backfill needs and does not have yet: its queue or pool, and its runs. Doing it again is fine.

    Raises:
        PlanNotFound: there is none of this name.
    """
    backfill = find(journal, name)
    if backfill.ended:
        return backfill
    first = next(iter(journal.load(stream_of("backfill", name))))
    assert first.data is not None
    plan = typed.from_json(first.data, _Plan)
    if backfill.pool == name:
        pool = PoolDeclared(at=now_us(), name=name, slots=backfill.slots)
        append_plan(journal, "pool", name, pool)
    else:
        queue = QueueDeclared(at=now_us(), pool=backfill.pool, name=name, slots=backfill.slots)
        append_plan(journal, "pool", backfill.pool, queue)
    appends = [
        _run(plan.deployment, name, first.event.at, place, partition) for place, partition in enumerate(plan.partitions)
    ]
    for start in range(0, len(appends), _CHUNK):
        chunk = appends[start : start + _CHUNK]
        try:
            journal.commit(chunk)
        except SequenceConflict:
            for append in chunk:
                with contextlib.suppress(SequenceConflict):
                    journal.commit([append])
    return backfill


def _run(deployment: Deployment, backfill: str, at: int, place: int, partition: Partition) -> Append:
    return run_of(
        msgspec.structs.replace(deployment, priority=place),
        derived_run_id(at // 1000, "backfill", backfill, partition.key),
        {},
        due_at=at,
        partition=partition.key,
        interval=partition.interval,
        cause="backfill",
    )


def find(journal: Journal, name: str) -> Backfill:
    """A backfill.

    Raises:
        PlanNotFound: there is none of this name.
    """
    found = journal.backfills(name)
    if not found:
        raise PlanNotFound(f"There is no backfill {name!r}.", hint="see: penstock backfill list")
    return found[0]


def counts_of(journal: Journal, name: str) -> Counter[str]:
    """How many runs of a backfill are in each state."""
    return Counter(run.state for run in runs_of(journal, name))


def runs_of(journal: Journal, name: str) -> Iterator[Run]:
    """The runs of a backfill, newest first."""
    return _pages(journal, RunFilter(tags=(f"backfill:{name}",), limit=_PAGE))


def settle(journal: Journal, name: str) -> Backfill:
    """Record the end of a backfill whose runs have all ended; tells how it is."""
    backfill = find(journal, name)
    if backfill.ended:
        return backfill
    counts = counts_of(journal, name)
    if sum(counts[state] for state in FINAL_WORDS) < backfill.partitions:
        return backfill
    state = "Completed" if counts["Completed"] == backfill.partitions else "Failed"
    append_plan(journal, "backfill", name, BackfillEnded(at=now_us(), id=name, state=state, counts=dict(counts)))
    _let_go(journal, backfill)
    return find(journal, name)


def _let_go(journal: Journal, backfill: Backfill) -> None:
    """Forget the pool or the queue that was made for it."""
    if backfill.pool == backfill.id:
        if journal.pools(backfill.id):
            append_plan(journal, "pool", backfill.id, PoolDeleted(at=now_us(), name=backfill.id))
        return
    with contextlib.suppress(PlanNotFound):  # nothing is set for it any more
        delete_queue(journal, backfill.pool, backfill.id)


def settle_all(journal: Journal, now: int) -> None:
    """A chore: record the end of every backfill whose runs have all ended."""
    for backfill in journal.backfills(limit=1000):
        if not backfill.ended:
            settle(journal, backfill.id)


def cancel(journal: Journal, name: str) -> int:
    """Cancel the runs of a backfill that have not ended; returns how many.

    Raises:
        PlanNotFound: there is none of this name.
    """
    backfill = find(journal, name)
    open_runs = [run for run in runs_of(journal, name) if not run.ended]
    for run in open_runs:
        if run.owner is None:
            end_family(journal, run.id, StateType.CANCELLED, f"The backfill {name} was cancelled.")
        else:
            append_command(journal, run.id, RequestCancel(now_us(), f"The backfill {name} was cancelled."))
    if not backfill.ended:
        event = BackfillEnded(at=now_us(), id=name, state="Cancelled", counts=dict(counts_of(journal, name)))
        append_plan(journal, "backfill", name, event)
        _let_go(journal, backfill)
    return len(open_runs)
