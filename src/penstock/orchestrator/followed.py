"""A run that an engine elsewhere executes: the process it has here follows it, and writes its record.

To the journal it is a run like any other: claimed, leased, cancelled, taken up again when its process dies. In place of
the flow there is this one, which orders the run there and looks at it until it has ended.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from penstock.app import current
from penstock.authoring.flows import flow
from penstock.authoring.registry import forget
from penstock.core.context import current_scope
from penstock.core.decisions import TaskState, evolve_task
from penstock.core.engines import Order, OutsideArtifact, OutsideRun
from penstock.core.errors import (
    DeploymentError,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    MissingContextError,
    ResultUnavailable,
    RunNotThere,
)
from penstock.core.events import ArtifactSaved, Record, RunCreated, Saved, TaskEvent, now_us
from penstock.core.interruptions import RunCancelled
from penstock.core.model import LogLine, Run
from penstock.core.ports import OutsideEngine
from penstock.core.states import FINAL_WORDS, Elsewhere, State, StateType
from penstock.core.workflows import WorkflowSpec, refuse_unknown
from penstock.engine.artifacts.making import encoded
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger
from penstock.engine.outside import last_engine
from penstock.engine.replay import load_error
from penstock.engine.signals import noted, raise_noted, shielded
from penstock.engine.workflows import told_facts
from penstock.orchestrator.engines import ELSEWHERE, Engines, deployment_named, workflow_of
from penstock.orchestrator.mirror import records_of

_log = logging.getLogger("penstock.worker")
T = TypeVar("T")
_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 2.0
_LINES_SECONDS = 2.0
_AWAY_SECONDS = 5.0
_PAGE = 1000
_EXECUTES = "executes this run"


@flow(validate_parameters=False)
def follow(**parameters: Any) -> State:
    """Have an engine elsewhere execute this run, and record what it tells of it."""
    scope = current_scope.get()
    live: Any = scope.live if scope is not None else None
    run = live.engine.journal.run(live.id) if live is not None and live.parent is None else None
    if run is None or run.deployment is None:
        raise MissingContextError("Only a run of a deployment can be executed elsewhere.")
    app = current()
    engines = Engines(app)
    try:
        engine = engines.get(last_engine(app.journal, run.deployment))
        return Follower(live, run, engine, app.settings.engine_patience_seconds).follow(parameters)
    finally:
        engines.close()


forget(follow)


class Follower:
    """Follows one run.

    Args:
        live: the run here.
        run: as it is on record.
        engine: that executes it.
        patience_seconds: so long an engine that does not answer is waited for.
    """

    def __init__(self, live: LiveRun, run: Run, engine: OutsideEngine, patience_seconds: float) -> None:
        self.live = live
        self.run = run
        self.engine = engine
        self.patience_seconds = patience_seconds
        self.steps: dict[str, TaskState] = {}
        self.read: Counter[str | None] = Counter()
        """How many log lines are on record, by the step that the engine is asked for them of."""
        self.shown: dict[str, int] = {}
        """When each artifact that is on record was made, or changed last."""
        self._on_record: Counter[str | None] = Counter()
        self._whole_log = engine.whole_log
        self._heard: dict[str | None, float] = {}
        self._mute = self._introduced = False
        self._reference: str | None = None
        self.workflow = workflow_of(live.engine.journal, run)
        live.replay = None  # nothing is called here, so nothing is called again

    def follow(self, parameters: dict[str, Any]) -> State:
        """Have it executed, and wait for its end."""
        self._recall()
        if self.workflow is not None:
            refuse_unknown(self.workflow, parameters)
            parameters = {**self._facts(self.workflow), **parameters}
        order = Order(deployment=self.run.deployment or "", run_id=self.run.id, parameters=parameters)
        try:
            try:
                return self._follow(order)
            except EngineUnreachable as error:
                message = f"{error.message} It was waited for {self.patience_seconds:g} s."
                return State(StateType.CRASHED, None, message)
            except RunNotThere as error:
                return State(StateType.CRASHED, None, f"{error.message} Was it deleted there?")
            except (EngineError, DeploymentError) as error:
                hint = f" Hint: {error.hint}." if error.hint else ""
                return State(StateType.FAILED, None, f"{error.message}{hint}")
        except BaseException:  # a signal says that something is the matter, and the run what it is
            if isinstance(self.live.interruption, RunCancelled):
                self.live.engine.unwinds(self.live)
                self._cancel(order)
            raise

    def _follow(self, order: Order) -> State:
        adopted = self._adopted()
        reference = adopted or self._patiently(lambda: self._order(order))
        self._reference = reference
        pause = _FIRST_SECONDS
        while True:
            seen = self._patiently(lambda: self._look(reference))
            if seen.url is not None and not self._introduced:
                self._introduced = True
                engine_logger().info("%s %s: %s", self.engine.name, _EXECUTES, seen.url)
            changed = self._take(seen)
            if seen.state in FINAL_WORDS:
                return self._end(seen)
            pause = _FIRST_SECONDS if changed else min(pause * 1.5, _LONGEST_SECONDS)
            self._wait(pause)

    def _look(self, reference: str) -> OutsideRun:
        """How it is by now. A refusal is waited for like silence: the run goes on there, whatever is wrong here."""
        try:
            return self.engine.look(reference)
        except EngineRefused as error:
            raise EngineUnreachable(error.message, hint=error.hint) from error

    def _recall(self) -> None:
        """What is on record already, by the process that followed it before."""
        for stored in self.live.engine.journal.load(self.live.id):
            event = stored.event
            if isinstance(event, TaskEvent):
                self.steps[event.step.key] = evolve_task(self.steps.get(event.step.key), event)
            elif isinstance(event, ArtifactSaved):
                self.shown[event.id] = event.at
        for state in self.steps.values():
            if not state.ended:
                self.live.recorder.adopt(state)
        after = 0
        while lines := self.live.engine.journal.logs(self.live.id, None, after, _PAGE):
            self._introduced |= any(_EXECUTES in line.message and line.key is None for line in lines)
            self._on_record.update(line.key for line in lines if line.logger == self._logger)
            after = lines[-1].id

    @property
    def _logger(self) -> str:
        return f"penstock.{self.engine.name}"

    def _adopted(self) -> str | None:
        """The reference of a run that was begun there."""
        first = next(iter(self.live.engine.journal.load(self.live.id)), None)
        created = first.event if first is not None else None
        return created.key if isinstance(created, RunCreated) and created.cause == ELSEWHERE else None

    def _facts(self, workflow: WorkflowSpec) -> dict[str, Any]:
        """Those that a schedule fills in, where the workflow has them."""
        return {name: value for name, value in told_facts(self.live.facts).items() if name in workflow.parameters}

    def _order(self, order: Order) -> str:
        """Have it made there; a workflow is first made there what it was in the version of this run."""
        if self.workflow is not None:
            self.engine.place(self.workflow)
            return self.engine.start(order)
        try:
            return self.engine.start(order)
        except RunNotThere:  # the deployment is not there either
            deployment = deployment_named(self.live.engine.journal, order.deployment)
            if deployment is None:
                raise
            self.engine.place(deployment)
            return self.engine.start(order)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer.

        Raises:
            EngineUnreachable: there was none for too long.
        """
        since: float | None = None
        pause = _FIRST_SECONDS
        while True:
            try:
                found = ask()
            except EngineUnreachable as error:
                now = time.monotonic()
                if since is None:
                    since = now
                    engine_logger().warning("%s It is waited for, %g s at most.", error.message, self.patience_seconds)
                if now - since >= self.patience_seconds:
                    raise
                self._wait(pause)
                pause = min(pause * 2, _AWAY_SECONDS, self.patience_seconds / 10)
                continue
            if since is not None:
                engine_logger().info("%s can be asked again.", self.engine.name)
            return found

    def _wait(self, seconds: float) -> None:
        self.live.interrupted.wait(seconds)
        self.live.check_interrupted()

    def _take(self, seen: OutsideRun) -> bool:
        """Record what has changed; whether anything has."""
        over = seen.state in FINAL_WORDS
        self._count(seen)
        if self._whole_log or over or not seen.steps:
            self._listen(seen.reference, None, now=over)
        self._show(seen.artifacts)
        changed = False
        for step in seen.steps:
            known = self.steps.get(step.key)
            if known is not None and known.ended:
                continue
            if step.attempt and not self._whole_log and "/" not in step.key:
                self._listen(seen.reference, step.key, now=step.state in FINAL_WORDS)
            state, records = records_of(known, step, len(self.steps) + 1, now_us())
            if records:
                changed = True
                for record in records:
                    self._bring(getattr(record.event, "result", None), seen.reference)
                self._record(state, records)
        return changed

    def _bring(self, saved: Saved | None, reference: str) -> None:
        """Have a value here that is kept there: it can be read when the engine is gone."""
        if saved is None or saved.ref is None:
            return
        read = partial(self.engine.content, reference)
        try:
            self._patiently(lambda: self.live.results.adopt(saved, read))
        except (EngineRefused, ResultUnavailable) as error:
            engine_logger().warning("A result cannot be read here: %s", error.message)

    @shielded
    def _record(self, state: TaskState, records: list[Record]) -> None:
        try:
            known = self.steps.get(state.step.key) or TaskState(state.step)
            self.steps[state.step.key] = self.live.recorder.conclude(known, records)
        finally:
            if noted:
                raise_noted()

    def _count(self, seen: OutsideRun) -> None:
        """Lines that are on record, by the log that they were in: a step's holds what it called, too."""
        self._whole_log = self.engine.whole_log or seen.whole_log
        for key, count in self._on_record.items():
            self.read[None if key is None or self._whole_log else key.partition("/")[0]] += count
        self._on_record.clear()

    def _listen(self, reference: str, step: str | None, *, now: bool) -> None:
        """Take over log lines that are new; not each time, unless `now`."""
        at = time.monotonic()
        if self._mute or (not now and at - self._heard.get(step, at - _LINES_SECONDS) < _LINES_SECONDS):
            return
        self._heard[step] = at
        try:
            lines = self._patiently(lambda: self.engine.lines(reference, step, self.read[step]))
        except (EngineRefused, RunNotThere) as error:
            self._mute = True
            engine_logger().warning("What this run logs cannot be read: %s", error.message)
            return
        run_id, logger = self.live.id, self._logger
        self._keep([LogLine(run_id, each.step or step, each.at, each.level, logger, each.message) for each in lines])
        self.read[step] += len(lines)

    @shielded
    def _keep(self, lines: list[LogLine]) -> None:
        try:
            for line in lines:
                self.live.recorder.log(line)
        finally:
            if noted:
                raise_noted()

    @shielded
    def _show(self, artifacts: tuple[OutsideArtifact, ...]) -> None:
        """Record artifacts that are new, and the progress of those that are not."""
        try:
            for each in artifacts:
                known, self.shown[each.id] = self.shown.get(each.id), each.at
                event = ArtifactSaved(
                    at=each.at or now_us(), id=each.id, kind=each.kind, key=each.key, step=each.step,
                    description=each.description,
                )  # fmt: skip
                if known is None:
                    self.live.recorder.keep(event, encoded(each.content))
                elif known < each.at and each.kind == "progress":
                    self.live.recorder.move(event, encoded(each.content), None)
        finally:
            if noted:
                raise_noted()

    def _end(self, seen: OutsideRun) -> State:
        kind = StateType[seen.state.upper()]
        self._bring(seen.result, seen.reference)
        if seen.result is None and seen.error is None:
            return State(kind, seen.state_name, seen.message)
        error = seen.error
        load = self.live.results.load if error is None else lambda _, data: load_error(error, data)
        return State(kind, seen.state_name, seen.message, Elsewhere(seen.result, seen.data, load, error))

    def _cancel(self, order: Order) -> None:
        """End it there, and record how its steps ended. What does not answer now is ended later, by the scheduler."""
        try:
            reference = self._reference or self.engine.find(order)
            if reference is not None:
                self.engine.cancel(reference)
                seen = self.engine.look(reference)
                whole = tuple(step for step in seen.steps if step.state in ("Completed", "Failed"))
                self._take(replace(seen, state="Running", steps=whole))  # what is cut short is cancelled
        except EngineError as error:
            _log.warning("Run %s is cancelled, and not ended there yet: %s", self.run.name, error.message)
