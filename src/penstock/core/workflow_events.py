"""The facts a journal keeps of workflows (`workflow/NAME`)."""

from __future__ import annotations

from typing import Any, ClassVar

from penstock.core.events import Event


class WorkflowCreated(Event, frozen=True, omit_defaults=True, kw_only=True):
    """There is a workflow (see `core.workflows.WorkflowSpec`).

    Attributes:
        number: of the version: 1, or one more than that of a workflow of this name that was deleted.
        by: who made it.
        key: an idempotency key; whoever asks for the same with it again is told of this one.
    """

    stored: ClassVar[str] = "WorkflowCreated"
    name: str
    number: int
    spec: dict[str, Any]
    by: str | None = None
    key: str | None = None


class WorkflowUpdated(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The workflow is as `spec` says from now on. Runs that have begun go on as they were.

    Attributes:
        number: of the version: one more than before.
        restores: the earlier version that it is again.
        by: who changed it.
    """

    stored: ClassVar[str] = "WorkflowUpdated"
    name: str
    number: int
    spec: dict[str, Any]
    restores: int | None = None
    by: str | None = None


class WorkflowDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The workflow is gone, and its deployment with it; its versions and its runs stay.

    Attributes:
        number: of its last version.
        by: who deleted it.
    """

    stored: ClassVar[str] = "WorkflowDeleted"
    name: str
    number: int
    by: str | None = None


WORKFLOWS: tuple[type[Event], ...] = (WorkflowCreated, WorkflowUpdated, WorkflowDeleted)
