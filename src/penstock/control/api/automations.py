"""`/api/v1/automations`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from penstock.control.access import Editor, Operator, Viewer, check_all
from penstock.control.api.automations_models import (
    AutomationChange,
    AutomationDetail,
    AutomationIn,
    AutomationOut,
    FiringOut,
    TestIn,
    TestOtherIn,
    TestOut,
    ToldOut,
)
from penstock.control.api.queries import micros_of
from penstock.control.automations import automation_of, past
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Page, Part
from penstock.control.problems import Problem
from penstock.control.wiring import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    ThePenstock,
    check_meant,
    etag_for,
    tell_place,
    unchanged,
)
from penstock.core.automations import Automation, of_data
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.model import StoredAutomation
from penstock.core.ports import Journal
from penstock.orchestrator import automations as service
from penstock.orchestrator.firings import firings_of
from penstock.orchestrator.rehearsal import rehearse

router = APIRouter(prefix="/automations", tags=["automations"])
_CHANGE = {
    "description": "a push to the shop runs its tests",
    "trigger": {"event": "git.push", "where": {"about": "ann/shop"}},
    "actions": [{"type": "run-deployment", "deployment": "checks", "parameters": {"who": "{facts.by}"}}],
}
EXAMPLE = {"name": "on-push", **_CHANGE}
_EVENT = {"event": "git.push", "about": "ann/shop", "facts": {"by": "ann"}}
_Limit = Annotated[int, Query(ge=1, le=500)]


def _tag(stored: StoredAutomation) -> str:
    return etag_for([stored.spec, stored.paused])


def _answer(journal: Journal, name: str, response: Response) -> AutomationOut:
    stored = service.find_automation(journal, name)
    response.headers["ETag"] = _tag(stored)
    return AutomationOut(**AutomationOut.record(stored))


@router.post("", status_code=201, openapi_extra=BODIES.of(AutomationIn, EXAMPLE))
def create(response: Response, raw: Raw, penstock: ThePenstock, user: Editor, key: IdempotencyKey) -> AutomationOut:
    """Make an automation. It counts what happens from now on."""
    check_all(user)
    given = parsed(AutomationIn, raw)
    service.create(penstock.journal, automation_of(given.name, given.table()), again=key is not None)
    tell_place(response, "automations", given.name)
    return _answer(penstock.journal, given.name, response)


@router.get("")
def list_automations(
    penstock: ThePenstock,
    user: Viewer,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: _Limit = 50,
    text: Annotated[str, Query(max_length=200, description="part of the name")] = "",
    paused: bool | None = None,
) -> Page[AutomationOut]:
    """List automations by name."""
    check_all(user)
    every = penstock.journal.automations()
    found = [each for each in every if text in each.name and paused in (None, each.paused)]
    items = [AutomationOut(**AutomationOut.record(each)) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@router.post("/test", openapi_extra=BODIES.of(TestOtherIn, {"automation": EXAMPLE, "events": [_EVENT]}))
def try_out(raw: Raw, penstock: ThePenstock, user: Viewer) -> TestOut:
    """Say what an automation, which need not be there, would do about events. Nothing is done."""
    check_all(user)
    given = parsed(TestOtherIn, raw)
    return _tried(penstock.journal, automation_of(given.automation.name, given.automation.table()), given)


@router.get("/{name}", response_model=AutomationDetail, responses={304: {"description": "It is as it was."}})
def get(name: str, response: Response, penstock: ThePenstock, user: Viewer, if_none_match: IfNoneMatch = None) -> Any:
    """One automation, and what it remembers."""
    check_all(user)
    stored = service.find_automation(penstock.journal, name)
    response.headers["ETag"] = _tag(stored)
    if same := unchanged(if_none_match, _tag(stored)):
        return same
    groups = [each for each in penstock.journal.remembered(name) if each.group]
    remembered = [{"group": each.group, **each.state} for each in groups]
    reason = firings_of(penstock.journal, name, 0)[0] if stored.paused else None
    return AutomationDetail(**AutomationOut.record(stored), reason=reason, remembered=remembered)


@router.put("/{name}", openapi_extra=BODIES.of(AutomationChange, _CHANGE))
def update(
    name: str, response: Response, raw: Raw, penstock: ThePenstock, user: Editor, if_match: IfMatch = None
) -> AutomationOut:
    """Change an automation as a whole. What it has counted stays where its trigger does."""
    check_all(user)
    given = parsed(AutomationChange, raw)
    table = given.table()

    def edit(stored: StoredAutomation) -> Automation:
        check_meant(if_match, _tag(stored), f"The automation {name!r}")
        return automation_of(name, table, stored.spec.get("folder"))

    service.change(penstock.journal, name, edit)
    return _answer(penstock.journal, name, response)


@router.delete("/{name}", status_code=204)
def delete(name: str, penstock: ThePenstock, user: Editor, if_match: IfMatch = None) -> None:
    """Remove an automation; what its firings have begun goes on."""
    check_all(user)
    service.delete(
        penstock.journal, name, lambda stored: check_meant(if_match, _tag(stored), f"The automation {name!r}")
    )


@router.post("/{name}/pause")
def pause(name: str, response: Response, penstock: ThePenstock, user: Operator) -> AutomationOut:
    """Let it not fire; what it remembers is forgotten."""
    check_all(user)
    service.pause(penstock.journal, name)
    return _answer(penstock.journal, name, response)


@router.post("/{name}/resume")
def resume(name: str, response: Response, penstock: ThePenstock, user: Operator) -> AutomationOut:
    """Let it fire again, because of what happens from now on."""
    check_all(user)
    service.unpause(penstock.journal, name)
    return _answer(penstock.journal, name, response)


@router.get("/{name}/firings")
def firings(
    name: str, penstock: ThePenstock, user: Viewer, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Part[FiringOut]:
    """When it fired last, because of what, and what became of its actions."""
    check_all(user)
    service.find_automation(penstock.journal, name)
    found = firings_of(penstock.journal, name, limit)[1]
    return Part(items=[FiringOut.model_validate(each) for each in found], limit=limit, next=None)


@router.post("/{name}/test", openapi_extra=BODIES.of(TestIn, {"past": {"since": "2026-01-31T00:00:00Z"}}))
def rehearsal(name: str, raw: Raw, penstock: ThePenstock, user: Viewer) -> TestOut:
    """Say what it would do about events: given ones, or those that have happened. Nothing is done."""
    check_all(user)
    given = parsed(TestIn, raw)
    return _tried(penstock.journal, of_data(service.find_automation(penstock.journal, name).spec), given)


def _tried(journal: Journal, automation: Automation, given: TestIn) -> TestOut:
    if (given.events is None) == (given.past is None):
        raise Problem(422, "Say either events or past.", [("events", "these events, or `past`: those that happened")])
    events: Iterable[Mapping[str, Any]] = given.events or ()
    if given.past is not None:
        since = micros_of("past.since", given.past.since)
        until = micros_of("past.until", given.past.until)
        ends = now_us() if until is None else until
        events = past(journal, automation, since or 0, ends, given.past.limit)
    try:
        told = [ToldOut.model_validate(msgspec.to_builtins(each)) for each in rehearse(automation, events)]
    except ConfigurationError as error:
        raise Problem(422, error.message, [("events", error.message)], hint=error.hint) from None
    return TestOut(events=told, firings=sum(each.outcome == "fires" for each in told))
