"""`/health`: whether the server lives, and whether it can do its work."""

from __future__ import annotations

import logging
import time
from typing import Any

from fastapi import APIRouter, Request, Response

from penstock.control.wiring import ThePenstock, control_of
from penstock.core.clock import now_us
from penstock.core.errors import PenstockError

router = APIRouter(prefix="/health", tags=["health"])
_log = logging.getLogger("penstock.control")
_SILENT_US = 60_000_000


@router.get("/live")
async def live() -> dict[str, str]:
    """The server answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "Something that it needs is away."}})
def ready(request: Request, response: Response, penstock: ThePenstock) -> dict[str, Any]:
    """Each thing it needs: the journal, a scheduler and a worker."""
    began = time.monotonic()
    try:
        workers = penstock.journal.workers()
        scheduler = penstock.journal.holder("scheduler")
    except PenstockError as error:
        _log.error("The server is not ready: %s", error.message)
        response.status_code = 503
        known = control_of(request).settings.auth == "none"  # a stranger need not know where the journal is
        told = {"status": "down", "code": error.code} | ({"reason": error.message} if known else {})
        return {"status": "down", "journal": told}
    took = round((time.monotonic() - began) * 1000, 1)
    alive = [each for each in workers if now_us() - each.seen_at < _SILENT_US]
    return {
        "status": "ok",
        "journal": {"status": "ok", "kind": penstock.journal.kind, "milliseconds": took},
        "scheduler": {"status": "ok" if scheduler is not None else "none"},
        "workers": {"status": "ok" if alive else "none", "count": len(alive)},
    }
