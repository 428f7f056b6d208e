"""Very many runs that nobody executed: to see how a journal lists, finds and forgets them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from penstock.core.events import (
    Append,
    ErrorInfo,
    Event,
    Record,
    RunCompleted,
    RunCrashed,
    RunCreated,
    RunFailed,
    RunStarted,
    Saved,
    TaskCompleted,
)
from penstock.core.ids import child_run_id, derived_run_id, new_run_name
from penstock.core.ports import Journal
from penstock.testing.samples import step

BEGIN = 1_700_000_000_000_000
SECOND = 1_000_000
RARE = 5_000
"""One run in so many has the tag `rare`, the flow `rare` and the parameter rare=yes, and failed for a rare reason."""
_BATCH = 500
_FLOWS = [f"flow_{number}" for number in range(20)]
_REASONS = ("HTTPError 503 from the api", "no such user", "Out of memory in clean_orders", "timed out after 30 s")


def fill(journal: Journal, runs: int, *, seed: int = 1, begin: int = BEGIN, apart: int = SECOND) -> list[str]:
    """Put runs into a journal that look like those of a company's year; returns the ids of those without a parent.

    Args:
        journal: where.
        runs: how many; one in ten has a subflow run besides.
        seed: the same runs whenever it is the same.
        begin: when the first one was made (microseconds).
        apart: microseconds between two.
    """
    random_ = random.Random(seed)
    ids: list[str] = []
    batch: list[Append] = []
    for number in range(runs):
        at = begin + number * apart
        run_id = derived_run_id(at // 1000, str(seed), str(number))
        ids.append(run_id)
        batch.append(Append(run_id, 0, [*_life(random_, number, at)]))
        if number % 10 == 0:
            child = child_run_id(run_id, "below#1", 1)
            family = {"parent_id": run_id, "root_id": run_id, "parent_key": "below#1"}
            batch.append(Append(child, 0, [*_life(random_, number, at, flow="below", **family)]))
        if len(batch) >= _BATCH:
            journal.commit(batch)
            batch = []
    journal.commit(batch)
    return ids


def _life(random_: random.Random, number: int, at: int, **more: Any) -> Iterator[Record]:
    rare = number % RARE == RARE // 2
    flow = "rare" if rare else _FLOWS[min(int(random_.expovariate(0.25)), 19)]
    tags = {"rare"} if rare else set()
    tags |= {random_.choice(("prod", "test")), f"team-{random_.randrange(10)}"}
    shown = {"day": f"2026-{random_.randint(1, 12):02}-{random_.randint(1, 28):02}", "limit": random_.choice((10, 100))}
    shown |= {"customer": random_.randrange(10_000)} | ({"rare": "yes"} if rare else {})
    deployment = f"deployment {random_.randrange(50)}" if random_.random() < 0.6 else None
    facts: dict[str, Any] = {
        "flow": flow,
        "tags": tuple(sorted(tags)),
        "shown": shown,
        "deployment": deployment,
        **more,
    }
    yield Record(RunCreated(at=at, name=new_run_name(), parameters=Saved("json", 2), **facts), b"{}")
    yield Record(RunStarted(at=at, owner="here|1|2|3", lease_until=at + 60 * SECOND))
    yield Record(TaskCompleted(at=at, step=step(), started=at, result=Saved("json", 2)), b"42")
    if random_.random() < 0.001 and not rare:
        return
    yield Record(_end(random_, at, rare))


def _end(random_: random.Random, at: int, rare: bool) -> Event:
    chance = random_.random()
    if rare or chance < 0.05:
        message = "A rare reason" if rare else f"{random_.choice(_REASONS)} {random_.randrange(1_000)}"
        return RunFailed(at=at + SECOND, message=message, error=ErrorInfo("Error", message))
    if chance < 0.06:
        return RunCrashed(at=at + SECOND, message="Execution was aborted by SIGTERM")
    return RunCompleted(at=at + SECOND, result=Saved("json", 2))
