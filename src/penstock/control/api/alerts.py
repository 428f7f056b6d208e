"""`/api/v1/alerts` and `/api/v1/silences`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from penstock.control.access import Operator, Viewer, check_all, check_seen
from penstock.control.api.alerts_models import (
    AlertOut,
    ChannelOut,
    RetryIn,
    RetryOut,
    SilenceIn,
    SilenceOut,
    State,
    TestOut,
)
from penstock.control.api.queries import micros_of
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Part
from penstock.control.problems import Problem
from penstock.control.wiring import IdempotencyKey, TheAuth, ThePenstock, TheShelf, tell_place
from penstock.core.access import User
from penstock.core.clock import now_us
from penstock.core.errors import PlanNotFound
from penstock.core.sending import Hopeless, Unanswered
from penstock.engine.project import project_file
from penstock.orchestrator import outbox, silences
from penstock.orchestrator.channels import ChannelPlace, Channels, loader, project_alerts, state_of
from penstock.orchestrator.outbox import alert_record
from penstock.orchestrator.silences import Silence, silence_record

alerts = APIRouter(prefix="/alerts", tags=["alerts"])
quiet = APIRouter(prefix="/silences", tags=["alerts"])
_SILENCE = {"where": {"flow": "fetch-*", "tags": ["prod"]}, "seconds": 7200, "reason": "moving the database"}


@alerts.get("")
def list_alerts(
    penstock: ThePenstock,
    user: Viewer,
    state: Annotated[list[State] | None, Query(description="one or more of the states")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Part[AlertOut]:
    """List alerts: those that wait, then the last ones that were told, or could not be told."""
    found = outbox.alerts_of(penstock.journal, state or (), limit, lambda tags: user.sees(tags))
    items = [AlertOut.model_validate(alert_record(each)) for each in found]
    return Part(items=items, limit=limit, next=None)


@alerts.post("/retry", openapi_extra=BODIES.of(RetryIn, {"id": "run-failed/1204/0"}))
def retry(raw: Raw, penstock: ThePenstock, user: Operator) -> RetryOut:
    """Have an alert that could not be told be tried anew."""
    wanted = parsed(RetryIn, raw).id
    missing = PlanNotFound(f"There is no alert {wanted!r} that has ended.")
    check_seen(user, outbox.find(penstock.journal, wanted).tags, missing)
    return RetryOut(id=outbox.retry(penstock.journal, wanted))


@alerts.get("/channels")
def list_channels(shelf: TheShelf, user: Viewer) -> list[ChannelOut]:
    """List the channels of the project, and whether they can be used."""
    check_all(user)
    settings = project_alerts(project_file(Path.cwd()))
    return [
        ChannelOut(name=name, type=each.type, connection=each.connection, off=state_of(each, loader(shelf)))
        for name, each in settings.channels.items()
    ]


@alerts.post("/channels/{name}/test")
def try_out(name: str, shelf: TheShelf, penstock: ThePenstock, auth: TheAuth, user: Operator) -> TestOut:
    """Send a message by a channel, which says that it is a test."""
    check_all(user)
    settings = project_alerts(project_file(Path.cwd()))
    made = Channels(settings, penstock.journal, loader(shelf), penstock.settings.public_url)
    place = made.get(name)
    if not isinstance(place, ChannelPlace):
        known = ", ".join(settings.channels) or "none"
        raise PlanNotFound(f"There is no channel {name!r}.", hint=f"channels there are: {known}")
    try:
        error: Any = place.test().get("skipped")
    except (Hopeless, Unanswered) as failed:
        error = str(failed)
    auth.log.record("ChannelTested", f"channel/{name}", after={"ok": error is None}, detail=error)
    return TestOut(channel=name, ok=error is None, error=error)


def _told(silence: Silence) -> SilenceOut:
    return SilenceOut.model_validate(silence_record(silence, now_us()))


def _own(user: User, where: dict[str, Any]) -> bool:
    """Whether a silence keeps only things quiet that are there for somebody."""
    tags = where.get("tags", ())
    named = set(tags if isinstance(tags, (list, tuple)) else [tags])
    return user.tags is None or (bool(named) and named <= set(user.tags))


@quiet.get("")
def list_silences(
    penstock: ThePenstock,
    user: Viewer,
    over: Annotated[bool, Query(description="also those that are over")] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Part[SilenceOut]:
    """List silences, the newest first."""
    now = now_us()
    found = [each for each in silences.Silences(penstock.journal).all() if over or not each.over(now)]
    items = [_told(each) for each in found if _own(user, each.where)]
    return Part(items=items[:limit], limit=limit, next=None)


@quiet.post("", status_code=201, openapi_extra=BODIES.of(SilenceIn, _SILENCE))
def silence(raw: Raw, response: Response, penstock: ThePenstock, user: Operator, key: IdempotencyKey) -> SilenceOut:
    """Have nobody be told of certain things for a while. What happens then is not told later either."""
    wanted = parsed(SilenceIn, raw)
    if not _own(user, wanted.where):
        raise Problem(403, "You may keep quiet only what bears your tags.", [("body.where.tags", "name some of them")])
    made = silences.start(
        penstock.journal,
        wanted.where,
        wanted.seconds,
        since=micros_of("body.since", wanted.since),
        reason=wanted.reason,
        by=user.name,
        key=key,
    )
    tell_place(response, "silences", made.id)
    return _told(made)


def _found(penstock: Any, user: User, silence_id: str) -> Silence:
    missing = PlanNotFound(f"There is no silence {silence_id!r}.")
    found = silences.Silences(penstock.journal).by_id().get(silence_id)
    if found is None or not _own(user, found.where):
        raise missing
    return found


@quiet.get("/{silence_id}")
def get(silence_id: str, penstock: ThePenstock, user: Viewer) -> SilenceOut:
    """One silence."""
    return _told(_found(penstock, user, silence_id))


@quiet.delete("/{silence_id}", status_code=204)
def end(silence_id: str, penstock: ThePenstock, user: Operator) -> None:
    """End a silence now; one that is over stays as it is."""
    silences.end(penstock.journal, _found(penstock, user, silence_id).id, user.name)
