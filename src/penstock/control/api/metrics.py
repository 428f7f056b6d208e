"""`/metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from penstock.control.access import Viewer, check_all
from penstock.control.wiring import control_of

router = APIRouter(tags=["metrics"])
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, user: Viewer) -> Response:
    """Metrics of all runs, and of this server, for Prometheus."""
    check_all(user)
    return Response(control_of(request).metrics.text(), media_type=MEDIA_TYPE)
