"""A scheduler and a worker in one thread, on a clock of their own: a month passes in a second.

with Simulation("2026-01-01") as month:
month.deploy(nightly.to_deployment("nightly", cron="0 2 * * *"))
month.run(days=31)
assert len(month.runs()) == 31
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from penstock.app import Penstock, Settings
from penstock.authoring.loading import load_flow
from penstock.authoring.registry import declared_flows
from penstock.core.deployments import Deployment
from penstock.core.errors import PenstockError
from penstock.core.ids import new_owner
from penstock.core.model import Alert, Claim, Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine.scheduled import execute
from penstock.journal.memory import MemoryJournal
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.deployments import trigger
from penstock.orchestrator.scheduler import Scheduler
from penstock.orchestrator.services import chores_of, deploy
from penstock.testing.clock import FakeClock
from penstock.testing.heard import Heard

_LEASE_US = 3_600_000_000
_AT_ONCE = 100
_LOOK_US = 60_000_000


class Simulation:
    """Time that passes as fast as the runs can be executed.

    Runs are executed one after another in this thread, as a worker's process would execute them. Whatever is due
    happens at its instant on the simulated clock.

    Args:
        start: where the clock begins, as an ISO time.
        journal: where everything is recorded; in memory when left out.
        flows: the flows of the deployments by name, where they cannot be loaded (defined inside a test).
        chores: also do what the leading scheduler does besides (promises, automations, lost runs, retention).

    Attributes:
        clock: the clock; `clock.advance(-3600)` sets it back.
        app: the Penstock that is used.
        alerts: what automations have told, wherever they were to tell it.
        calls: the URLs that automations were to call, with what they were to send; nothing is called.
    """

    def __init__(
        self,
        start: str = "2026-01-01T00:00:00",
        *,
        journal: Journal | None = None,
        flows: dict[str, Any] | None = None,
        chores: bool = True,
    ) -> None:
        self.clock = FakeClock(start)
        self.flows = flows or {}
        self._stack = ExitStack()
        self._journal = journal
        self._with_chores = chores
        self.owner = new_owner()
        self.alerts: list[Alert] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        self._stack.enter_context(self.clock.running())
        self.app = Penstock(Settings(home=str(home), log_console=False), journal=self._journal or MemoryJournal())
        self._stack.callback(self.app.close)
        self._stack.enter_context(self.app.activate())
        self.scheduler = Scheduler(self.app.journal, self.owner)
        told = Heard(self.alerts, self.calls)
        self.automations = Automations(self.app.journal, told, told.call)
        self._chores = chores_of(self.app, self.automations) if self._with_chores else None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def deploy(self, *deployments: Deployment) -> None:
        """Declare deployments."""
        deploy(*deployments, app=self.app)

    def run(self, *, until: Callable[[], bool] | None = None, **length: float) -> int:
        """Let time pass.

        Args:
            until: stop as soon as this is true; it is looked at whenever something has happened.
            length: how long at most, as `datetime.timedelta` takes it: days=31, hours=2.

        Returns:
            How many runs were executed.
        """
        end = self.clock.now() + int(datetime.timedelta(**length).total_seconds() * 1_000_000)
        executed = 0
        while True:
            executed += self.settle()
            if until is not None and until():
                return executed
            following = self._next()
            if following is None or following > end:
                self.clock.set(end)
                return executed + self.settle()
            self.clock.set(following)

    def settle(self) -> int:
        """Do all that is due by now; returns how many runs were executed."""
        executed = 0
        while True:
            now = self.clock.now()
            done = self.scheduler.tick(now)
            if self._chores is not None:
                self._chores(now)
            claimed = self._claimed(now)
            for run in claimed:
                self._execute(run)
            executed += len(claimed)
            if not done and not claimed:
                return executed

    def _claimed(self, now: int) -> list[Run]:
        found: list[Run] = []
        for pool in self._pools():
            claim = Claim(pool=pool, owner=self.owner, now=now, lease_until=now + _LEASE_US, limit=_AT_ONCE)
            found += self.app.journal.claim(claim)
        return found

    def _pools(self) -> set[str]:
        """Those of the deployments too: one that is not declared is not listed while all of its runs are due later."""
        journal = self.app.journal
        return {pool.name for pool in journal.pools()} | {each.pool for each in journal.deployments()}

    def _execute(self, run: Run) -> None:
        flow = self._flow(run)
        try:
            answer = execute(self.app.engine, run.id, flow, self.owner)
            if flow.isasync:
                import asyncio

                asyncio.run(answer)
        except PenstockError:
            return

    def _flow(self, run: Run) -> Any:
        """The flow that was given or declared; another one of the same name, in another module, is not meant."""
        if given := self.flows.get(run.flow):
            return given
        declared = declared_flows().get(run.flow)
        if declared is not None and run.entrypoint in (None, declared.entrypoint):
            return declared
        return load_flow(run.entrypoint or "")

    def _next(self) -> int | None:
        """When something is due next."""
        journal, now = self.app.journal, self.clock.now()
        pools = journal.pools()
        silence = self.automations.next_due() if self._chores is not None else None
        found = [silence, journal.next_schedule(), *(journal.next_due(pool) for pool in self._pools())]
        later = [instant for instant in found if instant is not None and instant > now]
        if any(pool.running or pool.waiting for pool in pools):  # somebody waits, for whatever it may be
            later.append(now + _LOOK_US)
        return min(later, default=None)

    def runs(self, **where: Any) -> list[Run]:
        """The runs there are, newest first; `where` as in `RunFilter`."""
        return self.app.journal.runs(RunFilter(**{"limit": 1_000_000, **where}))


def run_flow_until(flow: Any, condition: Callable[[Run], bool], *, start: str = "2026-01-01", **options: Any) -> Run:
    """Run a flow on a simulated clock until its run fulfils a condition; gives the run as it is then.

    Args:
        flow: the flow.
        condition: of the run, such as `lambda run: run.state == "Paused"`.
        start: where the clock begins.
        options: `parameters`; and `days`, `hours`, ... at most (31 days).

    Raises:
        AssertionError: the condition was not fulfilled in that time.
    """
    parameters = options.pop("parameters", {})
    with Simulation(start, flows={flow.name: flow}) as simulation:
        simulation.deploy(
            Deployment(name=flow.name, flow=flow.name, entrypoint=flow.entrypoint or f"(test):{flow.name}")
        )
        run_id = trigger(simulation.app.journal, flow.name, parameters).id

        def fulfilled() -> bool:
            found = simulation.app.journal.run(run_id)
            return found is not None and condition(found)

        simulation.run(until=fulfilled, **(options or {"days": 31}))
        run = simulation.app.journal.run(run_id)
        assert run is not None, "the run is gone"
        assert condition(run), f"the run is {run.state}: {run.message}"
        return run
