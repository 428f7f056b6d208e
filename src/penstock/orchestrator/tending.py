"""What keeps engines elsewhere and the journal together: done beside the scheduler that leads, every few seconds.

What is declared here is put there, paused and removed; what was begun there, by the engine's own schedule or by a
person, becomes a run here; and what has ended here does not run on there. Each is repeated until the engine answers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from penstock.core.deployments import of_data
from penstock.core.engines import Begun, Order
from penstock.core.errors import (
    EngineUnreachable,
    JournalError,
    PenstockError,
    RunNotThere,
    SequenceConflict,
)
from penstock.core.events import RunCreated, Stored, now_us
from penstock.core.model import StoredDeployment
from penstock.core.ports import Journal, OutsideEngine
from penstock.engine.outside import engines_of, is_followed
from penstock.engine.workflows import ENTRYPOINT, version_of
from penstock.orchestrator.deployments import run_of
from penstock.orchestrator.engines import ELSEWHERE, Engines, engine_of
from penstock.orchestrator.troubles import Trouble

_log = logging.getLogger("penstock.scheduler")
_PLANS = ("DeploymentDeclared", "DeploymentPaused", "DeploymentResumed", "DeploymentDeleted")
_ENDS = ("RunCancelled", "RunCrashed", "RunFailed")
_TURN_SECONDS = 3.0
_BATCH = 500
_OVERLAP_US = 60_000_000
"""Clocks there may differ, and lists lag."""


class Tender:
    """Looks after the engines that deployments name.

    Args:
        journal: where the deployments are.
        engines: gives an engine by its name.
    """

    def __init__(self, journal: Journal, engines: Engines) -> None:
        self.journal = journal
        self.engines = engines
        self._again: dict[str, set[str]] = {}
        """Deployments that an engine did not know yet when they were to be paused, or not. At first it is all of them:
        who looked after the engines before may have ended in between."""
        self._away: set[str] = set()

    def attend(self, stop: threading.Event, leads: Callable[[], bool]) -> None:
        """Take a turn every few seconds while this process leads. An engine that hangs holds up nothing but this.

        Args:
            stop: set when it is enough.
            leads: whether the scheduler of this process leads.
        """
        trouble = Trouble(_log, "Looking after engines", "could not reach the journal")
        try:
            while not stop.wait(_TURN_SECONDS):
                if not leads():
                    continue
                try:
                    self.turn(now_us())
                    trouble.over()
                except JournalError as error:
                    trouble.say(error.message)
                except PenstockError as error:
                    _log.error("Engines could not be looked after: %s", error.message)
                except Exception:
                    _log.exception("Looking after engines failed, which is a mistake in Penstock")
        finally:
            self.engines.close()

    def turn(self, now: int) -> None:
        """Look after each of them once."""
        there: dict[str, dict[str, StoredDeployment]] = {}
        for stored in self.journal.deployments():
            there.setdefault(engine_of(stored), {})[stored.name] = stored
        for name in self.engines:
            if name in there or self.journal.cursor(_cursor(name)):
                self._tend(name, there.get(name, {}), now)

    def _tend(self, name: str, there: dict[str, StoredDeployment], now: int) -> None:
        try:
            engine = self.engines.get(name)
            self._settle(engine, there)
            if there:
                self._adopt(engine, there, now)
        except JournalError:
            raise
        except EngineUnreachable as error:
            if name not in self._away:
                self._away.add(name)
                _log.warning("%s It is asked again.", error.message)
            return
        except PenstockError as error:
            if name not in self._away:
                self._away.add(name)
                _log.error("The engine %s cannot be looked after: %s", name, error.message)
            return
        self._away.discard(name)

    def _settle(self, engine: OutsideEngine, there: dict[str, StoredDeployment]) -> None:
        """Carry over what was declared and ended since the last time."""
        cursor = _cursor(engine.name)
        position, head = self.journal.cursor(cursor), self.journal.head()
        if not position:  # the first deployment on this engine
            for stored in there.values():
                self._put(engine, stored)
            self.journal.move_cursor(cursor, 0, head)
            return
        for name in sorted(self._again.setdefault(engine.name, set(there))):
            if name in there:
                self._put(engine, there[name])
            else:
                self._again[engine.name].discard(name)
        rows = self.journal.read(position, _BATCH, (*_PLANS, *_ENDS)) if head > position else []
        for row in rows:
            self._carry(engine, row, there)
        reached = rows[-1].position if len(rows) == _BATCH else max(head, position)
        if reached > position:
            self.journal.move_cursor(cursor, position, reached)

    def _carry(self, engine: OutsideEngine, row: Stored, there: dict[str, StoredDeployment]) -> None:
        event = row.event
        if event.stored in _ENDS:
            self._stop(engine, row.stream)
            return
        name = getattr(event, "name", "")
        if name in there:
            self._put(engine, there[name])
        elif engine.name in engines_of(self.journal, name):
            self._remove(engine, name)

    def _remove(self, engine: OutsideEngine, name: str) -> None:
        try:
            engine.remove(name)
        except (EngineUnreachable, JournalError):
            raise
        except PenstockError as error:  # what cannot be removed holds up nothing else
            _log.error("%s could not be removed from %s: %s", name, engine.name, error.message)

    def _put(self, engine: OutsideEngine, stored: StoredDeployment) -> None:
        """Have a workflow there as it is here. A flow is put there by who deploys it, who has its code."""
        try:
            spec = of_data(stored.spec)
            if spec.entrypoint == ENTRYPOINT and spec.version is not None:
                engine.place(version_of(self.journal, spec.flow, int(spec.version)))
            engine.pause(stored.name, stored.paused)
        except RunNotThere:  # it has not been read there yet
            self._again.setdefault(engine.name, set()).add(stored.name)
            return
        except (EngineUnreachable, JournalError):
            raise
        except PenstockError as error:
            _log.error("%s could not be put on %s: %s", stored.name, engine.name, error.message)
        self._again.setdefault(engine.name, set()).discard(stored.name)

    def _stop(self, engine: OutsideEngine, run_id: str) -> None:
        """End there what has ended here, without having been heard of its end there."""
        run = self.journal.run(run_id)
        if run is None or run.deployment is None or not is_followed(run, engine.name):
            return
        if engine.name not in engines_of(self.journal, run.deployment):
            return
        first = next(iter(self.journal.load(run_id)), None)
        created = first.event if first is not None else None
        if not isinstance(created, RunCreated):
            return
        try:
            adopted = created.key if created.cause == ELSEWHERE else None
            reference = adopted or engine.find(Order(deployment=run.deployment, run_id=run_id))
            if reference is not None:
                engine.cancel(reference)
        except RunNotThere:
            return
        except (EngineUnreachable, JournalError):
            raise
        except PenstockError as error:
            _log.error("Run %s could not be ended on %s: %s", run.name, engine.name, error.message)

    def _adopt(self, engine: OutsideEngine, there: dict[str, StoredDeployment], now: int) -> None:
        """Runs here of what was begun there."""
        cursor = f"{_cursor(engine.name)}:begun"
        since = self.journal.cursor(cursor)
        if since:
            self._make(engine.begun(list(there), since), there)
        self.journal.move_cursor(cursor, since, max(since, now - _OVERLAP_US))

    def _make(self, begun: Iterable[Begun], there: dict[str, StoredDeployment]) -> None:
        for each in begun:
            stored = there.get(each.deployment)
            if stored is None or self.journal.run(each.run_id) is not None:
                continue
            try:
                item = run_of(
                    of_data(stored.spec), each.run_id, each.parameters, due_at=now_us(), scheduled_at=each.at or None,
                    key=each.reference, cause=ELSEWHERE,
                )  # fmt: skip
                self.journal.commit([item])
            except SequenceConflict:  # somebody else was faster
                continue
            except JournalError:
                raise
            except PenstockError as error:
                _log.error("A run of %s was begun, and cannot be followed: %s", each.deployment, error.message)


def _cursor(engine: str) -> str:
    return f"engine:{engine}"
