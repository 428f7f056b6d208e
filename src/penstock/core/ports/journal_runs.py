"""Runs, their steps and their logs, as they were projected from events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, RunKey, TaskRun


class Runs(ABC):
    """Runs, their steps and their logs, as they were projected from events. A part of `Journal`."""

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
    def runs_of(self, run_ids: Sequence[str]) -> list[Run]:
        """Those of these runs that are there, in this order."""

    @abstractmethod
    def run_keys(self, where: RunFilter, *, bare: bool = False) -> list[RunKey]:
        """As `runs`, of each only what runs are sorted by (`bare`: only its id): for very many."""

    @abstractmethod
    def run_counts(self, since: int, most: int) -> dict[str, int]:
        """How many runs are in each state: all that have not ended, and those that have and were made since a time.

        Subflow runs are not counted. At most so many are counted of each state. The time is in microseconds.
        """

    @abstractmethod
    def flows(self, most: int | None = None) -> list[FlowSummary]:
        """Every flow that has runs (subflow runs are not counted); at most so many of each are counted."""

    @abstractmethod
    def task_runs(self, run_id: str) -> list[TaskRun]:
        """The steps of a run, in the order they were called."""

    @abstractmethod
    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """Write log lines on their own."""

    @abstractmethod
    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Log lines of a run (of one step, with `key`) behind a log id, in order."""
