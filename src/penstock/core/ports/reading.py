"""What commands read of runs: a journal has it, and so has a server that is asked from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from penstock.core.datasets import StoredDataset
    from penstock.core.model import (
        Artifact,
        Limit,
        LogLine,
        Pool,
        Run,
        RunFilter,
        StoredAutomation,
        StoredDeployment,
        TaskRun,
        Worker,
    )


class Reading(Protocol):
    """Reads runs and what belongs to them; see `Journal`, whose methods these are."""

    def run(self, run_id: str) -> Run | None:
        """One run by its whole id."""

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """Runs by the beginning or the end of their id, or by their name."""

    def runs(self, where: RunFilter) -> list[Run]:
        """Runs, newest first."""

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """The steps of a run."""

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Log lines of a run, behind the one with this id."""

    def artifacts(self, run_id: str | None = None, *, bare: bool = False) -> list[Artifact]:
        """What a run left to look at."""

    def pools(self, name: str | None = None) -> list[Pool]:
        """The pools that somebody has set up."""

    def workers(self, pool: str | None = None) -> list[Worker]:
        """The workers that have reported themselves."""

    def held_runs(self, pool: str | None = None) -> list[Run]:
        """Runs that are taken, of a pool."""

    def deployments(self, name: str | None = None) -> list[StoredDeployment]:
        """Deployments by name; or the one of this name."""

    def limits(self, name: str | None = None) -> list[Limit]:
        """Limits by name; or the one of this name."""

    def datasets(self, name: str | None = None) -> list[StoredDataset]:
        """Datasets by name; or those of this name, or at this place."""

    def automations(self, name: str | None = None) -> list[StoredAutomation]:
        """Automations by name; or the one of this name."""
