"""What is on record of one transaction: what was decided, and which of its hooks have been called.

A decision is on record before its first hook is called, so that it stands whatever happens to the process; and so is
the end of every hook, so that none is called again once it has ended. See ADR 0012.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from penstock.core.context import Scope, current_scope, current_transaction
from penstock.core.decisions import Finish, TaskState, decide_task
from penstock.core.events import ErrorInfo, Record, Saved, Staged, Step, TaskCompleted, TaskFailed, now_us
from penstock.core.interruptions import Interruption, RunCancelled
from penstock.core.states import StateType
from penstock.core.verdicts import COMMIT, FOUND, OPEN, ROLLBACK, ResultCached, TransactionDecided, decided
from penstock.engine.failures import error_info, text_of, type_name
from penstock.engine.hooks import HookCall
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger, with_prints
from penstock.engine.outcome import Path
from penstock.engine.replay import Remembered, load_error
from penstock.engine.signals import exposed
from penstock.engine.waits import Commit

TASK = "transaction"
JOINED = "Joined"
"""The state of a transaction that has left the decision to the one around it."""
_COMPLETED, _FAILED = StateType.COMPLETED, StateType.FAILED


class Kept(NamedTuple):
    """A result that other runs may use once the transaction is committed."""

    step: str
    task: str
    key: str
    until: int | None
    saved: Saved
    data: bytes | None

    def record(self, at: int) -> Record:
        """The event that says so."""
        event = ResultCached(
            at=at, step=self.step, task=self.task, cache_key=self.key, cache_until=self.until, result=self.saved
        )
        return Record(event, self.data)


class TransactionHook(HookCall):
    """A hook of a transaction; it may be async also where the block around is not."""

    __slots__ = ()

    @exposed
    def block(self) -> Any:
        """Call it in this thread; where this is an event loop, an async one gets a thread and a loop of its own."""
        import asyncio

        if asyncio._get_running_loop() is None:
            return super().block()
        value = self.fn(*self.args)
        if not asyncio.iscoroutine(value):
            return value
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, value).result()


class Ledger:
    """The record of one transaction, which is a step of its run.

    Args:
        live: the run.
        base: the transaction's key, without the mark of a generation.
        name: what people see.
        parent: the step whose code it is in; None for the flow's own.

    Attributes:
        verdict: what was decided before this process came to it: commit, rollback, found, open; or None.
        ended: its end is on record too.
        state: of the step.
    """

    def __init__(self, live: LiveRun, base: str, name: str, parent: str | None) -> None:
        self.live = live
        found = live.replay.visit(base) if live.replay is not None else None
        if found is not None and found.earlier:
            base, found = f"{base}~{found.generation + 1}", None
        self._found: Remembered | None = found
        self.verdict = _verdict(found)
        self.ended = found is not None and found.state.ended
        self.state = found.state if found is not None else TaskState(Step(base, name, TASK, 0, parent))

    @property
    def key(self) -> str:
        """The step's key."""
        return self.state.step.key

    @property
    def decided(self) -> bool:
        """It is on record whether it is committed or rolled back."""
        return self.verdict in (COMMIT, ROLLBACK)

    def error(self) -> BaseException | None:
        """For what it was rolled back."""
        event: Any = self._found.stored.event if self._found is not None else None
        info: ErrorInfo | None = getattr(event, "error", None)
        return load_error(info, self._found.stored.data) if info is not None and self._found is not None else None

    def found_value(self) -> tuple[Saved, bytes | None] | None:
        """The value that had been found under its key."""
        opened = self._found.opened if self._found is not None else None
        saved: Saved | None = getattr(opened.event, "result", None) if opened is not None else None
        return (saved, opened.data) if saved is not None and opened is not None else None

    def open(self, ordinal: int, saved: Saved | None, data: bytes | None) -> Path[None]:
        """Record whether there is a value under its key: whoever goes on with the run must see the same."""
        self._place(ordinal)
        event = decided(self.state, now_us(), OPEN if saved is None else FOUND, result=saved)
        yield from self._conclude([Record(event, data)])
        self.verdict = event.verdict

    def decide(
        self,
        ordinal: int,
        verdict: str,
        steps: tuple[str, ...],
        error: BaseException | None,
        *,
        hooks: bool,
        end: Callable[[], list[Record]],
    ) -> Path[None]:
        """Record the decision; where there are no hooks to call, the end with it.

        Args:
            ordinal: the place of the decision among the calls of its scope.
            verdict: commit or rollback.
            steps: what it is about.
            error: why.
            hooks: there are some to call.
            end: what is recorded besides, when it has ended.
        """
        if self.decided:
            return
        self._place(ordinal)
        info, data = error_info(error) if error is not None else (None, None)
        about: dict[str, Any] = {"steps": steps} if verdict == COMMIT else {"undone": steps, "error": info}
        event = decided(self.state, now_us(), verdict, **about)
        records = [Record(event, data)]
        if not hooks:
            records += [*end(), self.end_of(verdict, error)]
        yield from self._conclude(records)
        self.verdict, self.ended = verdict, not hooks

    def undo(self, step: str) -> Path[None]:
        """Record that one step is rolled back, although the others are committed: a hook of its own refused it."""
        yield from self._conclude([Record(decided(self.state, now_us(), COMMIT, undone=(step,)))])

    def end(self, verdict: str, error: BaseException | None, more: list[Record]) -> Path[None]:
        """Record that every hook was called."""
        if not self.ended:
            yield from self._conclude([*more, self.end_of(verdict, error)])
            self.ended = True

    def join(self, ordinal: int, staged: Staged, kept: Kept | None) -> Path[None]:
        """Record that the transaction around it decides, and what is to be done then."""
        if self.ended:
            return
        self._place(ordinal)
        at = now_us()
        saved, data = (kept.saved, kept.data) if kept is not None else (None, None)
        end = Finish(at, _COMPLETED, JOINED, None, saved, started=at, staged=staged)
        yield from self._conclude([Record(decide_task(self.state, end), data)])
        self.ended = True

    def _place(self, ordinal: int) -> None:
        step = self.state.step
        placed = Step(step.key, step.name, step.task, ordinal, step.parent)
        self.state = TaskState(placed, self.state.type, self.state.attempt, self.state.started)

    def end_of(self, verdict: str, error: BaseException | None) -> Record:
        """The end itself."""
        at = now_us()
        if verdict == COMMIT:
            return Record(decide_task(self.state, Finish(at, _COMPLETED, "Committed", started=at)))
        info, data = error_info(error) if error is not None else (None, None)
        message = f"{type_name(error)}: {text_of(error)}" if error is not None else "What was done in it was undone."
        return Record(decide_task(self.state, Finish(at, _FAILED, "RolledBack", message, None, info, at)), data)

    def _conclude(self, records: list[Record]) -> Path[None]:
        live = self.live
        self.state = yield Commit(live.remote, live.recorder.conclude, self.state, records)

    def call(self, kind: str, place: str, number: int, hook: Any, transaction: Any) -> Path[bool]:
        """Call a hook, unless its end is on record; True when it went well."""
        live = self.live
        name = getattr(hook, "__name__", None) or type(hook).__name__
        key = f"{self.key}/{kind}:{place.replace('/', '>')}:{number}"
        found = live.replay.visit(key) if live.replay is not None else None
        if found is not None and found.state.step.key == key and not found.earlier:
            if found.state.ended:
                return found.state.type is _COMPLETED
            state = TaskState(found.state.step, attempt=found.state.attempt)
        else:
            state = TaskState(Step(key, f"{name} ({place})", name, 0, self.key))
        started = now_us()
        state = live.recorder.begin(state, started)
        scope = Scope(live, key)
        tokens = current_scope.set(scope), current_transaction.set(None)
        try:
            yield TransactionHook(with_prints(hook, False, live.flow.log_prints, None), (transaction,), {})
        except (Exception, Interruption) as error:
            if isinstance(error, Interruption) and not isinstance(live.root.interruption, RunCancelled):
                raise
            if live.recorder.fault is not None:
                raise
            engine_logger().exception("The %s hook %s of %s raised.", kind.removeprefix("on_"), name, place)
            failure: BaseException | None = error
        else:
            failure = None
        finally:
            scope.closed = True
            current_transaction.reset(tokens[1])
            current_scope.reset(tokens[0])
        info, data = error_info(failure) if failure is not None else (None, None)
        message = f"{type_name(failure)}: {text_of(failure)}" if failure is not None else None
        kept = Saved("json", 4) if failure is None else None
        finish = Finish(now_us(), _COMPLETED if failure is None else _FAILED, None, message, kept, info, started)
        yield Commit(live.remote, live.recorder.finish, state, finish, data if failure is not None else b"null")
        return failure is None


def _verdict(found: Remembered | None) -> str | None:
    """What was decided, as its newest record tells."""
    event = found.stored.event if found is not None else None
    if isinstance(event, TransactionDecided):
        return event.verdict
    if isinstance(event, TaskCompleted):
        opened: Any = found.opened.event if found is not None and found.opened is not None else None
        return COMMIT if event.state_name != JOINED else opened and opened.verdict
    return ROLLBACK if isinstance(event, TaskFailed) else None
