"""When a journal must wake those who watch it."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading

import msgspec

from penstock.core.clock import now_us
from penstock.core.events import Append, Event, Record, RunCreated, RunPaused
from penstock.core.model import Claim
from penstock.core.ports import Journal, Watch
from penstock.testing.journal_events import every_event
from penstock.testing.openings import Openings
from penstock.testing.samples import begin_run, created, log_line, task_completed

WAKING = frozenset(
    {
        *("RunCreated", "RunRescheduled", "RunPaused", "RunAnswered", "RunCancelRequested", "RunReleased"),
        *("RunCompleted", "RunFailed", "RunCrashed", "RunCancelled", "DeadlineMissed", "Happened"),
        *("DeploymentDeclared", "DeploymentResumed", "PoolDeclared", "QueueDeclared", "QueueDeleted", "PoolDeleted"),
        *("LimitDeclared", "LimitDeleted", "AutomationDeclared", "BackfillCreated"),
    }
)
"""Events after which somebody who waits may have something to do."""
_PATIENCE_SECONDS = 30.0
_QUIET_SECONDS = 0.15


class WatchDuties(Openings):
    """Whoever waits is woken by what concerns him, and by nothing else."""

    def _watching(self, journal: Journal) -> Watch:
        watch = self.again(journal).watch()
        self.__dict__.setdefault("_watches", []).append(watch)
        return watch

    def teardown_method(self) -> None:
        for watch in self.__dict__.pop("_watches", ()):
            watch.close()
        super().teardown_method()

    def test_what_somebody_may_wait_for_wakes(self) -> None:
        journal = self.opened()
        watch = self._watching(journal)
        for number, event in enumerate(event for event in every_event() if event.stored in WAKING):
            if isinstance(event, RunPaused):
                event = msgspec.structs.replace(event, held=False)
            if number % 2:
                journal.append(f"stream/{number}", 0, [task_completed(), Record(event)])
            else:
                journal.commit([Append(f"stream/{number}", 0, [Record(event)])])
            assert watch.wait(_PATIENCE_SECONDS), event.stored

    def test_nothing_else_wakes(self) -> None:
        journal = self.opened()
        watch = self._watching(journal)
        quiet: list[Event] = [event for event in every_event() if event.stored not in WAKING]
        for event in every_event():
            if isinstance(event, RunCreated):
                quiet.append(msgspec.structs.replace(event, due_at=None))
            if isinstance(event, RunPaused):
                quiet.append(msgspec.structs.replace(event, held=True))
        for number, event in enumerate(quiet):
            journal.append(f"stream/{number}", 0, [Record(event)], [log_line("x")])
            journal.commit([Append(f"another/{number}", 0, [Record(event)])], ("reader", number, number + 1))
        run_id = begin_run(journal)
        journal.write_logs([log_line(run_id)])
        journal.extend_leases([run_id], "here|1|2|3", now_us())
        journal.hold("scheduler", "me", 1, 2)
        journal.claim(Claim(pool="default", owner="me", now=1, lease_until=2, limit=3))
        assert not watch.wait(_QUIET_SECONDS)

    def test_slots_that_are_given_back_wake(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        ticket = journal.queue_up("db", run_id, "here|1|2|3", None, 1, now_us())
        watch = self._watching(journal)
        journal.hand_back([ticket])
        assert watch.wait(_PATIENCE_SECONDS)

    def test_several_wakes_are_one(self) -> None:
        journal = self.opened()
        watch, other = self._watching(journal), self._watching(journal)
        for number in range(300):
            journal.append(f"run {number}", 0, [created(due_at=5)])
        assert watch.wait(_PATIENCE_SECONDS)
        while watch.wait(_QUIET_SECONDS):
            pass
        assert other.wait(_PATIENCE_SECONDS), "every one who watches is woken"

    def test_waking_from_another_thread(self) -> None:
        journal = self.opened()
        watch = self._watching(journal)
        waiting = threading.Event()
        woken: list[bool] = []

        def wait() -> None:
            waiting.set()
            woken.append(watch.wait(_PATIENCE_SECONDS))

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        watch.wake()
        thread.join()
        assert woken == [True]
        assert not watch.wait(0)

    def test_a_watch_that_was_closed(self) -> None:
        journal = self.opened()
        watch = self._watching(journal)
        watch.close()
        watch.close()
        watch.wake()
        journal.append("stream/x", 0, [created(due_at=5)])
        assert not watch.wait(0)
