"""Waiting: a step that takes no process where a worker can go on with the run later, and is recorded like any other.

A wait begins with one commit: the step has started, the run is paused, and until when. That end stays, whoever goes on
with the run. It is over with one commit too: the step's end, and that the run goes on. Between the two, the process
is *held* (it waits in place), or *let go*: it ends without an end of the run, which is replayed when its time has come
or somebody has answered, and comes upon what is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core.decisions import Continue, Finish, Pause, Start, TaskState, decide_run, decide_task, evolve_task
from penstock.core.errors import AnswerRefused, ResultNotSaved, WaitTimedOut
from penstock.core.events import ErrorInfo, Record, Saved, Waiting, now_us
from penstock.core.interruptions import Interruption
from penstock.core.states import State, StateType
from penstock.engine.failures import error_info, text_of
from penstock.engine.logs import engine_logger
from penstock.engine.tasks import aborted_message
from penstock.engine.together import Moved, append_together, holding
from penstock.engine.waiting.asks import NOTHING
from penstock.engine.waiting.standing import Standing

if TYPE_CHECKING:
    from penstock.engine.waiting.calls import WaitCall

LATE = "TimedOut"
"""How the state of a wait is named that nobody ended in time."""


class WaitRecord(Standing):
    """What is recorded of one wait, in its run and in the runs around it.

    Attributes:
        key: of the step.
        waiting: what it waits for.
    """

    def __init__(self, call: WaitCall, state: TaskState) -> None:
        live, ask = call.live, call.ask
        super().__init__(live, call.scope)
        self.call = call
        self.state = state
        self.key = state.step.key
        recorded = live.recorder.waits.get(self.key)
        self.waiting = Waiting(
            key=self.key,
            kind=ask.kind,
            until=recorded.until if recorded is not None else ask.until(now_us()),
            prompt=ask.prompt,
            answer=ask.schema(),
            approvers=ask.approvers,
        )
        self.until = self.waiting.until
        self._held = False

    def turn(self, let_go: bool) -> State | None:
        """See `Standing.turn`; gives how the wait ended."""
        with holding(self.recorders):
            while True:
                flush_until = now_us() if let_go else None if self._held else 0
                self._refresh([self.live.recorder], flush_until)
                try:
                    outcome = self._over()
                    if outcome is None:
                        self._pause(let_go and not any(each.state.cancel_requested for each in self.recorders))
                    return outcome
                except Moved:
                    continue

    def _over(self) -> State | None:
        """Record the end, if an answer or the time has come. What is on record counts, and not the clock."""
        answer = self.call.live.recorder.answers.get(self.key)
        if answer is not None:
            event: Any = answer.event
            try:
                kept = self.call.ask.kept(msgspec.json.decode(answer.data or b"null"), event.by)
                self.call.ask.value(kept)
            except AnswerRefused as refusal:
                self._refuse(refusal)
            else:
                told = f"Answered by {event.by}." if event.by else None
                return self._end(State(StateType.COMPLETED, None, told, kept))
        now, until = now_us(), self.waiting.until
        if until is None or now < until:
            return None
        if self.waiting.kind == "sleep":
            return self._end(State(StateType.COMPLETED, None, None, None))
        message = f"Nobody answered {self.key} in time."
        if self.call.ask.default is not NOTHING:
            return self._end(State(StateType.COMPLETED, LATE, message, self.call.ask.default))
        hint = "ask for longer, or give a default for when nobody answers"
        return self._end(State(StateType.FAILED, LATE, message, WaitTimedOut(message, hint=hint)))

    def _refuse(self, refusal: AnswerRefused) -> None:
        """The answer fits the schema, and not the type itself: ask again, and say what was wrong."""
        told = "; ".join(f"{where}: {what}" for where, what in refusal.mistakes)
        self.waiting = msgspec.structs.replace(self.waiting, refused=told)
        self.call.live.recorder.answers.pop(self.key, None)
        self._held = False

    def _end(self, outcome: State) -> State:
        live = self.call.live
        at = now_us()
        error, result, data = None, None, None
        if isinstance(outcome.data, BaseException):
            error, data = error_info(outcome.data)
        else:
            result, data = self._saved(outcome.data)
        self._record_end(outcome, at, result, error, data)
        outcome.timestamp = at / 1_000_000
        live.recorder.drop(self.key)
        return outcome.recorded()

    def _saved(self, value: Any) -> tuple[Saved, bytes | None]:
        try:
            return self.call.live.results.save(value)
        except ResultNotSaved as problem:
            engine_logger().warning("%s: %s If this run is resumed, it stops here.", self.key, problem.message)
            return Saved("none"), None

    def _record_end(
        self, outcome: State, at: int, result: Saved | None, error: ErrorInfo | None, data: bytes | None
    ) -> None:
        recorder = self.call.live.recorder
        if self._held and self.key not in recorder.running:
            raise Interruption(f"{self.key} has ended already; what an abandoned thread of it says is not recorded.")
        name = outcome.name if outcome.name != outcome.type.word else None
        finish = Finish(at, outcome.type, name, outcome.message, result, error, at)
        parts = [(each, self._continued(each, at)) for each in self.recorders]
        parts[-1][1].insert(0, Record(decide_task(self.state, finish), data))
        append_together([part for part in parts if part[1]])

    def _run_of(self, recorder: Any) -> str | None:
        return None if recorder is self.recorders[-1] else self.call.live.id

    def _continued(self, recorder: Any, at: int) -> list[Record]:
        if recorder.state.type is not StateType.PAUSED:
            return []
        return [Record(decide_run(recorder.state, Continue(at, self.key, self._run_of(recorder))))]

    def _pause(self, let_go: bool) -> None:
        """Record that the run waits; as the first, that the step has begun."""
        if self._held and not let_go:
            return
        at = now_us()
        leaf = self.recorders[-1]
        started = [] if self.state.attempt else [decide_task(self.state, Start(at))]
        parts = []
        for recorder in self.recorders:
            waiting = msgspec.structs.replace(self.waiting, run=self._run_of(recorder))
            parts.append((recorder, [Record(decide_run(recorder.state, Pause(at, waiting, not let_go)))]))
        parts[-1][1][:0] = [Record(event) for event in started]
        if not self._held:
            leaf.adopt(evolve_task(self.state, started[0]) if started else self.state)
        try:
            append_together(parts)
        except BaseException:
            if not self._held:
                leaf.drop(self.key)
            raise
        for event in started:
            self.state = evolve_task(self.state, event)
        self._held, self.let_go = True, let_go

    def tell(self) -> None:
        """See `Standing.tell`."""
        self.told = True
        if self.waiting.kind != "sleep":
            what = f" ({self.waiting.prompt})" if self.waiting.prompt else ""
            refused = f" The last answer was refused: {self.waiting.refused}." if self.waiting.refused else ""
            engine_logger().info(
                "%s waits for an answer%s: penstock runs answer %s%s",
                self.key, what, self.call.live.root.id[-8:], refused,
            )  # fmt: skip

    def break_off(self, error: BaseException) -> None:
        """See `Standing.break_off`: it is recorded, if the journal still takes it."""
        live = self.call.live
        if not self._held or live.recorder.fault is not None or live.recorder.state.owner is None:
            return
        stopped = isinstance(error, (Exception, Interruption)) or type(error).__name__ == "CancelledError"
        kind = StateType.CANCELLED if stopped else StateType.CRASHED
        message = text_of(error) if isinstance(error, Exception) else aborted_message(live.root.interruption or error)
        try:
            with holding(self.recorders):
                while self.key in live.recorder.running:
                    try:
                        self._record_end(State(kind, None, message), now_us(), None, None, None)
                    except Moved:
                        continue
                    live.recorder.drop(self.key)
        except (Exception, Interruption):
            return

    def is_idle(self) -> bool:
        """See `Standing.is_idle`; a short wait keeps its process."""
        until = self.waiting.until
        if until is not None and until - now_us() < self.live.engine.suspend_us:
            return False
        return super().is_idle()
