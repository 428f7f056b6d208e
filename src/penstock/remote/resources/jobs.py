"""What is done to many runs at once, in the background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.remote.calls import Call, K, Resource, given, got, operation, told


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is done in the background, and how far it is."""

    id: str
    kind: str
    state: str
    by: str
    created_at: str | None = None
    updated_at: str | None = None
    ended_at: str | None = None
    total: int | None = None
    done: int = 0
    skipped: dict[str, Any] = {}
    dry_run: bool = False
    result: dict[str, Any] = {}
    error: str | None = None


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed at some time."""

    at: str | None
    runs: int
    below: int
    results: int
    before: str | None = None
    flows: dict[str, Any] = {}
    asked: bool = False


class Cleanups(msgspec.Struct, frozen=True, kw_only=True):
    """How long runs are kept, and what was removed."""

    keep: str
    keep_failed: str
    items: list[Purged]


def _some(ids: Sequence[str], conditions: dict[str, Any]) -> dict[str, Any]:
    """Which runs are meant: these, or those that fit (`states`, `flow`, `deployment`, `tags`, `text`, ...)."""
    return {**conditions, **({"ids": [*ids]} if ids else {})}


class Jobs(Resource[K]):
    """What is done to many runs at once."""

    @operation
    def list(self) -> Call[Sequence[Job]]:
        """The jobs there were of late."""
        return got(tuple[Job, ...], "jobs")

    @operation
    def get(self, job_id: str) -> Call[Job]:
        """One of them, and how far it is."""
        return got(Job, "jobs", job_id)

    @operation
    def cleanups(self) -> Call[Cleanups]:
        """How long runs are kept, and what was removed."""
        return got(Cleanups, "runs", "cleanup")

    @operation
    def clean_up(
        self, *, older_than: str | None = None, states: Sequence[str] = (), dry_run: bool = False
    ) -> Call[Job]:
        """Remove old runs, in the background."""
        body = given(older_than=older_than, states=[*states] or None, dry_run=dry_run)
        return told(Job, "runs", "cleanup", body=body)

    @operation
    def cancel_runs(self, /, ids: Sequence[str] = (), **conditions: Any) -> Call[Job]:
        """Stop many runs: these, or those that fit."""
        return told(Job, "runs", "cancel", body=_some(ids, conditions))

    @operation
    def pause_runs(self, /, ids: Sequence[str] = (), **conditions: Any) -> Call[Job]:
        """Let many runs begin no other step: these, or those that fit."""
        return told(Job, "runs", "pause", body=_some(ids, conditions))

    @operation
    def resume_runs(self, /, ids: Sequence[str] = (), **conditions: Any) -> Call[Job]:
        """Let many runs go on that were asked to pause: these, or those that fit."""
        return told(Job, "runs", "resume", body=_some(ids, conditions))

    @operation
    def delete_runs(self, /, ids: Sequence[str] = (), **conditions: Any) -> Call[Job]:
        """Remove many runs: these, or those that fit."""
        return told(Job, "runs", "delete", body=_some(ids, conditions))
