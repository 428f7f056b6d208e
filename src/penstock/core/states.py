"""States as users see them."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from penstock.core.errors import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun


class StateType(str, Enum):  # noqa: UP042 - as in Prefect, and not a StrEnum: its str() is our own
    """The kinds of state; Completed, Failed, Crashed and Cancelled end a run."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"

    @property
    def word(self) -> str:
        """The word used in the journal, the CLI and the API, such as `Completed`."""
        return self.value.capitalize()

    def __str__(self) -> str:
        return self.value


FINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})
FINAL_WORDS = frozenset(kind.word for kind in FINAL)
STATE_AFTER = {
    **{"RunCreated": "Pending", "RunClaimed": "Pending", "RunStarted": "Running", "RunResumed": "Running"},
    **{"RunRetrying": "Retrying", "RunReleased": "Pending", "RunRescheduled": "Scheduled", "RunPaused": "Paused"},
    **{"RunCompleted": "Completed", "RunFailed": "Failed", "RunCrashed": "Crashed", "RunCancelled": "Cancelled"},
    **{"TaskStarted": "Running", "TaskRetrying": "Retrying", "TaskCompleted": "Completed", "TaskFailed": "Failed"},
    **{"TaskCrashed": "Crashed", "TaskCancelled": "Cancelled"},
}
"""The state that a run, or a task run, is in after an event of this name."""


class _NoData:
    def __repr__(self) -> str:
        return "NO_DATA"


NO_DATA: Any = _NoData()


class Elsewhere:
    """A value that is kept elsewhere, and is fetched when somebody looks at it.

    Attributes:
        saved: how it is on record.
        data: its bytes, where the record holds them.
        error: what is recorded of it where it is an exception.
    """

    __slots__ = ("_load", "data", "error", "saved")

    def __init__(
        self, saved: Any, data: bytes | None, load: Callable[[Any, bytes | None], Any], error: Any = None
    ) -> None:
        self.saved = saved
        self.data = data
        self.error = error
        self._load = load

    def fetch(self) -> Any:
        """The value, or the exception, that `load` makes of what is on record and its bytes."""
        return self._load(self.saved, self.data)


class State:
    """Where a run or a task run stands, with its result or its exception as `data`."""

    __slots__ = ("_data", "_recorded", "_returned", "message", "name", "timestamp", "type")

    def __init__(
        self,
        type: StateType,
        name: str | None = None,
        message: str | None = None,
        data: Any = NO_DATA,
        timestamp: float | None = None,
    ) -> None:
        self.type = type
        self.name = name or type.word
        self.message = message
        self._data = data
        self._recorded = False
        self._returned = False
        self.timestamp = time.time() if timestamp is None else timestamp

    @property
    def data(self) -> Any:
        """The value (Completed), the exception (Failed, Crashed), or None."""
        data = self._data
        if isinstance(data, Elsewhere):
            return data.fetch()
        return None if data is NO_DATA else data

    @property
    def made_by_hand(self) -> bool:
        """True until a run has ended with this state: a flow or task that returns it, decides how it ends."""
        return not self._recorded

    def recorded(self) -> State:
        """For the engine: a run has ended with this state. A completed one without a value has None."""
        self._recorded = True
        if self._data is NO_DATA and self.type is StateType.COMPLETED:
            self._data = None
        return self

    def is_completed(self) -> bool:
        """True for Completed."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """True for Failed."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """True for Crashed."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """True for Cancelled."""
        return self.type is StateType.CANCELLED

    def is_cancelling(self) -> bool:
        """False: a run is asked to stop, and then it has stopped; there is no state between."""
        return False

    def is_final(self) -> bool:
        """True when the run has ended."""
        return self.type in FINAL

    def is_running(self) -> bool:
        """True for Running."""
        return self.type is StateType.RUNNING

    def is_pending(self) -> bool:
        """True for Pending."""
        return self.type is StateType.PENDING

    def is_scheduled(self) -> bool:
        """True for Scheduled, and for Retrying: it waits for its next attempt."""
        return self.type in (StateType.SCHEDULED, StateType.RETRYING)

    def is_paused(self) -> bool:
        """True for Paused."""
        return self.type is StateType.PAUSED

    def result(self, raise_on_failure: bool = True) -> Any:
        """Return the value, or raise what went wrong.

        Args:
            raise_on_failure: return the exception (or whatever data there is) instead of raising.

        Raises:
            MissingResult: the state completed without a value.
            FailedRun, CrashedRun, CancelledRun: it ended without an exception to raise.
            UnfinishedRun: it has not ended.
        """
        if self.type is StateType.COMPLETED:
            return self._completed_value(raise_on_failure)
        collected = isinstance(self._data, (list, tuple, set))
        if collected or (not raise_on_failure and self._data is not NO_DATA):
            return self.data
        error = self._error()
        if raise_on_failure:
            raise error
        return error

    async def aresult(self, raise_on_failure: bool = True) -> Any:
        """`result()` for async code."""
        return self.result(raise_on_failure)

    def _completed_value(self, raise_on_failure: bool) -> Any:
        if self._data is NO_DATA:
            error = MissingResult("The state completed without a result.")
            if raise_on_failure:
                raise error
            return error
        return self.data

    def _error(self) -> BaseException:
        data = self.data
        if isinstance(data, BaseException):
            return data
        if isinstance(data, State):
            return data._error()
        if self.type not in FINAL:
            return UnfinishedRun(f"Run is in {self.type.value} state, its result is not available.")
        kind = {StateType.CRASHED: CrashedRun, StateType.CANCELLED: CancelledRun}.get(self.type, FailedRun)
        text = data if isinstance(data, str) else self.message
        return kind(text or f"Run {self.type.value.lower()}.")

    def __repr__(self) -> str:
        parts = [f"message={self.message!r}"] if self.message else []
        parts.append(f"type={self.type.value}")
        if self.type is StateType.COMPLETED and self._data is not NO_DATA and self._data is not None:
            parts.append(f"result={self._data!r}")
        return f"{self.name}({', '.join(parts)})"

    def __str__(self) -> str:
        parts = [repr(self.message)] if self.message else []
        if self.name != self.type.word:
            parts.append(f"type={self.type.value}")
        return f"{self.name}({', '.join(parts)})"


def _maker(kind: StateType, default: str | None = None) -> Callable[..., State]:
    def make(*, name: str | None = None, message: str | None = None, data: Any = NO_DATA) -> State:
        return State(kind, name or default, message, data)

    make.__name__ = make.__qualname__ = default or kind.word
    make.__doc__ = f"A {default or kind.word} state, such as a task may return to decide how it ends."
    return make


Scheduled = _maker(StateType.SCHEDULED)
AwaitingRetry = _maker(StateType.SCHEDULED, "AwaitingRetry")
Pending = _maker(StateType.PENDING)
Running = _maker(StateType.RUNNING)
Retrying = _maker(StateType.RETRYING)
Paused = _maker(StateType.PAUSED)
Cancelling = _maker(StateType.RUNNING, "Cancelling")
Completed = _maker(StateType.COMPLETED)
Failed = _maker(StateType.FAILED)
Crashed = _maker(StateType.CRASHED)
Cancelled = _maker(StateType.CANCELLED)
