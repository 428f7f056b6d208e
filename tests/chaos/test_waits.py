"""Runs that wait, killed at every point; many of them at once; answers that race."""

from __future__ import annotations

import signal
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.chaos import patience, workers
from tests.chaos.invariants import check_run, family, recorded_attempts
from tests.chaos.lab import Gate, Lab, Worker, until
from tests.chaos.patience import ENTRYPOINT, POOL
from tests.chaos.shapes import effects_in

from penstock.core.deployments import Deployment
from penstock.core.events import ON_REQUEST, RunAnswered, RunClaimed, RunPaused, now_us
from penstock.core.ids import new_owner
from penstock.core.model import Claim, Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine.recovery import cancel
from penstock.engine.replay import state_of
from penstock.engine.runners.trees import kill_tree
from penstock.engine.waiting.replies import pause, reply, waits_of
from penstock.journal.results import FileResultStore
from penstock.orchestrator.deployments import declare, trigger
from penstock.orchestrator.losses import recover

pytestmark = pytest.mark.chaos

LEASE_US = 30_000_000
ANSWERS: dict[str, Any] = {"wait_for_input#1": 4, "approve#1": True, ON_REQUEST: None}
VALUE = 19
"""What `patient` returns when it is answered so."""


@pytest.fixture
def eager(store: dict[str, Any]) -> dict[str, Any]:
    """Every wait lets its process go."""
    return {**store, "suspend_seconds": 0.0}


class Patient:
    """One run that waits three times, from its birth to its end, carried on whenever it is due or was lost."""

    def __init__(self, lab: Lab, store: dict[str, Any], journal: Journal, name: str) -> None:
        self.lab = lab
        self.store = store
        self.journal = journal
        self.where = lab.folder / f"effects-{name}"
        self.owner = new_owner()
        self.processes = 0
        self.kills = 0
        declare(journal, Deployment(name="patient", flow="patient", entrypoint=ENTRYPOINT.format("patient"), pool=POOL))
        self.id = trigger(journal, "patient", {"where": str(self.where)}).id

    @property
    def run(self) -> Run:
        found = self.journal.run(self.id)
        assert found is not None
        return found

    def to_the_end(self, faults: dict[int, list[Any]], answer_faults: dict[int, list[Any]] | None = None) -> None:
        """Carry on; the process with this number (from 1), or the one that answers, has a fault."""
        answers = count(1)
        while not self.run.ended:
            if self.claimed():
                self.processes += 1
                self._execute(faults.get(self.processes))
            elif self.run.state == "Paused" and self.run.due_at is None:
                self._answer((answer_faults or {}).get(next(answers)))
            else:
                until(lambda: (self.run.due_at or 0) <= now_us(), "the run is due")

    def claimed(self) -> bool:
        now = now_us()
        claim = Claim(pool=POOL, owner=self.owner, now=now, lease_until=now + LEASE_US, limit=1)
        return bool(self.journal.claim(claim))

    def _execute(self, fault: list[Any] | None) -> None:
        before = recorded_attempts(self.journal, family(self.journal, self.id))
        seen = len(effects_in(self.where))
        ended = self.lab.run(
            patience.carry_on, store=self.store, run_id=self.id, flow_name="patient", owner=self.owner, fault=fault
        )
        again = {(run_id, key, attempt) for run_id, _, key, attempt in effects_in(self.where)[seen:]}
        assert not again & before, "a recorded step was executed again"
        if ended.killed:
            self.kills += 1
            lost = self.run
            if lost.owner is not None:
                assert recover(self.journal, lost, "killed", crashed=False) == "rescheduled"
        else:
            assert ended.value in ("waits", "Completed")
            assert self.run.owner is None, "whoever waits holds nothing"

    def _answer(self, fault: list[Any] | None) -> None:
        (waiting,) = waits_of(self.journal, self.id)
        self.kills += self.lab.run(
            patience.answer, store=self.store, run_id=self.id, value=ANSWERS[waiting.key], fault=fault
        ).killed

    def check(self) -> None:
        """It ended as if nothing had happened."""
        runs = family(self.journal, self.id)
        for run in runs:
            check_run(self.journal, run)
            assert run.state == "Completed"
        assert value_of(self.journal, self.store, self.id) == VALUE
        assert {key for _, _, key, _ in effects_in(self.where)} == {"add#1", "add#2", "add#3"}
        assert len(effects_in(self.where)) <= 5 + self.kills
        for run in runs:
            self._check_waits(run)

    def _check_waits(self, run: Run) -> None:
        """A wait keeps its end, and is answered once."""
        untils: dict[tuple[str, str | None], set[int | None]] = {}
        answered: Counter[tuple[str, str | None]] = Counter()
        for stored in self.journal.load(run.id):
            if isinstance(stored.event, RunPaused):
                waiting = stored.event.waiting
                untils.setdefault((waiting.key, waiting.run), set()).add(waiting.until)
            elif isinstance(stored.event, RunAnswered):
                answered[stored.event.step, stored.event.run] += 1
        assert all(len(ends) == 1 for ends in untils.values()), untils
        assert set(answered.values()) <= {1}


