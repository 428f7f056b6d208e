"""What a journal must keep of what is planned: deployments, schedules, pools, workers, automations."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.events import Append, Event, Record
from penstock.core.ids import new_run_id
from penstock.core.model import Backfill, DueSchedule, Pool, Queue, StoredAutomation, StoredSchedule, Worker
from penstock.core.plans import (
    AutomationDeclared,
    AutomationDeleted,
    AutomationFired,
    BackfillCreated,
    BackfillEnded,
    DeploymentDeclared,
    DeploymentDeleted,
    DeploymentPaused,
    DeploymentResumed,
    PoolDeclared,
    PoolDeleted,
    QueueDeclared,
    QueueDeleted,
    ScheduleDue,
    ScheduleMoved,
    stream_of,
)
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import created


def plan(journal: Journal, kind: str, *events: Any) -> None:
    """Append events to the stream of what they name."""
    stream = stream_of(kind, getattr(events[0], "deployment", None) or events[0].name)
    journal.append(stream, journal.last_seq(stream), [Record(event) for event in events])


def declared(name: str = "nightly", due: dict[str, int | None] | None = None, **more: Any) -> DeploymentDeclared:
    """The event of a deployment with schedules; `due` says when each is due next."""
    given = {"flow": "shop", "spec": {"name": name}, "pool": "default", **more}
    schedules = tuple(ScheduleDue(name=key, spec={"cron": key}, next_due=at) for key, at in (due or {}).items())
    return DeploymentDeclared(at=1, name=name, schedules=schedules, **given)


class PlanDuties(Openings):
    """What events of plans leave in the tables."""

    def test_nothing_is_planned_yet(self) -> None:
        journal = self.opened()
        empty: list[Any] = [journal.deployments(), journal.pools(), journal.workers(), journal.automations()]
        empty += [
            journal.deployments("x"),
            journal.pools("x"),
            journal.automations("x"),
            journal.due_schedules(1 << 60),
        ]
        assert empty == [[]] * 8
        assert journal.next_schedule() is None

    def test_deployments(self) -> None:
        journal = self.opened()
        spec = {"entrypoint": "flows.py:shop", "parameters": {"zoë": [1, None]}}
        plan(journal, "deployment", declared("b", spec=spec, queue="quick", concurrency=3, paused=True, pool="gpu"))
        plan(journal, "deployment", declared("a", {"x": 20, "y": None}))
        first, second = self.again(journal).deployments()
        assert (first.name, first.flow, first.pool, first.queue, first.concurrency) == (
            "a",
            "shop",
            "default",
            "default",
            None,
        )
        assert (second.name, second.spec, second.pool, second.queue) == ("b", spec, "gpu", "quick")
        assert (second.concurrency, second.paused, second.updated_at, second.schedules) == (3, True, 1, ())
        assert first.schedules == (_schedule("a", "x", 20), _schedule("a", "y", None))
        assert journal.deployments("b") == [second]

    def test_a_deployment_that_is_declared_again(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared(due={"x": 10, "y": 20}))
        plan(journal, "deployment", _moved("x", 10, 30))
        again = declared(due={"x": 30, "z": 40}, flow="web", spec={"new": 1}, concurrency=2)
        plan(journal, "deployment", msgspec.structs.replace(again, at=7, dropped=("y",)))
        (found,) = journal.deployments()
        assert (found.flow, found.spec, found.concurrency, found.updated_at) == ("web", {"new": 1}, 2, 7)
        kept = msgspec.structs.replace(_schedule("nightly", "x", 30), fired_until=10)
        assert found.schedules == (kept, _schedule("nightly", "z", 40))

    def test_due_schedules(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared("a", {"x": 30, "y": 10, "z": None}))
        plan(journal, "deployment", declared("b", {"x": 20}))
        far = 1 << 60
        plan(journal, "deployment", declared("c", {"x": far}))
        assert journal.next_schedule() == 10
        found = journal.due_schedules(30)
        assert [(each.deployment, each.name, each.next_due) for each in found] == [
            ("a", "y", 10), ("b", "x", 20), ("a", "x", 30),
        ]  # fmt: skip
        assert found[0] == DueSchedule(
            deployment="a", name="y", spec={"cron": "y"}, fired_until=None, next_due=10, declared={"name": "a"}
        )
        assert len(journal.due_schedules(30, 2)) == 2
        assert len(journal.due_schedules(19)) == 1
        assert journal.due_schedules(9) == []
        assert len(journal.due_schedules(far)) == 4

    def test_a_run_moves_its_schedule(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared(due={"x": 10, "y": 10}))
        born = created(deployment="nightly", schedule="x", scheduled_at=10, next_due=70, due_at=10, pool="default")
        journal.append(new_run_id(), 0, [born])
        assert [(each.name, each.next_due) for each in journal.due_schedules(99)] == [("y", 10), ("x", 70)]
        assert journal.due_schedules(99)[1].fired_until == 10
        plan(journal, "deployment", _moved("y", 50, 90), _moved("x", 80, None))
        (found,) = journal.deployments()
        assert [(each.fired_until, each.next_due) for each in found.schedules] == [(80, None), (50, 90)]

    def test_runs_of_one_commit_move_their_schedules_in_their_order(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared(due={"x": 10, "y": 10}))
        dates = [("x", 10, 40), ("y", 10, 20), ("x", 40, 70), ("y", 20, None)]
        born = [
            created(deployment="nightly", schedule=name, scheduled_at=at, next_due=due, due_at=at, pool="default")
            for name, at, due in dates
        ]
        journal.commit([Append(new_run_id(), 0, [each]) for each in born])
        (found,) = journal.deployments()
        assert [(each.fired_until, each.next_due) for each in found.schedules] == [(40, 70), (20, None)]
        told = self.settled(journal, 0, 5)[1:]
        assert [each.event.scheduled_at for each in told] == [at for _, at, _ in dates]  # type: ignore[attr-defined]

    def test_a_run_made_by_an_old_look_leaves_its_schedule_alone(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared(due={"x": 10, "y": 10, "z": 10}))
        plan(journal, "deployment", _paused("x", "x"))
        plan(journal, "deployment", declared(due={"y": 30}))
        for schedule in "xyz":
            born = created(deployment="nightly", schedule=schedule, scheduled_at=20, next_due=70)
            journal.append(new_run_id(), 0, [born])
        plan(journal, "deployment", _moved("x", 20, 70), _moved("y", 20, 70))
        (found,) = journal.deployments()
        assert [(each.name, each.next_due) for each in found.schedules] == [("x", None), ("y", 30), ("z", 70)]

    def test_pausing_a_deployment(self) -> None:
        for together in (False, True):
            journal = self.opened()
            self._plan(journal, together, declared(due={"x": 10, "y": 20}), _paused(None, "x", "y"))
            (found,) = journal.deployments()
            assert found.paused
            assert [(each.paused, each.next_due) for each in found.schedules] == [(False, None), (False, None)]
            assert journal.due_schedules(99) == []
            assert journal.next_schedule() is None
            self._plan(journal, together, _paused(None, "x", "y"), _resumed(None, x=50, y=60))
            (found,) = journal.deployments()
            assert not found.paused
            assert [each.next_due for each in found.schedules] == [50, 60]

    def test_pausing_one_schedule(self) -> None:
        for together in (False, True):
            journal = self.opened()
            self._plan(journal, together, declared(due={"x": 10, "y": 20}), _paused("x", "x"))
            (found,) = journal.deployments()
            assert not found.paused
            assert [(each.paused, each.next_due) for each in found.schedules] == [(True, None), (False, 20)]
            self._plan(journal, together, _paused("y", "y"), _resumed("x", x=50))
            (found,) = journal.deployments()
            assert [(each.paused, each.next_due) for each in found.schedules] == [(False, 50), (True, None)]

    def _plan(self, journal: Journal, together: bool, *events: Event) -> None:
        """One append of all, or one of each: both must leave the same."""
        for some in [events] if together else [(event,) for event in events]:
            plan(journal, "deployment", *some)

    def test_a_deployment_that_is_deleted(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared("a", {"x": 10}))
        plan(journal, "deployment", declared("b", {"x": 10}))
        run_id = new_run_id()
        journal.append(run_id, 0, [created(deployment="a")])
        plan(journal, "deployment", DeploymentDeleted(at=2, name="a", schedules=("x",)))
        assert [each.name for each in journal.deployments()] == ["b"]
        assert [each.deployment for each in journal.due_schedules(99)] == ["b"]
        assert journal.run(run_id) is not None, "its runs stay"
        gone = [_moved("x", 50, 90, "a"), _paused(None, "x", name="a"), _paused("x", "x", name="a")]
        for event in (*gone, _resumed("x", "a", x=9)):
            plan(journal, "deployment", event)
        journal.append(new_run_id(), 0, [created(deployment="a", schedule="x", scheduled_at=10, next_due=70)])
        assert [each.name for each in journal.deployments()] == ["b"]
        assert [each.deployment for each in journal.due_schedules(99)] == ["b"], "what is gone must not come back"

    def test_declared_and_deleted_in_one_append(self) -> None:
        journal = self.opened()
        plan(journal, "deployment", declared("a", {"x": 10}), DeploymentDeleted(at=2, name="a", schedules=("x",)))
        assert (journal.deployments(), journal.due_schedules(99)) == ([], [])
        gone = DeploymentDeleted(at=2, name="a", schedules=("x",))
        plan(journal, "deployment", gone, declared("a", {"y": 10}), _paused("y", "y", name="a"))
        (found,) = journal.deployments()
        assert found.schedules == (msgspec.structs.replace(_schedule("a", "y", None), paused=True),)

    def test_pools_and_queues(self) -> None:
        journal = self.opened()
        plan(journal, "pool", PoolDeclared(at=1, name="gpu", slots=2, paused=True, description="one card"))
        plan(journal, "pool", PoolDeclared(at=1, name="default"))
        for queue in (
            QueueDeclared(at=1, pool="gpu", name="slow"),
            QueueDeclared(at=1, pool="gpu", name="a", priority=1),
        ):
            journal.append("pool/gpu", journal.last_seq("pool/gpu"), [Record(queue)])
        slow, quick = Queue(pool="gpu", name="slow"), Queue(pool="gpu", name="a", priority=1)
        gpu = Pool(name="gpu", slots=2, paused=True, description="one card", queues=(quick, slow))
        assert self.again(journal).pools() == [Pool(name="default"), gpu]
        assert journal.pools("gpu") == [gpu]
        again = [PoolDeclared(at=2, name="gpu"), QueueDeclared(at=2, pool="gpu", name="slow", slots=1, paused=True)]
        journal.append("pool/gpu", journal.last_seq("pool/gpu"), [Record(event) for event in again])
        slow = Queue(pool="gpu", name="slow", slots=1, paused=True)
        assert journal.pools("gpu") == [Pool(name="gpu", queues=(quick, slow))]
        journal.append("pool/gpu", journal.last_seq("pool/gpu"), [Record(QueueDeleted(at=3, pool="gpu", name="a"))])
        assert journal.pools("gpu") == [Pool(name="gpu", queues=(slow,))]
        plan(journal, "pool", PoolDeleted(at=3, name="gpu", queues=("slow", "a")))
        assert journal.pools() == [Pool(name="default")]

    def test_workers(self) -> None:
        journal = self.opened()
        one = Worker(
            id="w1", pool="default", queues=("a", "zoë"), slots=8, running=2, state="running", started_at=5, seen_at=9
        )
        two = Worker(id="w2", pool="gpu", queues=(), slots=1, running=0, state="draining", started_at=4, seen_at=8)
        for worker in (one, two):
            journal.report_worker(worker)
        other = self.again(journal)
        assert other.workers() == [two, one]
        assert other.workers("default") == [one]
        later = msgspec.structs.replace(one, running=0, state="draining", seen_at=20)
        other.report_worker(later)
        assert journal.workers() == [two, later]
        journal.forget_worker("w2")
        journal.forget_worker("w2")
        assert other.workers() == [later]

    def test_automations(self) -> None:
        journal = self.opened()
        spec = {"when": {"event": "RunFailed"}, "then": [{"notify": "zoë"}]}
        plan(journal, "automation", AutomationDeclared(at=1, name="tell", spec=spec))
        plan(journal, "automation", AutomationDeclared(at=1, name="b", spec={}, paused=True))
        plan(journal, "automation", AutomationFired(at=9, name="tell", id="f1"))
        tell = StoredAutomation(name="tell", spec=spec, paused=False, fired_at=9)
        assert self.again(journal).automations() == [StoredAutomation(name="b", spec={}, paused=True), tell]
        plan(journal, "automation", AutomationDeclared(at=10, name="tell", spec={"new": 1}, paused=True))
        changed = StoredAutomation(name="tell", spec={"new": 1}, paused=True, fired_at=9)
        assert journal.automations("tell") == [changed]
        plan(journal, "automation", AutomationDeleted(at=11, name="tell"), AutomationFired(at=12, name="tell", id="f2"))
        assert [each.name for each in journal.automations()] == ["b"]

    def test_backfills(self) -> None:
        journal = self.opened()
        first, second = (
            BackfillCreated(at=at, id=name, flow="sales", partitions=3, pool=name, slots=2)
            for name, at in (("one", 5), ("two", 9))
        )
        for event in (first, second):
            journal.append(stream_of("backfill", event.id), 0, [Record(event)])
        one, two = (
            Backfill(id=e.id, flow="sales", pool=e.id, slots=2, partitions=3, state="Running", created_at=e.at)
            for e in (first, second)
        )
        assert self.again(journal).backfills() == [two, one]
        assert (journal.backfills(limit=1), journal.backfills("one"), journal.backfills("x")) == ([two], [one], [])
        journal.append("backfill/one", 1, [Record(BackfillEnded(at=12, id="one", state="Failed"))])
        ended = msgspec.structs.replace(one, state="Failed", ended_at=12)
        assert journal.backfills() == [two, ended]
        assert (ended.ended, two.ended) == (True, False)


def _schedule(deployment: str, name: str, next_due: int | None) -> StoredSchedule:
    return StoredSchedule(
        deployment=deployment, name=name, spec={"cron": name}, paused=False, fired_until=None, next_due=next_due
    )


def _moved(schedule: str, until: int, next_due: int | None, name: str = "nightly") -> ScheduleMoved:
    return ScheduleMoved(at=2, deployment=name, schedule=schedule, until=until, next_due=next_due)


def _paused(schedule: str | None, *schedules: str, name: str = "nightly") -> DeploymentPaused:
    return DeploymentPaused(at=3, name=name, schedule=schedule, schedules=schedules)


def _resumed(schedule: str | None, deployment: str = "nightly", /, **due: int) -> DeploymentResumed:
    schedules = tuple(ScheduleDue(name=key, spec={}, next_due=at) for key, at in due.items())
    return DeploymentResumed(at=4, name=deployment, schedule=schedule, schedules=schedules)
