"""What the routes work with, and how they get it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Request, Response

from penstock.app import Penstock
from penstock.control.problems import Problem
from penstock.control.settings import ServerSettings
from penstock.core.model import Run
from penstock.core.workflows import StoredWorkflow
from penstock.orchestrator.workflows import Workflows


class Control(msgspec.Struct, frozen=True):
    """Everything a route may need.

    Attributes:
        penstock: the journal and the engine.
        workflows: the workflows of the project.
        settings: of the server.
    """

    penstock: Any
    workflows: Any
    settings: ServerSettings


def control_of(request: Request) -> Control:
    """What this application was made with."""
    found: Control = request.app.state.control
    return found


async def workflows_of(request: Request) -> Workflows:
    """The workflows; async, as all that does not wait is: anything else would take a thread each time."""
    found: Workflows = control_of(request).workflows
    return found


async def penstock_of(request: Request) -> Penstock:
    """The wired Penstock."""
    found: Penstock = control_of(request).penstock
    return found


TheWorkflows = Annotated[Workflows, Depends(workflows_of)]
ThePenstock = Annotated[Penstock, Depends(penstock_of)]
_KEY_HELP = "The same key makes the same thing once, however often the request is sent."


_Key = Annotated[str | None, Header(alias="Idempotency-Key", description=_KEY_HELP)]


async def _checked_key(key: _Key = None) -> str | None:
    if key is not None and not (0 < len(key) <= 255 and key.isprintable() and "/" not in key):
        raise Problem(400, "Idempotency-Key must be a text of at most 255 characters without slashes.")
    return key


IdempotencyKey = Annotated[str | None, Depends(_checked_key)]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="Change it only as it was got: its ETag.")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="Answer only what is new: its ETag.")]


def etag_of(stored: StoredWorkflow) -> str:
    """Tells a workflow from what it was before any change."""
    return f'"{stored.version}-{int(stored.active)}"'


def matches(tags: str, tag: str) -> bool:
    """Whether a header names this ETag."""
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in tags.split(","))


def expected_version(stored: StoredWorkflow, if_match: str | None) -> int | None:
    """The version that a change is meant for.

    Raises:
        Problem: it is another one by now.
    """
    if if_match is None:
        return None
    if not matches(if_match, etag_of(stored)):
        raise Problem(
            412, f"The workflow {stored.name!r} is not as it was any more: its ETag is {etag_of(stored)}.",
            hint="get it again, and make your change to what it is now",
        )  # fmt: skip
    return stored.version


def tell_place(response: Response, run: Run) -> None:
    """Say where a run is that was made."""
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
