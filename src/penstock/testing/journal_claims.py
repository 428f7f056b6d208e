"""How a journal must give due runs to workers."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

from penstock.core.clock import now_us
from penstock.core.errors import SequenceConflict
from penstock.core.events import (
    Record,
    RunAnswered,
    RunCancelRequested,
    RunClaimed,
    RunCompleted,
    RunPaused,
    RunRescheduled,
    RunResumed,
    RunStarted,
    RunStopped,
    Waiting,
)
from penstock.core.ids import derived_run_id
from penstock.core.model import Claim, Run
from penstock.core.plans import DeploymentDeclared, PoolDeclared, QueueDeclared
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import MINUTE, begin_run, created, together

NOW = 1_000_000
_millis = count(1_700_000_000_000)


def put(journal: Journal, due_at: int | None = NOW, pool: str | None = "default", **more: Any) -> str:
    """Make a run of a pool; returns its id, which sorts after those made before."""
    run_id = derived_run_id(next(_millis), "put")
    journal.append(run_id, 0, [created(due_at=due_at, pool=pool, **more)])
    return run_id


def take(journal: Journal, limit: int = 100, *, now: int = NOW, lease: int = MINUTE, **more: Any) -> list[Run]:
    """Claim runs."""
    given = {"pool": "default", "owner": "worker|1|2|3", **more}
    return journal.claim(Claim(now=now, lease_until=now + lease, limit=limit, **given))


def ids(runs: Sequence[Run]) -> list[str]:
    """The ids of runs."""
    return [run.id for run in runs]


class ClaimDuties(Openings):
    """Order, limits, leases."""

    def test_what_is_claimed(self) -> None:
        journal = self.opened()
        run_id = put(journal, queue="quick", deployment="nightly", priority=7, partition="p", interval=(1, 2))
        scheduled = journal.run(run_id)
        assert scheduled is not None
        assert (scheduled.state, scheduled.due_at, scheduled.owner) == ("Scheduled", NOW, None)
        (run,) = take(self.again(journal))
        assert run == journal.run(run_id)
        assert (run.state, run.state_name, run.due_at) == ("Pending", "Pending", None)
        assert (run.owner, run.lease_until) == ("worker|1|2|3", NOW + MINUTE)
        assert (run.queue, run.deployment, run.priority, run.partition) == ("quick", "nightly", 7, "p")
        assert (run.interval_start, run.interval_end) == (1, 2)
        claimed = [*journal.load(run_id)][-1]
        assert claimed.seq == 2
        assert claimed.event == RunClaimed(at=NOW, owner="worker|1|2|3", lease_until=NOW + MINUTE)
        assert claimed.stream in {stored.stream for stored in self.settled(journal, 0, 2)}
        assert take(journal) == take(self.again(journal), now=NOW + 10 * MINUTE) == []
        with_old_seq = [Record(RunCancelRequested(at=1))]
        try:
            journal.append(run_id, 1, with_old_seq)
        except SequenceConflict:
            journal.append(run_id, 2, with_old_seq)
        assert journal.last_seq(run_id) == 3

    def test_only_what_is_due_in_this_pool(self) -> None:
        journal = self.opened()
        due, later = put(journal, NOW), put(journal, NOW + 1)
        other = put(journal, NOW, "gpu")
        put(journal, None, None)
        begin_run(journal)
        assert ids(take(journal)) == [due]
        assert ids(take(journal, pool="gpu")) == [other]
        assert take(journal, pool="none") == []
        assert ids(take(journal, now=NOW + 1)) == [later]
        assert take(journal, 0) == []

    def test_the_order_of_claims(self) -> None:
        journal = self.opened()
        queues = (("slow", 200), ("quick", 1), ("calm", 100))
        for seq, (name, priority) in enumerate(queues):
            event = QueueDeclared(at=1, pool="default", name=name, priority=priority)
            journal.append("pool/default", seq, [Record(event)])
        places = {"quick": 1, "calm": 100, "slow": 200, "default": 100}
        made = []
        random_ = random.Random(3)
        for _ in range(60):
            queue, priority, due = random_.choice([*places]), random_.randint(-1, 2), NOW - random_.randint(0, 3)
            made.append((places[queue], priority, due, put(journal, due, queue=queue, priority=priority)))
        expected = [each[-1] for each in sorted(made)]
        taken: list[str] = []
        while some := take(journal, random_.randint(1, 9)):
            taken += ids(some)
        assert taken == expected

    def test_a_run_without_a_queue_is_in_the_default_one(self) -> None:
        journal = self.opened()
        run_id = put(journal)
        put(journal, queue="other")
        (run,) = take(journal, queues=("default",))
        assert (run.id, run.queue) == (run_id, "default")

    def test_chosen_queues(self) -> None:
        journal = self.opened()
        runs = {queue: put(journal, queue=queue) for queue in ("a", "b", "c", "d")}
        assert ids(take(journal, queues=("c", "a", "none"))) == [runs["a"], runs["c"]]
        assert take(journal, queues=("a", "c")) == []
        assert ids(take(journal, queues=())) == [runs["b"], runs["d"]]

    def test_the_limit_of_a_pool(self) -> None:
        journal = self.opened()
        journal.append("pool/default", 0, [Record(PoolDeclared(at=1, name="default", slots=3))])
        runs = [put(journal) for _ in range(9)]
        assert ids(take(journal, 2)) == runs[:2]
        assert ids(take(journal)) == runs[2:3]
        assert take(journal) == []
        assert take(journal, now=NOW + MINUTE) == [], "a lease counts to its end"
        assert ids(take(journal, now=NOW + MINUTE + 1)) == runs[3:6], "an expired lease frees its place"
        journal.extend_leases(runs[:1], "worker|1|2|3", NOW + 9 * MINUTE)
        assert take(journal, now=NOW + MINUTE + 2) == []
        for run_id in runs[3:6]:
            journal.append(run_id, 2, [Record(RunCompleted(at=1))])
        assert ids(take(journal, now=NOW + MINUTE + 2)) == runs[6:8]
        journal.append("pool/default", 1, [Record(PoolDeclared(at=1, name="default"))])
        assert ids(take(journal)) == runs[8:]

    def test_the_limit_of_a_queue(self) -> None:
        journal = self.opened()
        event = QueueDeclared(at=1, pool="default", name="quick", priority=1, slots=2)
        journal.append("pool/default", 0, [Record(event)])
        quick = [put(journal, queue="quick", priority=number % 2) for number in range(6)]
        slow = [put(journal, queue="slow") for _ in range(3)]
        put(journal, pool="gpu", queue="quick")
        assert ids(take(journal, pool="gpu"))
        assert ids(take(journal, 4)) == [quick[0], quick[2], *slow[:2]]
        assert ids(take(journal, 4)) == slow[2:]
        assert ids(take(journal, now=NOW + MINUTE + 1)) == [quick[4], quick[1]]

    def test_the_limit_of_a_deployment_hides_nobody(self) -> None:
        journal = self.opened()
        for name, slots in (("one", 1), ("two", 2), ("free", None)):
            event = DeploymentDeclared(at=1, name=name, flow="f", spec={}, pool="default", concurrency=slots)
            journal.append(f"deployment/{name}", 0, [Record(event)])
        ones = [put(journal, deployment="one") for _ in range(40)]
        twos = [put(journal, deployment="two") for _ in range(40)]
        free = [put(journal, deployment=name) for name in ("free", "unknown", None)]
        late = put(journal, queue="zz", priority=5)
        assert ids(take(journal, 3)) == [ones[0], *twos[:2]]
        assert ids(take(journal, 50)) == [*free, late]
        elsewhere = put(journal, pool="gpu", deployment="one")
        assert take(journal, pool="gpu") == [], "a deployment's limit counts in every pool"
        for run_id in (ones[0], twos[1]):
            journal.append(run_id, 2, [Record(RunCompleted(at=1))])
        assert ids(take(journal)) == [ones[1], twos[2]]
        assert ids(take(journal, pool="gpu", now=NOW + 2 * MINUTE)) == [elsewhere]

    def test_pausing_a_pool_or_a_queue(self) -> None:
        journal = self.opened()
        runs = [put(journal, queue=queue) for queue in ("a", "b")]
        journal.append("pool/default", 0, [Record(PoolDeclared(at=1, name="default", paused=True))])
        assert take(journal) == []
        journal.append("pool/default", 1, [Record(PoolDeclared(at=2, name="default"))])
        pausing = QueueDeclared(at=3, pool="default", name="a", paused=True)
        journal.append("pool/default", 2, [Record(pausing)])
        assert ids(take(journal)) == runs[1:]
        journal.append("pool/default", 3, [Record(QueueDeclared(at=4, pool="default", name="a"))])
        assert ids(take(journal)) == runs[:1]

    def test_when_the_next_run_is_due(self) -> None:
        journal = self.opened()
        assert journal.next_due("default") is None
        for due, queue, priority in ((50, "a", 9), (40, "b", 0), (60, "a", 0), (70, "c", 3)):
            put(journal, NOW + due, queue=queue, priority=priority)
        put(journal, NOW, "gpu")
        assert journal.next_due("default") == NOW + 40
        assert journal.next_due("default", ["a"]) == NOW + 50
        assert journal.next_due("default", ["c", "a", "none"]) == NOW + 50
        assert journal.next_due("default", ["none"]) is None
        take(journal, now=NOW + 50)
        assert journal.next_due("default") == NOW + 60

    def test_runs_that_come_back(self) -> None:
        journal = self.opened()
        owner = "child|1|2|3"
        asleep, answered, held, crashed = (put(journal) for _ in range(4))
        assert len(take(journal)) == 4
        for run_id in (asleep, answered, held, crashed):
            journal.append(run_id, 2, [Record(RunStarted(at=NOW, owner=owner, lease_until=NOW + MINUTE))])
        sleep = Waiting(key="sleep#1", kind="sleep", until=NOW + 50)
        asking = Waiting(key="input#1", kind="input", until=None, prompt="How many?")
        journal.append(asleep, 3, [Record(RunPaused(at=NOW, waiting=sleep))])
        journal.append(answered, 3, [Record(RunPaused(at=NOW, waiting=asking))])
        journal.append(held, 3, [Record(RunPaused(at=NOW, waiting=asking, held=True))])
        journal.append(crashed, 3, [Record(RunRescheduled(at=NOW, due_at=NOW + 20, crashes=1, reason="died"))])
        waits = journal.run(asleep)
        assert waits is not None
        assert (waits.state, waits.state_name, waits.owner, waits.waiting) == ("Paused", "Sleeping", None, sleep)
        journal.append(answered, 4, [Record(RunAnswered(at=NOW, step="input#1", due_at=NOW + 10), b"3")])
        journal.append(held, 4, [Record(RunAnswered(at=NOW, step="input#1"), b"3")])
        assert journal.next_due("default") == NOW + 10
        assert ids(take(journal, now=NOW + 10)) == [answered]
        assert journal.next_due("default") == NOW + 20, "what its process holds is nobody's to take"
        (back,) = take(journal, now=NOW + 20)
        assert (back.id, back.crashes) == (crashed, 1)
        (woken,) = take(journal, now=NOW + 50)
        assert (woken.id, woken.waiting, woken.state) == (asleep, None, "Pending")
        journal.append(asleep, 5, [Record(RunResumed(at=NOW, owner=owner, lease_until=NOW + MINUTE))])
        assert journal.next_due("default") is None

    def test_lost_and_held_runs(self) -> None:
        journal = self.opened()
        first, second, third = put(journal), put(journal), put(journal, pool="gpu")
        begin_run(journal)
        put(journal, NOW + 99)
        take(journal, 1, lease=20)
        take(journal, 1, lease=10)
        take(journal, pool="gpu", lease=30)
        assert ids(journal.held_runs()) == sorted([first, second, third])
        assert ids(journal.held_runs("gpu")) == [third]
        assert journal.lost_runs(NOW + 10) == []
        assert ids(journal.lost_runs(NOW + 25)) == [second, first]
        assert ids(journal.lost_runs(NOW + 99, 2)) == [second, first]
        journal.append(second, 2, [Record(RunCompleted(at=1))])
        journal.append(first, 2, [Record(RunRescheduled(at=1, due_at=NOW))])
        assert ids(journal.lost_runs(NOW + 99)) == ids(journal.held_runs()) == [third]

    def test_what_is_in_a_pool(self) -> None:
        journal = self.opened()
        now = now_us()
        for due in (now - 10, now - 5, now - 3, now + MINUTE * 60):
            put(journal, due)
        put(journal, now, "gpu")
        take(journal, 1, now=now)
        take(journal, 1, now=now, lease=-1)
        assert [(pool.name, pool.waiting, pool.running) for pool in journal.pools()] == [
            ("default", 1, 1),
            ("gpu", 1, 0),
        ]

    def test_many_at_once(self) -> None:
        journal = self.opened()
        runs = [put(journal, queue=f"q{number % 3}") for number in range(1_300)]
        taken = take(journal, 2_000)
        assert sorted(ids(taken)) == sorted(runs)
        found = self.settled(journal, 0, 2_600)
        assert len({stored.position for stored in found}) == 2_600

    def test_claimers_at_once_never_take_the_same_run(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal), self.again(journal)]
        runs = [put(journal, queue=f"q{number % 2}", priority=number % 3) for number in range(150)]
        taken: list[str] = []

        def work(number: int) -> None:
            mine, random_ = openings[number % 3], random.Random(number)
            while some := take(mine, random_.randint(1, 7), owner=f"worker {number}"):
                taken.extend(ids(some))
                assert {run.owner for run in some} == {f"worker {number}"}

        together(work, 6)
        assert sorted(taken) == sorted(runs)
        for run_id in runs:
            assert [stored.seq for stored in journal.load(run_id)] == [1, 2]

    def test_claimers_at_once_never_exceed_a_limit(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal), self.again(journal)]
        events = [
            PoolDeclared(at=1, name="default", slots=5),
            QueueDeclared(at=1, pool="default", name="q0", slots=2),
            DeploymentDeclared(at=1, name="d", flow="f", spec={}, pool="default", concurrency=1),
        ]
        journal.append("pool/default", 0, [Record(event) for event in events])
        total = 120
        for number in range(total):
            put(journal, queue=f"q{number % 2}", deployment="d" if number % 3 == 0 else None)
        lock, live, done, most = threading.Lock(), dict[str, Run](), [0], [0]

        def work(number: int) -> None:
            mine = openings[number % 3]
            while done[0] < total:
                some = take(mine, 3, owner=f"worker {number}")
                with lock:
                    live.update({run.id: run for run in some})
                    most[0] = max(most[0], len(live))
                    assert len(live) <= 5
                    assert sum(run.queue == "q0" for run in live.values()) <= 2
                    assert sum(run.deployment == "d" for run in live.values()) <= 1
                for run in some:
                    with lock:
                        del live[run.id]
                        done[0] += 1
                    mine.append(run.id, 2, [Record(RunCompleted(at=1))])

        together(work, 6)
        assert done[0] == total
        assert most[0] > 1

    def test_claims_among_other_appends(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal), self.again(journal)]
        runs = [put(journal) for _ in range(90)]

        def work(number: int) -> None:
            mine = openings[number % 3]
            if number < 2:
                while take(mine, 4, owner=f"worker {number}") or mine.next_due("default") is not None:
                    pass
                return
            for run_id in random.Random(number).sample(runs, len(runs)):
                try:
                    stop = RunStopped(at=1) if number % 2 else RunCancelRequested(at=1)
                    mine.append(run_id, 1, [Record(stop)])
                except SequenceConflict:
                    continue

        together(work, 4)
        for run_id in runs:
            events = [type(stored.event) for stored in journal.load(run_id)]
            run = journal.run(run_id)
            assert run is not None
            if RunStopped in events:
                assert RunClaimed not in events, "a run was taken that had ended"
                assert (run.state, run.owner) == ("Cancelled", None)
            else:
                assert events.count(RunClaimed) == 1
                assert run.state == "Pending"
