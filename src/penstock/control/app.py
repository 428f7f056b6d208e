"""The application behind the API, made of a wired Penstock."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from penstock.app import Penstock
from penstock.authoring.callables import Callables
from penstock.control import problems
from penstock.control.api import health, runs, workflows
from penstock.control.bodies import BODIES
from penstock.control.middleware import Guards, Limits, RequestIds
from penstock.control.models import ProblemOut
from penstock.control.settings import ServerSettings
from penstock.control.wiring import Control
from penstock.engine.workflows import callables_of
from penstock.orchestrator.workflows import Workflows

_PREFIX = "/api/v1"
_HEADERS = ("ETag", "Location", "X-Request-ID")


def create_app(
    penstock: Penstock, settings: ServerSettings | None = None, *, callables: Callables | None = None
) -> FastAPI:
    """The application.

    Args:
        penstock: whose runs and workflows it is about.
        settings: of the server.
        callables: what workflows may call; what the project's file says when left out.
    """
    settings = settings or ServerSettings()
    app = FastAPI(
        title="Penstock",
        version="1",
        description="Workflows and runs.",
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{_PREFIX}/openapi.json",
        responses={"4XX": {"model": ProblemOut, "description": "What is wrong, and where."}},
    )
    found = Workflows(penstock.journal, callables or callables_of())
    app.state.control = Control(penstock, found, settings)
    problems.install(app)
    app.include_router(workflows.router, prefix=_PREFIX)
    app.include_router(runs.router, prefix=_PREFIX)
    app.include_router(health.router)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(Limits, max_body_bytes=settings.max_body_bytes)
    hosts = frozenset({"localhost", "127.0.0.1", "::1", settings.host.lower()})
    app.add_middleware(Guards, hosts=hosts, origins=settings.cors_origins)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"],
            expose_headers=list(_HEADERS),
        )
    app.add_middleware(RequestIds)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Have the description of the API tell of the bodies that routes read themselves."""
    made = app.openapi

    def described() -> dict[str, Any]:
        schema = made()
        schema.setdefault("components", {}).setdefault("schemas", {}).update(BODIES.schemas())
        return schema

    app.openapi = described  # type: ignore[method-assign]
