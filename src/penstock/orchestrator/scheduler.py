"""The scheduler: makes a run for each due instant, once.

A run's id follows from its deployment, schedule and due instant, and its birth moves the schedule on in the same
transaction. So it does not matter how many schedulers there are, when they die, or what the clock does: an instant
that has its run cannot get another. The lease only spares several schedulers from doing the same work.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from penstock.core.calendar import jittered, missed_plan
from penstock.core.clock import clock
from penstock.core.deployments import Deployment, of_data, schedule_of
from penstock.core.errors import PenstockError, SequenceConflict
from penstock.core.events import Append, Record, now_us
from penstock.core.ids import derived_run_id, owner_is_dead
from penstock.core.model import DueSchedule
from penstock.core.plans import ScheduleMoved, stream_of
from penstock.core.ports import Journal
from penstock.orchestrator.deployments import run_of
from penstock.orchestrator.troubles import Trouble

_log = logging.getLogger("penstock.scheduler")
_BATCH = 500
_AT_ONCE = 100
_LEASE_US = 10_000_000
_EXTEND_US = 3_000_000
_LOOK_SECONDS = 1.0


class Scheduler:
    """Makes the runs that are due.

    Args:
        journal: where deployments are, and runs go.
        owner: names this process.
        chores: what else is to be done now and then by the one scheduler that leads; called with the time.
    """

    def __init__(self, journal: Journal, owner: str, chores: Any = None) -> None:
        self.journal = journal
        self.owner = owner
        self.chores = chores
        self._lease_until = 0

    def tick(self, now: int | None = None) -> int:
        """Make every run that is due by now; returns how many due instants it settled."""
        now = now_us() if now is None else now
        made = 0
        while due := self.journal.due_schedules(now, _BATCH):
            settled = self._fire(due, now)
            made += settled
            if not settled:  # another scheduler settles them
                break
        return made

    def _fire(self, due: list[DueSchedule], now: int) -> int:
        deployments: dict[str, Deployment] = {}
        planned = []
        for item in due:
            if item.deployment not in deployments:
                deployments[item.deployment] = of_data(item.declared)
            planned.append(self._planned(deployments[item.deployment], item, now))
        try:
            self.journal.commit([append for appends in planned for append in appends])
            return sum(len(appends) for appends in planned)
        except SequenceConflict:
            return sum(self._one_by_one(item, appends) for item, appends in zip(due, planned, strict=True))

    def _one_by_one(self, item: DueSchedule, appends: list[Append]) -> int:
        """Somebody else was faster with some of them: go through them singly, and let the rest settle itself."""
        made = 0
        for append in appends:
            try:
                self.journal.commit([append])
                made += 1
            except SequenceConflict:
                event: Any = append.records[0].event
                if isinstance(event, ScheduleMoved):
                    continue
                latest = self.journal.deployments(item.deployment)
                stored = next((s for each in latest for s in each.schedules if s.name == item.name), None)
                behind = stored is not None and stored.next_due is not None and stored.next_due <= event.scheduled_at
                if behind:
                    self._move(item, event.scheduled_at, event.next_due, 0)
        return made

    def _move(self, item: DueSchedule, until: int, next_due: int | None, dropped: int) -> None:
        try:
            self.journal.commit([self._moved(item, until, next_due, dropped)])
        except SequenceConflict:
            return

    def _moved(self, item: DueSchedule, until: int, next_due: int | None, dropped: int) -> Append:
        stream = stream_of("deployment", item.deployment)
        event = ScheduleMoved(
            at=now_us(), deployment=item.deployment, schedule=item.name, until=until, next_due=next_due, dropped=dropped
        )
        return Append(stream, self.journal.last_seq(stream), [Record(event)])

    def _planned(self, deployment: Deployment, item: DueSchedule, now: int) -> list[Append]:
        """The births of the runs a schedule owes, in order; the last one settles everything up to now."""
        schedule = schedule_of(item.spec)
        spec = schedule.spec
        after = item.next_due - 1 if item.fired_until is None else max(item.fired_until, item.next_due - 1)
        plan = missed_plan(spec, after, now, limit=_AT_ONCE)
        fire = plan.fire
        if fire and deployment.collision == "skip" and self._full(deployment, now):
            fire = ()
        if not fire:
            return [self._moved(item, plan.until, plan.next_due, plan.dropped + len(plan.fire))]
        appends = []
        if plan.dropped:
            appends.append(self._moved(item, fire[0] - 1, fire[0], plan.dropped))
        for place, due in enumerate(fire):
            following = fire[place + 1] if place + 1 < len(fire) else plan.next_due
            about = deployment.partitions.ending_by(due) if deployment.partitions is not None else None
            appends.append(
                run_of(
                    deployment,
                    derived_run_id(due // 1000, "schedule", deployment.name, item.name, str(due)),
                    schedule.parameters,
                    due_at=jittered(spec, due, f"{deployment.name}/{item.name}"),
                    schedule=item.name,
                    scheduled_at=due,
                    next_due=following,
                    partition=about.key if about is not None else None,
                    interval=about.interval if about is not None else None,
                    cause="schedule",
                )
            )
        return appends

    def _full(self, deployment: Deployment, now: int) -> bool:
        if deployment.concurrency is None:
            return False
        held = [run for run in self.journal.held_runs(deployment.pool) if run.deployment == deployment.name]
        return len(held) >= deployment.concurrency

    def lead(self, now: int) -> bool:
        """Hold the lease; False while another scheduler has it."""
        if self._lease_until - now > _LEASE_US - _EXTEND_US and self._lease_until - now <= _LEASE_US:
            return True
        held = self.journal.hold("scheduler", self.owner, now, now + _LEASE_US)
        if not held:
            other = self.journal.holder("scheduler")
            if other is not None and owner_is_dead(other):  # it ran on this machine, so there is no need to wait
                self.journal.let_go("scheduler", other)
                held = self.journal.hold("scheduler", self.owner, now, now + _LEASE_US)
        self._lease_until = now + _LEASE_US if held else 0
        return held

    @property
    def leads(self) -> bool:
        """It is the one that makes the runs, as far as it knows."""
        return self._lease_until > now_us()

    def settle(self) -> bool:
        """Make what is due now, once; False when another scheduler leads, and sees to it."""
        now = now_us()
        if self.lead(now):
            self.tick(now)
            return True
        return False

    def run(self, stop: threading.Event) -> None:
        """Make runs until told to stop. A journal that cannot be reached is waited for."""
        trouble = Trouble(_log, "The scheduler", "could not go on")
        while not stop.is_set():
            pause = _LOOK_SECONDS
            try:
                now = now_us()
                if self.lead(now):
                    self.tick(now)
                    if self.chores is not None:
                        self.chores(now)
                    following = self.journal.next_schedule()
                    if following is not None:
                        pause = min(pause, max(0.001, (following - now_us()) / 1_000_000))
                trouble.over()
            except PenstockError as error:
                trouble.say(error.message)
            clock().wait(stop, pause)
        try:
            self.journal.let_go("scheduler", self.owner)
        except PenstockError:
            return
