"""Commits: many threads share one, and nobody sees a result that is not on record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.unit.engines import dead_owner, engine_on, newest, steps

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core.context import current_scope
from penstock.core.errors import JournalUnavailable
from penstock.core.events import Record, TaskCompleted
from penstock.core.model import LogLine, RunFilter
from penstock.engine.recorder import Recorder
from penstock.journal.memory import MemoryJournal
from penstock.task_runners import ThreadPoolTaskRunner
from penstock.testing.faults import Fault, FaultyJournal, fail_with


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[FaultyJournal]:
    """A journal that takes its time, as a database across a network does."""
    journal = FaultyJournal(MemoryJournal(), slow_seconds=0.005)
    with engine_on(tmp_path, journal).activate():
        yield journal


@task
def square(number: int) -> int:
    return number * number


class HoldingJournal(MemoryJournal):
    """Holds the first end of a task until all other threads have queued theirs."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.tasks = tasks
        self.recorder: Recorder | None = None
        self.batches: list[int] = []

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        ends = sum(isinstance(record.event, TaskCompleted) for record in records)
        if ends and not self.batches:
            assert self.recorder is not None
            while ends + len(self.recorder._queue) < self.tasks:
                time.sleep(0.001)
        if ends:
            self.batches.append(ends)
        super().append(run_id, expected_seq, records, logs)


def test_threads_that_commit_while_another_one_does_share_the_next_transaction(tmp_path: Path) -> None:
    journal = HoldingJournal(tasks=12)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=12))
    def crowded() -> int:
        scope = current_scope.get()
        assert scope is not None
        journal.recorder = scope.live.recorder
        return sum(square.map(range(12)).result())

    with engine_on(tmp_path, journal).activate():
        assert crowded() == sum(n * n for n in range(12))
    assert sum(journal.batches) == 12
    assert len(journal.batches) <= 2, journal.batches


def test_one_thread_alone_commits_each_step_at_once(slow: FaultyJournal) -> None:
    @flow
    def alone() -> int:
        return sum(square(n) for n in range(5))

    alone()
    assert slow.appends >= 7


def test_no_result_is_seen_before_it_is_on_record(slow: FaultyJournal) -> None:
    missing: list[str] = []

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=20))
    def watched() -> None:
        run_id = slow.runs(RunFilter())[0].id
        futures = square.map(range(60))

        def check(future: object) -> None:
            done = {task_run.key for task_run in slow.task_runs(run_id) if task_run.state == "Completed"}
            if future.key not in done:  # type: ignore[attr-defined]
                missing.append(future.key)  # type: ignore[attr-defined]

        for future in futures:
            future.add_done_callback(check)
        futures.wait()

    watched()
    assert missing == []


def test_a_failed_commit_is_a_failure_for_all_who_shared_it(tmp_path: Path) -> None:
    """None of them may believe that its result is recorded."""
    memory = MemoryJournal()
    strike = fail_with(JournalUnavailable("gone"))
    # 40 tasks on 8 threads take 5 appends at least, after the one that creates the run.
    faulty = FaultyJournal(memory, Fault(3, "before", strike), slow_seconds=0.005)
    app = Penstock(Settings(home=str(tmp_path), log_console=False), journal=faulty)
    app.engine.owner = dead_owner()
    states: list[str] = []

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def shared() -> None:
        futures = square.map(range(40))
        futures.wait()
        states.extend(future.state.name for future in futures)
        square(3)

    with app.activate(), pytest.raises(JournalUnavailable):
        shared()
    run = newest(app)
    assert run.state == "Running", "it is lost, and can be resumed"
    on_record = sum(state == "Completed" for state in steps(app, run.id).values())
    assert states.count("Completed") == on_record
    assert on_record < 40


def test_steps_are_recorded_whole_when_a_flow_submits_faster_than_it_commits(slow: FaultyJournal) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def bursting() -> list[int]:
        return [sum(square.map(range(start, start + 10)).result()) for start in range(0, 50, 10)]

    value = bursting()
    assert sum(value) == sum(n * n for n in range(50))
    (run_id,) = [run.id for run in slow.runs(RunFilter())]
    states = {task_run.key: task_run.state for task_run in slow.task_runs(run_id)}
    assert states == {f"square#{n}": "Completed" for n in range(1, 51)}
    sequence = [stored.seq for stored in slow.load(run_id)]
    assert sequence == list(range(1, len(sequence) + 1))
