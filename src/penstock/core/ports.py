"""What the rooms ask of each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.events import Event, Record, Saved, Stored
    from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun


class Journal(ABC):
    """The append-only record of run events, and the tables projected from it.

    Every implementation passes `penstock.testing.JournalConformance`. All methods may be called from any thread.
    Driver errors are translated to `JournalError`s.
    """

    kind: str = ""
    location: str = ""
    remote: bool = False
    """An append waits for a network; async flows then append from a thread."""

    @abstractmethod
    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """Write the records as expected_seq + 1, +2, ... together with their projections and the log lines.

        One transaction: when this returns, all of it survives the death of the process; when it raises, nothing of
        it was written. Repeating an append whose answer was lost is the journal's own duty, not the caller's.

        Raises:
            SequenceConflict: the run's last record is not expected_seq.
            JournalError: anything else.
        """

    @abstractmethod
    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """The records of one run with a sequence number above `after`, in order."""

    @abstractmethod
    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """Records of all runs behind a position, in an order that no later commit can change."""

    @abstractmethod
    def cursor(self, name: str) -> int:
        """The position a named subscriber has reached; 0 for a new one."""

    @abstractmethod
    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """Advance a subscriber from `expected` to `position`; False when it was no longer there."""

    @abstractmethod
    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """Extend the leases this owner still holds, and return the ids of those runs."""

    @abstractmethod
    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these runs somebody asked to stop."""

    @abstractmethod
    def run(self, run_id: str) -> Run | None:
        """One run."""

    @abstractmethod
    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """Runs whose id starts or ends with this text, or whose name is this text, newest first."""

    @abstractmethod
    def runs(self, where: RunFilter) -> list[Run]:
        """A page of runs, newest first."""

    @abstractmethod
    def flows(self) -> list[FlowSummary]:
        """Every flow that has runs (subflow runs are not counted)."""

    @abstractmethod
    def task_runs(self, run_id: str) -> list[TaskRun]:
        """The steps of a run, in the order they were called."""

    @abstractmethod
    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """Write log lines on their own."""

    @abstractmethod
    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Log lines of a run (of one step, with `key`) behind a log id, in order."""

    @abstractmethod
    def delete(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that belongs to them (not their subflow runs); returns how many there were."""

    @abstractmethod
    def refs(self) -> set[str]:
        """Every result-store reference that some record still uses."""

    @abstractmethod
    def status(self) -> Mapping[str, Any]:
        """Schema version, sizes and counts, for people."""

    @abstractmethod
    def vacuum(self) -> None:
        """Give freed space back."""

    @abstractmethod
    def close(self) -> None:
        """Release connections. Closing twice is fine."""


class ResultStore(ABC):
    """Turns values into recorded bytes and back."""

    @abstractmethod
    def save(self, value: Any) -> tuple[Saved, bytes | None]:
        """Serialize; large values go to the store and come back as a reference without bytes.

        Raises:
            ResultNotSaved: no serializer can write the value.
        """

    @abstractmethod
    def load(self, saved: Saved, data: bytes | None) -> Any:
        """The value again.

        Raises:
            ResultUnavailable: the file is missing or damaged, or its serializer is not installed.
        """


class TaskRunner(ABC):
    """Runs submitted tasks beside the flow. One instance serves one flow run at a time; `duplicate` makes another."""

    max_workers: int

    @abstractmethod
    def duplicate(self) -> TaskRunner:
        """A fresh runner with the same settings."""

    @abstractmethod
    def start(self, live: Any) -> None:
        """Get ready for the tasks of one flow run."""

    @abstractmethod
    def submit(self, job: Callable[[], None]) -> None:
        """Run the job soon, on a worker of its own. Never blocks."""

    elsewhere = False
    """Functions are executed by `invoke`, not in the worker thread itself."""

    def invoke(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """Execute a submitted task's function in another process or on another machine.

        Args:
            fn: the function; it may be async.
            args: positional arguments.
            kwargs: keyword arguments.
            seconds: end it for certain after so long, and raise `late`.
            late: the exception.
        """
        raise NotImplementedError(f"{type(self).__name__} runs functions where it is")

    @abstractmethod
    def stop(self, kill: bool = False) -> None:
        """Let go of all workers; with `kill`, at once."""


class Engine(Protocol):
    """What `@flow` and `@task` objects call."""

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """Run a task in place."""

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """Run a task on the flow's runner."""

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """Run a flow in the calling process."""


Observer: TypeAlias = "Callable[[str, Event], None]"

_provider: list[Callable[[], Engine]] = []


def provide_engine(provider: Callable[[], Engine]) -> None:
    """Say where flows and tasks find their engine (called once, by the composition root)."""
    _provider[:] = [provider]


def current_engine() -> Engine:
    """The engine of this process."""
    return _provider[0]()
