"""What is told of each request that was answered: a line in the log, and a place in the metrics."""

from __future__ import annotations

import logging
import os
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from penstock.core.extras import LateModule
from penstock.core.ports import Journal
from penstock.observability import REGISTRY

_traces: Any = LateModule("penstock.observability.traces")
_log = logging.getLogger("penstock.control.access")
PREFIX = "/api/v1"
_KNOWN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUESTS = REGISTRY.histogram(
    "penstock_http_request_duration_seconds",
    "From the first byte of a request to the last of its answer; streams are left out.",
    ("method", "route", "status"),
    HTTP_SECONDS,
)
STREAMS = REGISTRY.counter("penstock_http_streams_total", "Event streams that have ended.", ("route",))


def shown_path(scope: Scope) -> str:
    """The path of a request as it can be written into a line: it holds no end of one."""
    return str(scope["path"]).encode("unicode_escape").decode()[:2000]


def route_of(scope: Scope) -> str:
    """The template of the route that answered; none for what no route answered."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "(none)"
    prefix = PREFIX if scope["path"].startswith(f"{PREFIX}/") and not path.startswith(PREFIX) else ""
    return f"{prefix}{path}"  # a route does not know what it was included below


def answered(scope: Scope, status: int, seconds: float, *, stream: bool) -> None:
    """Tell of a request.

    Args:
        scope: of the request.
        status: of its answer; 0 where whoever asked had gone before there was one.
        seconds: how long it took.
        stream: the answer was one that goes on and on.
    """
    method = scope["method"] if scope["method"] in _KNOWN else "(other)"
    route = route_of(scope)
    if stream:
        STREAMS.add(route=route)
    else:
        REQUESTS.observe(seconds, method=method, route=route, status=status)
    tracer = tracer_of(scope)
    if not _log.isEnabledFor(logging.INFO) and tracer is None:
        return
    path = shown_path(scope)
    facts: dict[str, Any] = {
        "method": method,
        "path": path,
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
        "address": (scope.get("client") or (None,))[0],
        "user": scope.get("penstock.user"),
    }
    _log.info("%s %s %d", method, path, status, extra={"facts": {k: v for k, v in facts.items() if v is not None}})
    if tracer is not None:
        given = Headers(scope=scope).get("traceparent", "")
        made = str(scope.get("penstock.location", "")).partition("/runs/")[2] or None
        told = {"http.method": method, "http.route": route, "http.status": status, "enduser.id": facts["user"]}
        told["penstock.request_id"] = scope.get("penstock.request_id")
        tracer.request(f"{method} {route}", told, seconds, given, made)


def tracing(journal: Journal) -> Any:
    """Who sends spans, where the variables of OpenTelemetry name a place for them; it is to be started.

    Raises:
        ConfigurationError: they name none that can be.
    """
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        return None
    endpoint = _traces.endpoint_of(os.environ)
    return _traces.Tracer(journal, endpoint) if endpoint is not None else None


def tracer_of(scope: Scope) -> Any:
    """Who sends spans; None where nobody does."""
    control = getattr(scope["app"].state, "control", None) if "app" in scope else None
    return getattr(control, "tracer", None)