@pytest.mark.parametrize("moment", ["before", "after", "effect"])
@pytest.mark.parametrize("process", [1, 2, 3, 4])
def test_a_run_that_waits_is_killed_at_every_point(
    lab: Lab, eager: dict[str, Any], journal: Journal, process: int, moment: str
) -> None:
    """The four processes of a calm run: to its sleep, to its question, to the approval of its subflow, to its end.

    There are only three where the sleep is over before its process could be let go, and that one is not killed then.
    """
    at = 1
    for number in count(1):
        patient = Patient(lab, eager, journal, f"{process}-{number}")
        patient.to_the_end({process: [moment, at]})
        patient.check()
        if patient.kills:
            at += 1
        elif patient.processes >= process:
            assert at > 1
            break


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_was_asked_to_pause_is_killed_at_every_point(
    lab: Lab, eager: dict[str, Any], journal: Journal, moment: str
) -> None:
    """It pauses in whatever process goes on with it, until somebody lets it go on; and it is let go on once."""
    for at in count(1):
        patient = Patient(lab, eager, journal, f"asked-{at}")
        pause(journal, patient.id, by="ann")
        patient.to_the_end({1: [moment, at]}, {1: [moment, 1]})
        patient.check()
        asked = [stored.event for stored in journal.load(patient.id) if isinstance(stored.event, RunAnswered)]
        assert [event.step for event in asked].count(ON_REQUEST) == 1
        if patient.kills == 1:  # the one that answered
            assert at > 1
            break


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_whoever_answers_is_killed(lab: Lab, eager: dict[str, Any], journal: Journal, number: int, moment: str) -> None:
    """The answer is there for the run and the runs around it, or for none of them."""
    patient = Patient(lab, eager, journal, "answered")
    patient.to_the_end({}, {number: [moment, 1]})
    assert patient.kills == 1
    patient.check()


def test_killed_again_and_again(lab: Lab, eager: dict[str, Any], journal: Journal) -> None:
    """Every process is killed as soon as it has recorded one thing beyond what it begins with."""
    patient = Patient(lab, eager, journal, "again")
    patient.to_the_end({number: ["after", 3] for number in range(1, 40)})
    assert patient.kills > 3
    patient.check()


def started(lab: Lab, store: dict[str, Any], slots: int = 4) -> Worker:
    return lab.start(patience.work, store=store, slots=slots)


def stop(lab: Lab, worker: Worker) -> None:
    """The worker and all it has started, at once."""
    kill_tree(worker.pid, signal.SIGKILL)
    lab.wait(worker)


def in_state(journal: Journal, state: str, flow: str = "sleeper") -> list[Run]:
    return journal.runs(RunFilter(states=(state,), flow=flow, limit=1000))


def deployed(journal: Journal, *flows: str) -> None:
    for name in flows:
        declare(journal, Deployment(name=name, flow=name, entrypoint=ENTRYPOINT.format(name), pool=POOL))


