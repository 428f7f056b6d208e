"""What is to be done when, and by whom: deployments and their schedules, pools and workers, automations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.model import (
        Backfill,
        Claim,
        DueSchedule,
        OwedAction,
        Pool,
        RememberedGroup,
        Run,
        StoredAutomation,
        StoredDeployment,
        Worker,
    )
    from penstock.core.workflows import StoredWorkflow, WorkflowFilter


class Plans(ABC):
    """Deployments and their schedules, pools and workers, automations. A part of `Journal`."""

    @abstractmethod
    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """Extend the leases this owner still holds, and return the ids of those runs."""

    @abstractmethod
    def requested(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Which of these runs somebody asked to stop (`cancel`), or else to pause (`pause`)."""

    @abstractmethod
    def claim(self, claim: Claim) -> list[Run]:
        """Take due runs out of a pool, as RunClaimed events: by queue priority, then priority, then due time.

        Never more than the limits of the pool, its queues and the deployments leave room for; a run counts while its
        lease holds. A run is taken once, by whoever claims it first.
        """

    @abstractmethod
    def next_due(self, pool: str, queues: Sequence[str] = ()) -> int | None:
        """When the next run of a pool is due."""

    @abstractmethod
    def lost_runs(self, now: int, limit: int = 100) -> list[Run]:
        """Runs of pools whose lease has expired."""

    @abstractmethod
    def held_runs(self, pool: str | None = None) -> list[Run]:
        """Unfinished runs that some process holds, of one pool or of all."""

    @abstractmethod
    def due_schedules(self, now: int, limit: int = 1000) -> list[DueSchedule]:
        """Schedules that are due, longest due first."""

    @abstractmethod
    def next_schedule(self) -> int | None:
        """When the next schedule is due."""

    @abstractmethod
    def deployments(self, name: str | None = None) -> list[StoredDeployment]:
        """Every deployment by name, or the one of this name."""

    @abstractmethod
    def workflows(self, where: WorkflowFilter) -> list[StoredWorkflow]:
        """A page of workflows, by name."""

    @abstractmethod
    def count_workflows(self, where: WorkflowFilter) -> int:
        """How many there are on all pages together (`after`, `skip` and `limit` do not count)."""

    @abstractmethod
    def pools(self, name: str | None = None) -> list[Pool]:
        """Every pool by name (or the one of this name), with its queues and what is in it."""

    @abstractmethod
    def backfills(self, backfill_id: str | None = None, limit: int = 100) -> list[Backfill]:
        """Backfills, newest first, or the one with this id."""

    @abstractmethod
    def report_worker(self, worker: Worker) -> None:
        """A worker says how it is."""

    @abstractmethod
    def forget_worker(self, worker_id: str) -> None:
        """A worker is gone."""

    @abstractmethod
    def workers(self, pool: str | None = None) -> list[Worker]:
        """Workers that have reported themselves and not left."""

    @abstractmethod
    def hold(self, name: str, owner: str, now: int, until: int) -> bool:
        """Get or extend a lease that is nobody's or one's own; False when somebody else holds it."""

    @abstractmethod
    def holder(self, name: str) -> str | None:
        """Who held a lease last and did not give it back, whether or not its time is over."""

    @abstractmethod
    def let_go(self, name: str, owner: str) -> None:
        """Give a lease back."""

    @abstractmethod
    def automations(self, name: str | None = None) -> list[StoredAutomation]:
        """Every automation by name, or the one of this name."""

    @abstractmethod
    def remembered(self, automation: str | None = None) -> list[RememberedGroup]:
        """What automations (or this one) remember between events."""

    @abstractmethod
    def owed_actions(
        self, now: int, outside: bool, limit: int = 100, but_of: Sequence[str] = (), lane: str | None = None
    ) -> list[OwedAction]:
        """Actions that are due and have not ended, longest due first: inside the journal, or outside.

        Args:
            now: due by then.
            outside: which of the two.
            limit: at most so many.
            but_of: none of these lanes (a few).
            lane: only of this one.
        """
