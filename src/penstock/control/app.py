"""The application behind the API, made of a wired Penstock."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.app import Penstock, Settings
from penstock.authoring.callables import Callables
from penstock.control import problems
from penstock.control.access import current_user
from penstock.control.api import (
    alerts,
    audit,
    automations,
    connections,
    deployments,
    events,
    files,
    health,
    hooks,
    jobs,
    lookup,
    metrics,
    oidc,
    plans,
    runs,
    streams,
    summary,
    users,
    webhooks,
    workflows,
)
from penstock.control.api import auth as auth_routes
from penstock.control.auth import Auth, auth_of
from penstock.control.auth.oidc import SignOn
from penstock.control.auth.provider import Provider
from penstock.control.cache import cache_of
from penstock.control.description import complete
from penstock.control.jobs import Jobs
from penstock.control.metrics import Metrics
from penstock.control.middleware import Guards, Limits, RequestIds
from penstock.control.models import ProblemOut
from penstock.control.packing import Packing
from penstock.control.settings import OidcSettings, ServerSettings, is_safe_url
from penstock.control.streams import Hub, room
from penstock.control.telling import tracing
from penstock.control.webhooks.intake import intake_of
from penstock.control.wiring import Control
from penstock.core.errors import ConfigurationError
from penstock.engine.connections.secret import secret_of
from penstock.engine.workflows import callables_of
from penstock.orchestrator.engines import Engines
from penstock.orchestrator.shelves import shelf_of
from penstock.orchestrator.workflows import Workflows

_PREFIX = "/api/v1"
_HEADERS = ("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "X-Request-ID")
_ASKED = (
    "Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "X-Request-ID",
)  # fmt: skip
_ROUTERS = (
    workflows.router,
    streams.router,
    events.router,
    summary.router,
    jobs.router,
    lookup.router,
    runs.router,
    files.router,
    users.users,
    users.keys,
    audit.router,
    alerts.alerts,
    alerts.quiet,
    webhooks.router,
    automations.router,
    deployments.router,
    plans.router,
    connections.router,
)
"""All of them ask who it is. Of two routes that fit an address, the first is taken."""


class Application(FastAPI):
    """The API behind its entrance: what happens to every request on its way in and out, whoever answers it.

    Attributes:
        entrance: goes on to FastAPI, or to the webhooks, which need nothing of it and are asked most often.
    """

    entrance: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        scope["app"] = self
        await self.entrance(scope, receive, send)

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI answers."""
        await super().__call__(scope, receive, send)


def create_app(
    penstock: Penstock, settings: ServerSettings | None = None, *, callables: Callables | None = None
) -> Application:
    """The application.

    Args:
        penstock: whose runs and workflows it is about.
        settings: of the server.
        callables: what workflows may call; what the project's file says when left out.
    """
    settings = settings or ServerSettings()
    app = Application(
        title="Penstock",
        version="1",
        description="Workflows and runs.",
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{_PREFIX}/openapi.json",
        redirect_slashes=False,  # where to is taken from the request, which may name any host
        responses={"4XX": {"model": ProblemOut, "description": "What is wrong, and where."}},
        telemetry={"tracing": False, "metrics": False, "logs": False},  # we have our own
    )
    app.state.control = _wired(penstock, settings, callables)
    problems.install(app)
    asked = [Depends(current_user)]  # before a body is read
    for router in _ROUTERS:
        app.include_router(router, prefix=_PREFIX, dependencies=asked)
    for open_one in (auth_routes.router, oidc.router):
        app.include_router(open_one, prefix=_PREFIX)
    for router in (health.router, metrics.router, hooks.router):
        app.include_router(router)
    _surround(app, settings)
    _describe(app)
    return app


def _wired(penstock: Penstock, settings: ServerSettings, callables: Callables | None) -> Control:
    """What the routes work with: what they change in the journal is audited."""
    auth = auth_of(penstock.journal, partial(shelf_of, penstock))
    penstock, raw = copy.copy(penstock), penstock.journal
    penstock.journal = auth.journal
    hub = Hub(raw, room())
    return Control(
        penstock=penstock,
        workflows=Workflows(penstock.journal, callables or callables_of(), Engines(penstock)),
        settings=settings,
        shelf=auth.shelf,
        intake=intake_of(raw, auth.shelf),
        streams=hub,
        jobs=Jobs(penstock),
        auth=auth,
        metrics=Metrics(raw, lambda: hub.listeners),
        tracer=tracing(raw),
        cache=cache_of(raw, settings.redis_url),
        oidc=_sign_on(auth, settings.oidc, penstock.settings) if settings.oidc is not None else None,
    )


def _sign_on(auth: Auth, settings: OidcSettings, general: Settings) -> SignOn:
    """Signing in through an OpenID provider.

    Raises:
        ConfigurationError: public_url is missing, or not encrypted.
    """
    if not is_safe_url(general.public_url):
        raise ConfigurationError(
            f"public_url ({general.public_url or 'not set'}) is where the OpenID provider sends browsers back to, and "
            "must be https, or this machine.",
            hint='such as public_url = "https://penstock.example.com" below [tool.penstock]',
        )
    secret = secret_of(auth.shelf.load)
    shown = lambda: secret(settings.secret) if settings.secret else None  # noqa: E731
    provider = Provider(settings, shown, tuple(general.call_hosts.split(",")))
    return SignOn(
        provider, auth.journal, auth.log, auth.accounts, auth.sessions, auth.signing, auth.refusals, general.public_url
    )


def _surround(app: Application, settings: ServerSettings) -> None:
    """What happens to every request on its way in and out; of what FastAPI is given, the last comes first."""
    app.add_middleware(Packing)
    sizes = {f"{_PREFIX}/files": settings.max_file_bytes + 64 * 1024}  # a form has more around it
    app.add_middleware(Limits, max_body_bytes=settings.max_body_bytes, others=sizes)
    known = {"localhost", "127.0.0.1", "::1", settings.host.lower(), *map(str.lower, settings.known_hosts)}
    # A browser adds no bearer token by itself: where everybody signs in, no page can use somebody else's.
    signed = settings.auth == "required"
    hosts = None if signed and not settings.known_hosts else frozenset(known)
    inner: ASGIApp = Guards(hooks.Hooks(app.inside), hosts, None if signed else settings.cors_origins)
    if settings.cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=list(_ASKED),
            expose_headers=list(_HEADERS),
        )
    app.entrance = RequestIds(inner)


def _describe(app: Application) -> None:
    """Have the description of the API tell of what FastAPI does not know."""
    made = app.openapi

    def described() -> dict[str, Any]:
        return complete(made())

    app.openapi = described  # type: ignore[method-assign]