@pytest.mark.timeout(240)
def test_two_hundred_sleeping_runs_hold_none_of_four_slots(
    lab: Lab, sqlite_store: dict[str, Any], tmp_path: Path
) -> None:
    """Other runs go through while they sleep, and no worker is needed for them to be there."""
    store = sqlite_store
    journal = workers.open_journal(workers.settings_of(store))
    deployed(journal, "sleeper", "quick")
    for _ in range(200):
        trigger(journal, "sleeper", {"where": str(tmp_path / "sleepers"), "seconds": 86_400})
    worker = started(lab, store)
    until(lambda: len(in_state(journal, "Paused")) == 200, "all of them sleep", seconds=110)
    assert journal.held_runs(POOL) == []
    others = [trigger(journal, "quick", {"where": str(tmp_path / "others")}).id for _ in range(20)]
    until(lambda: len(in_state(journal, "Completed", "quick")) == 20, "the others have ended", seconds=60)
    assert {run.id for run in in_state(journal, "Completed", "quick")} == set(others)
    stop(lab, worker)
    assert len(in_state(journal, "Paused")) == 200
    assert len(effects_in(tmp_path / "sleepers")) == 200
    for run in in_state(journal, "Paused")[:20]:
        assert cancel(journal, run.id).state == "Cancelled"
        assert journal.run(run.id).owner is None  # type: ignore[union-attr]
    journal.close()


