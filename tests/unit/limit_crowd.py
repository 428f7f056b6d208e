"""Limits over many processes: the same duties on one SQLite file and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.limit_workers import enter_often, hold_one, penstock_of, take_turns
from tests.unit.waiting import until

from penstock.app import Penstock
from penstock.core.events import now_us
from penstock.engine.limits.declared import declare_limit

SECOND = 1_000_000
_spawn = multiprocessing.get_context("spawn")


def crowd(count: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    """What so many processes answer that begin at the same moment."""
    gate, answers = _spawn.Barrier(count), _spawn.Queue()
    workers = [_spawn.Process(target=target, args=(*arguments, gate, answers)) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join()
    return found


class Group:
    """Processes that hold one slot each, with the files they tell by."""

    def __init__(self, store: dict[str, Any], folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._answers: Any = _spawn.Queue()
        self._workers: dict[str, Any] = {}
        self._told: dict[str, tuple[Any, str]] = {}

    def start(self, name: str, how: str = "leave", owner: str | None = None) -> None:
        """Let a process enter, as `hold_one` says."""
        args = (self.store, str(self.folder), name, how, owner, None, self._answers)
        self._workers[name] = _spawn.Process(target=hold_one, args=args)
        self._workers[name].start()

    def until_inside(self, name: str) -> int:
        """Wait until it is; its process."""
        until((self.folder / f"{name}-inside").exists)
        return int(self._workers[name].pid)

    def is_inside(self, name: str) -> bool:
        """Whether it was ever inside."""
        return (self.folder / f"{name}-inside").exists()

    def let_go(self, name: str) -> None:
        """Tell one that waits to leave."""
        (self.folder / f"{name}-may-leave").touch()

    def answer(self, name: str) -> tuple[Any, str]:
        """Its ticket, and what went wrong."""
        while name not in self._told:
            who, ticket, error = self._answers.get(timeout=60)
            self._told[who] = ticket, error
        return self._told[name]

    def close(self) -> None:
        """Wait for all of them."""
        for worker in self._workers.values():
            worker.join(30)
            assert not worker.is_alive()


class CrowdedLimits:
    """A subclass provides `store`: the settings that name a journal."""

    @pytest.fixture
    def app(self, store: dict[str, Any]) -> Iterator[Penstock]:
        app = penstock_of(store)
        yield app
        app.close()

    @contextmanager
    def group(self, store: dict[str, Any], folder: Path, **more: Any) -> Iterator[Group]:
        """Processes with the leases that are given."""
        made = Group({**store, **more}, folder)
        yield made
        made.close()

    def test_never_more_inside_than_slots(self, app: Penstock, store: dict[str, Any], tmp_path: Path) -> None:
        declare_limit(app.journal, "db", 3)
        answers = crowd(16, enter_often, store, str(tmp_path), 3, 8)
        assert [error for _, error in answers if error] == []
        assert [entered for entered, _ in answers] == [8] * 16, "somebody never came in"
        assert not (tmp_path / "crowded").exists()
        assert app.journal.tickets() == []
        tickets = (tmp_path / "tickets").read_text().split()
        assert len(set(tickets)) == 16 * 8

    def test_one_at_a_time_in_the_order_of_the_tickets(
        self, app: Penstock, store: dict[str, Any], tmp_path: Path
    ) -> None:
        declare_limit(app.journal, "db", 1)
        answers = crowd(6, enter_often, store, str(tmp_path), 1, 8)
        assert [error for _, error in answers if error] == []
        tickets = [int(line) for line in (tmp_path / "tickets").read_text().split()]
        assert len(tickets) == 48
        assert tickets == sorted(tickets), "somebody was overtaken"

    def test_turns_are_spaced_over_processes(self, store: dict[str, Any]) -> None:
        rate, burst = 200.0, 5
        answers = crowd(4, take_turns, store, rate, burst, 30)
        assert [error for _, error in answers if error] == []
        turns = sorted(turn for found, _ in answers for turn, _ in found)
        assert len(turns) == 120
        for window in (SECOND // 20, SECOND // 5, SECOND):
            most = max(sum(turn <= other < turn + window for other in turns) for turn in turns)
            assert most <= burst + rate * window / SECOND, "more turns than the rate allows"
        early = [turn - used for found, _ in answers for turn, used in found if used < turn]
        assert early == [], "a turn was used before it had come"

    def test_a_killed_holder_gives_its_slot_up(self, app: Penstock, store: dict[str, Any], tmp_path: Path) -> None:
        declare_limit(app.journal, "db", 1)
        with self.group(store, tmp_path, lease_seconds=3600) as group:
            group.start("killed", "wait")
            os.kill(group.until_inside("killed"), signal.SIGKILL)
            group.start("next")
            assert group.answer("next")[1] == ""
        assert app.journal.tickets() == []

    def test_one_who_waits_already_notices_it_too(self, app: Penstock, store: dict[str, Any], tmp_path: Path) -> None:
        declare_limit(app.journal, "db", 1)
        with self.group(store, tmp_path, lease_seconds=3600) as group:
            group.start("killed", "wait")
            pid = group.until_inside("killed")
            group.start("next")
            _wait_for(lambda: len(app.journal.tickets()) == 2)
            assert not group.is_inside("next")
            os.kill(pid, signal.SIGKILL)
            assert group.answer("next")[1] == ""

    def test_a_holder_of_another_machine_is_dead_when_its_lease_is_over(
        self, app: Penstock, store: dict[str, Any], tmp_path: Path
    ) -> None:
        declare_limit(app.journal, "db", 1)
        with self.group(store, tmp_path, lease_seconds=1) as group:
            group.start("far", "wait", owner="elsewhere/0|1|1|far")
            os.kill(group.until_inside("far"), signal.SIGKILL)
            (run,) = app.journal.find("far")
            group.start("next")
            assert group.answer("next")[1] == ""
            assert run.lease_until is not None
            assert run.lease_until < now_us(), "it was thought dead before its lease was over"

    @pytest.mark.parametrize("how", ["stop", "work"])
    def test_a_stopped_holder_does_not_go_on_after_it_lost_its_slot(
        self, app: Penstock, store: dict[str, Any], tmp_path: Path, how: str
    ) -> None:
        declare_limit(app.journal, "db", 1)
        with self.group(store, tmp_path, lease_seconds=0.6) as group:
            group.start("frozen", how)
            pid = group.until_inside("frozen")
            os.kill(pid, signal.SIGSTOP)
            group.start("next", "wait")
            group.until_inside("next")
            os.kill(pid, signal.SIGCONT)
            ticket, error = group.answer("frozen")
            group.let_go("next")
            later, fine = group.answer("next")
        assert fine == ""
        assert error.startswith("RunTakenOver"), error
        assert "given to somebody else" in error
        assert later > ticket, "the fencing token does not grow"
        assert not (tmp_path / "frozen-left").exists(), "it went on behind the block"
        (run,) = app.journal.find("frozen")
        assert not run.ended
        assert [step.state for step in app.journal.task_runs(run.id)] in ([], ["Running"])
        assert app.journal.tickets() == []

    def test_a_stopped_holder_that_lost_nothing_goes_on(
        self, app: Penstock, store: dict[str, Any], tmp_path: Path
    ) -> None:
        declare_limit(app.journal, "db", 1)
        with self.group(store, tmp_path, lease_seconds=0.6) as group:
            group.start("frozen", "stop")
            pid = group.until_inside("frozen")
            (run,) = app.journal.find("frozen")
            _wait_for(lambda: (found := app.journal.run(run.id)) is not None and found.lost(now_us()))
            os.kill(pid, signal.SIGCONT)
            assert group.answer("frozen")[1] == ""


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
