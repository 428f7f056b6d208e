"""What is read back from a journal: runs, task runs and log lines. Times are microseconds (UTC)."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.ids import owner_is_dead
from penstock.core.states import FINAL_WORDS


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a flow."""

    id: str
    name: str
    flow: str
    state: str
    state_name: str
    message: str | None = None
    flow_version: str | None = None
    entrypoint: str | None = None
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    parent_key: str | None = None
    root_id: str | None = None
    origin_id: str | None = None
    origin: str | None = None
    from_step: str | None = None
    attempt: int = 0
    created_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    owner: str | None = None
    lease_until: int | None = None
    cancel_requested: bool = False

    @property
    def ended(self) -> bool:
        """It has its one final state."""
        return self.state in FINAL_WORDS

    def lost(self, now: int) -> bool:
        """True when nobody executes this unfinished run any more.

        On the machine that ran it, a dead process is noticed at once; elsewhere, when its lease has expired.
        """
        if self.ended or self.owner is None:
            return False
        if owner_is_dead(self.owner):
            return True
        return self.lease_until is not None and self.lease_until < now

    def shown_state(self, now: int) -> str:
        """The state to show people: a run whose process is gone is shown as Crashed."""
        return "Crashed" if self.lost(now) else self.state


class TaskRun(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run."""

    run_id: str
    key: str
    name: str
    task: str
    state: str
    state_name: str
    message: str | None = None
    parent: str | None = None
    ordinal: int = 0
    attempt: int = 1
    started_at: int | None = None
    ended_at: int | None = None
    tags: tuple[str, ...] = ()
    child_id: str | None = None


class LogLine(msgspec.Struct, frozen=True):
    """One line a run logged."""

    run_id: str
    key: str | None
    at: int
    level: int
    logger: str
    message: str
    id: int = 0


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list, newest first.

    Attributes:
        states: state words; empty for any.
        flow: the flow's name.
        before: only runs whose id sorts before this one (keyset paging: pass the last id of the page).
        children: also list the runs of subflows.
        parent_id: only the subflow runs of this run.
        limit: at most so many.
    """

    states: tuple[str, ...] = ()
    flow: str | None = None
    before: str | None = None
    children: bool = False
    parent_id: str | None = None
    limit: int = 50


class FlowSummary(msgspec.Struct, frozen=True):
    """What the journal knows about a flow."""

    flow: str
    runs: int
    last_run_id: str
    last_state: str
    last_created_at: int
    entrypoint: str | None
