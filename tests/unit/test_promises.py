"""Promises about time: a miss is an event, once, whoever looks and however often."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

from penstock import flow
from penstock.core.clock import clock
from penstock.core.deployments import Promises
from penstock.core.events import DeadlineMissed, now_us
from penstock.orchestrator.deployments import trigger
from penstock.orchestrator.promises import check_promises
from penstock.testing import Simulation

HOUR = 3600 * 1_000_000


@flow
def counted(number: int = 1) -> int:
    return number + 1


def test_a_broken_promise_is_told_once() -> None:
    with Simulation("2026-01-01T00:30") as some:
        journal = some.app.journal
        promises = Promises(start_seconds=60, finish_seconds=600, fresh_seconds=7200)
        some.deploy(counted.to_deployment("d", cron="@hourly", promises=promises, pool="nobody"))
        some._claimed = lambda now: []  # type: ignore[method-assign]
        some.run(hours=4)
        told = [s.event for s in journal.read(0, 100_000) if isinstance(s.event, DeadlineMissed)]
        by = Counter((event.promise, event.run_id) for event in told)
        assert set(by.values()) == {1}
        assert Counter(event.promise for event in told) == {"start": 4, "finish": 4, "fresh": 1}


def missed(journal: Any) -> list[tuple[str, str | None]]:
    told = [s.event for s in journal.read(0, 100_000) if isinstance(s.event, DeadlineMissed)]
    return sorted((event.promise, event.run_id) for event in told)


@flow
def takes(seconds: float) -> None:
    clock().wait(threading.Event(), seconds)


def test_a_run_that_ended_between_two_looks_has_broken_its_promise_all_the_same() -> None:
    promises = {"duration": "1m", "finish": timedelta(minutes=2)}
    with Simulation("2026-01-01", flows={"takes": takes}) as some:
        journal = some.app.journal
        some.deploy(takes.to_deployment("t", promises=promises))
        in_time, slow = (trigger(journal, "t", {"seconds": s}).id for s in (59, 61))
        some.run(hours=1)
        assert missed(journal) == [("duration", slow), ("finish", slow)]
        late = trigger(journal, "t", {"seconds": 1}, at=now_us() + HOUR).id
        some.run(hours=2)
        assert {run.state for run in some.runs()} == {"Completed"}
        assert not {in_time, late} & {run_id for _, run_id in missed(journal)}


def test_a_missed_deadline_is_told_once_whatever_becomes_of_schedulers() -> None:
    with Simulation("2026-01-01", flows={"takes": takes}, chores=False) as some:
        journal = some.app.journal
        some.deploy(takes.to_deployment("t", promises={"duration_seconds": 60, "fresh": "2h"}))
        runs = [trigger(journal, "t", {"seconds": 61}).id for _ in range(3)]
        some.run(hours=1)
        assert check_promises(journal, now_us()) == 3
        assert check_promises(journal, now_us()) == 0
        assert journal.move_cursor("promises", journal.cursor("promises"), 1)  # as if another had not got so far
        assert check_promises(journal, now_us()) == 0
        some.run(hours=3)
        assert [check_promises(journal, now_us()) for _ in range(3)] == [1, 0, 0]
        ended_last = max(some.runs(), key=lambda run: (run.ended_at, run.id)).id
        assert missed(journal) == [*sorted(("duration", run) for run in runs), ("fresh", ended_last)]
        last = trigger(journal, "t", {"seconds": 1}).id
        some.run(hours=3)
        assert [check_promises(journal, now_us()) for _ in range(2)] == [1, 0]
        assert ("fresh", last) in missed(journal)


def test_fresh_is_about_the_run_that_ended_last_not_the_one_that_began_last() -> None:
    with Simulation("2026-01-01", flows={"takes": takes}, chores=False) as some:
        journal = some.app.journal
        some.deploy(takes.to_deployment("t", promises={"fresh": "2h"}))
        trigger(journal, "t", {"seconds": 3 * 3600})
        trigger(journal, "t", {"seconds": 1}, at=now_us() + HOUR)
        some.run(hours=4)
        assert {run.state for run in some.runs()} == {"Completed"}
        assert check_promises(journal, now_us()) == 0
        some.run(hours=2)
        assert check_promises(journal, now_us()) == 1


def test_promises_are_about_what_came_after_them() -> None:
    with Simulation("2026-01-01", flows={"takes": takes}) as some:
        some.deploy(takes.to_deployment("t"))
        trigger(some.app.journal, "t", {"seconds": 600})
        some.run(hours=1)
        some.deploy(takes.to_deployment("t", promises={"duration": "1m"}))
        some.run(hours=1)
        assert missed(some.app.journal) == []


def test_a_flow_of_the_same_name_in_another_place_is_not_meant() -> None:
    """`counted` of this module is deployed, and another one is declared afterwards."""
    with Simulation("2026-01-01") as some:
        some.deploy(counted.to_deployment("d"))

        @flow(name=counted.name)
        def other(number: int = 1) -> int:
            raise AssertionError("this is another flow")

        run = trigger(some.app.journal, "d", {"number": 1})
        some.run(hours=1)
        (found,) = some.runs()
        assert (found.id, found.state, other.name) == (run.id, "Completed", counted.name)
