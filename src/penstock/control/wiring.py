"""What the routes work with, and how they get it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import Depends, Header, Request, Response

from penstock.app import Penstock
from penstock.control.access import CurrentUser
from penstock.control.auth import Auth
from penstock.control.auth.oidc import SignOn
from penstock.control.cache import Cache
from penstock.control.jobs import Jobs
from penstock.control.metrics import Metrics
from penstock.control.problems import Problem
from penstock.control.settings import ServerSettings
from penstock.control.streams import Hub
from penstock.control.telling import PREFIX
from penstock.control.webhooks.intake import Intake
from penstock.core.workflows import StoredWorkflow
from penstock.engine.connections.shelf import Shelf
from penstock.observability.traces import Tracer
from penstock.orchestrator.workflows import Workflows


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a route may need.

    Attributes:
        penstock: the journal and the engine.
        workflows: the workflows of the project.
        settings: of the server.
        shelf: the project's connections.
        intake: takes in what is sent to webhooks.
        streams: what happens, for those who listen.
        jobs: what is done in the background.
        auth: accounts, keys, sessions and the audit.
        metrics: for Prometheus.
        tracer: sends spans, where somebody wants them.
        cache: answers that take long to make.
        oidc: signs people in who have shown an OpenID provider who they are, where there is one.
    """

    penstock: Penstock
    workflows: Workflows
    settings: ServerSettings
    shelf: Shelf
    intake: Intake
    streams: Hub
    jobs: Jobs
    auth: Auth
    metrics: Metrics
    tracer: Tracer | None
    cache: Cache
    oidc: SignOn | None

    def prepare(self) -> None:
        """Make what would be made while the first request waits.

        Raises:
            ConnectionLocked: the signing keys are sealed with a key that is not here.
        """
        if self.settings.auth == "required":
            self.auth.signing.prepare()

    def start(self) -> None:
        """Begin with what is done beside answering; requests are answered by now."""
        self.jobs.watch()
        if self.tracer is not None:
            self.tracer.start()

    def leave(self) -> None:
        """Let go of those who listen, and of what is done in the background: soon nothing is answered any more."""
        self.streams.close()
        self.jobs.close()

    def close(self) -> None:
        """Release what is left, now that nothing is answered any more."""
        self.streams.release()
        if self.tracer is not None:
            self.tracer.close()
        self.cache.store.close()


def control_of(request: Request) -> Control:
    """What this application was made with."""
    found: Control = request.app.state.control
    return found


async def workflows_of(request: Request) -> Workflows:
    """The workflows; async, as all that does not wait is: anything else would take a thread each time."""
    return control_of(request).workflows


async def penstock_of(request: Request) -> Penstock:
    """The wired Penstock."""
    return control_of(request).penstock


async def auth_of_app(request: Request) -> Auth:
    """Accounts, keys, sessions and the audit."""
    return control_of(request).auth


TheAuth = Annotated[Auth, Depends(auth_of_app)]


async def connections_of(request: Request) -> Shelf:
    """The project's connections."""
    return control_of(request).shelf


TheShelf = Annotated[Shelf, Depends(connections_of)]
TheWorkflows = Annotated[Workflows, Depends(workflows_of)]
ThePenstock = Annotated[Penstock, Depends(penstock_of)]
_in_order = msgspec.json.Encoder(order="deterministic").encode
_KEY_HELP = "The same key makes the same thing once, however often the request is sent."


_Key = Annotated[str | None, Header(alias="Idempotency-Key", description=_KEY_HELP)]


async def _own_key(user: CurrentUser, key: _Key = None) -> str | None:
    """A key is its user's own: nobody is told of what somebody else has made with the same one."""
    if key is None:
        return None
    if not (0 < len(key) <= 255 and key.isprintable() and "/" not in key):
        raise Problem(400, "Idempotency-Key must be a text of at most 255 characters without slashes.")
    return f"{user.name}/{key}"


IdempotencyKey = Annotated[str | None, Depends(_own_key)]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="Change it only as it was got: its ETag.")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="Answer only what is new: its ETag.")]


def etag_of(stored: StoredWorkflow) -> str:
    """Tells a workflow from what it was before any change."""
    return f'"{stored.version}-{int(stored.active)}"'


def matches(tags: str, tag: str) -> bool:
    """Whether a header names this ETag."""
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in tags.split(","))


def unchanged(if_none_match: str | None, tag: str) -> Response | None:
    """The answer to who has what there is already; None where there is something new for them."""
    if if_none_match is None or not matches(if_none_match, tag):
        return None
    return Response(status_code=304, headers={"ETag": tag})


def expected_version(stored: StoredWorkflow, if_match: str | None) -> int | None:
    """The version that a change is meant for.

    Raises:
        Problem: it is another one by now.
    """
    if if_match is None:
        return None
    check_meant(if_match, etag_of(stored), f"The workflow {stored.name!r}")
    return stored.version


def etag_for(data: Any) -> str:
    """Tells what is made of this data from what it was before any change."""
    return f'"{hashlib.blake2b(_in_order(data), digest_size=10).hexdigest()}"'


def check_meant(if_match: str | None, tag: str, what: str) -> None:
    """See that a change is meant for what there is.

    Raises:
        Problem: it is something else by now.
    """
    if if_match is not None and not matches(if_match, tag):
        raise Problem(
            412, f"{what} is not as it was any more: its ETag is {tag}.",
            hint="get it again, and make your change to what it is now",
        )  # fmt: skip


def tell_place(response: Response, *place: str) -> None:
    """Say where something is that was made: its kind and its name, which may hold anything."""
    response.headers["Location"] = "/".join((PREFIX, *(quote(part, safe="") for part in place)))