@pytest.mark.timeout(240)
def test_the_worker_is_killed_while_its_runs_sleep(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    """Again and again; another one wakes them when their time has come, and each of them once."""
    store = {**store, "suspend_seconds": 0.2, "lease_seconds": 2.0}
    deployed(journal, "sleeper")
    where = lab.folder / "slept"
    ids = [trigger(journal, "sleeper", {"where": str(where), "seconds": 1.5}).id for _ in range(12)]
    for _ in range(3):
        worker = started(lab, store)
        time.sleep(0.8)
        stop(lab, worker)
        recovered(journal)
    worker = started(lab, store)
    until(lambda: all_ended(journal, ids), "all of them have ended", seconds=180, every=0.1)
    stop(lab, worker)
    for run_id in ids:
        run = journal.run(run_id)
        assert run is not None
        assert run.state == "Completed"
        check_run(journal, run)
        check_sleep([stored.event for stored in journal.load(run_id)])


def check_sleep(events: list[Any]) -> None:
    """It did not begin anew, and nobody was woken before its time; a process that is slow may sleep to the end."""
    (due,) = {event.waiting.until for event in events if isinstance(event, RunPaused)}
    let_go = False
    for event in events:
        if isinstance(event, RunPaused):
            let_go = not event.held
        elif isinstance(event, RunClaimed):
            assert not let_go or event.at >= due
            let_go = False
    assert events[-1].at >= due


def all_ended(journal: Journal, ids: list[str]) -> bool:
    """Whether they have, once those were recovered whose process is gone."""
    recovered(journal)
    return all(run.ended for run in map(journal.run, ids) if run is not None)


def recovered(journal: Journal) -> None:
    """What a scheduler's chore does with runs whose process is gone."""
    for run in journal.held_runs(POOL):
        if run.lost(now_us()):
            recover(journal, run, "killed", crashed=False)


def test_a_held_wait_and_its_deadline_race_with_the_answer(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    """Whoever answered was told so exactly where the run has that answer."""
    outcomes: Counter[str] = Counter()
    for number in range(12):
        gate = Gate(lab.folder / f"gate-{number}")
        before = {run.id for run in journal.runs(RunFilter())}
        waiting = lab.start(patience.hurry, store=store, seconds=0.4, where=str(lab.folder / "hurried"))
        asked = until(lambda before=before: asked_since(journal, before), "it has asked")
        answering = [
            lab.start(patience.answer_at_the_gate, store=store, gate=gate.path, run_id=asked.run, value=value)
            for value in (1, 2)
        ]
        left = (asked.until - now_us()) / 1_000_000
        time.sleep(max(0.0, left - 0.02 + number * 0.004))
        gate.open()
        told = [lab.wait(each).value for each in answering]
        value = lab.wait(waiting).value
        assert told.count("answered") == (value != -1), (told, value)
        if value != -1:
            assert told[value - 1] == "answered"
        outcomes["answered" if value != -1 else "too late"] += 1
        check_run(journal, journal.run(asked.run))  # type: ignore[arg-type]
    assert sum(outcomes.values()) == 12


class Asked(NamedTuple):
    """A run that has asked, and until when it waits for an answer; 0 where that was over before it could ask."""

    run: str
    until: int


def asked_since(journal: Journal, before: set[str]) -> Asked | None:
    """The run that was not there before, once it has asked; its time may be over by now."""
    for run in journal.runs(RunFilter()):
        if run.id not in before:
            pauses = [each.event for each in journal.load(run.id) if isinstance(each.event, RunPaused)]
            if pauses or run.ended:
                return Asked(run.id, pauses[0].waiting.until or 0 if pauses else 0)
    return None


def test_a_suspended_run_claimed_at_its_deadline_races_with_the_answer(
    lab: Lab, eager: dict[str, Any], journal: Journal
) -> None:
    deployed(journal, "hurried")
    for number in range(10):
        owner = new_owner()
        parameters = {"where": str(lab.folder / "hurried"), "seconds": 0.3}
        run_id = trigger(journal, "hurried", parameters).id
        assert claimed(journal, owner) == [run_id]
        if (
            told := carried_on(lab, eager, run_id, owner)
        ) == "Completed":  # its time was over before it could be let go
            assert value_of(journal, eager, run_id) == -1
            continue
        assert told == "waits"
        gate = Gate(lab.folder / f"gate-{number}")
        answering = lab.start(patience.answer_at_the_gate, store=eager, gate=gate.path, run_id=run_id, value=5)
        run = journal.run(run_id)
        assert run is not None
        assert run.due_at is not None
        time.sleep(max(0.0, (run.due_at - now_us()) / 1_000_000 - 0.003 + number * 0.0008))
        gate.open()
        until(lambda owner=owner, run_id=run_id: claimed(journal, owner) == [run_id], "it is due")
        assert carried_on(lab, eager, run_id, owner) == "Completed"
        told = lab.wait(answering).value
        assert (told, value_of(journal, eager, run_id)) in {("answered", 5), ("too late", -1)}
        check_run(journal, journal.run(run_id))  # type: ignore[arg-type]


def value_of(journal: Journal, store: dict[str, Any], run_id: str) -> Any:
    """What a run has given that has ended."""
    end = list(journal.load(run_id))[-1]
    return state_of(end, FileResultStore(Path(store["home"]) / "results")).result()


def claimed(journal: Journal, owner: str) -> list[str]:
    now = now_us()
    claim = Claim(pool=POOL, owner=owner, now=now, lease_until=now + LEASE_US, limit=5)
    return [run.id for run in journal.claim(claim)]


def carried_on(lab: Lab, store: dict[str, Any], run_id: str, owner: str) -> str:
    told: str = lab.run(patience.carry_on, store=store, run_id=run_id, flow_name="hurried", owner=owner).value
    return told


def test_an_answer_counts_though_the_process_saw_it_after_the_deadline(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    """It stands still until long after, and then finds the answer on record."""
    frozen = lab.start(patience.hurry, store=store, seconds=5.0, where=str(lab.folder / "frozen"))
    until(lambda: journal.runs(RunFilter(states=("Paused",))), "it asks")
    (run,) = journal.runs(RunFilter())
    assert run.waiting is not None
    frozen.signal(signal.SIGSTOP)
    frozen.until_stopped()
    reply(journal, run.id, 7)
    until(lambda: now_us() > (run.waiting.until or 0) + 500_000, "the deadline has passed")  # type: ignore[union-attr]
    frozen.signal(signal.SIGCONT)
    assert lab.wait(frozen).value == 7
    check_run(journal, journal.run(run.id))  # type: ignore[arg-type]
