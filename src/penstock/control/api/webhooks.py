"""`/api/v1/webhooks` and `/api/v1/deliveries`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi import Request as Asked

from penstock.control import webhooks as service
from penstock.control.access import Editor, Operator, Viewer, check_all
from penstock.control.api.webhooks_models import (
    DeliveryDetail,
    DeliveryOut,
    HookChange,
    HookIn,
    HookOut,
    OutcomeOut,
    RehearsalOut,
    SampleIn,
)
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Page, Part
from penstock.control.problems import Problem
from penstock.control.webhooks import Hook, Receiver, Request
from penstock.control.webhooks.deliveries import delivery_of
from penstock.control.wiring import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    ThePenstock,
    TheShelf,
    check_meant,
    control_of,
    etag_for,
    tell_place,
    unchanged,
)
from penstock.core.ports import Journal
from penstock.core.webhooks import ACCEPTED, FAILED, REFUSED

router = APIRouter(tags=["webhooks"])
_TEMPLATE = '{"event": "git.{{ headers["x-github-event"] }}", "resource": "{{ body.repository.full_name }}"}'
_CHANGE = {
    "signature": {"scheme": "github"},
    "secrets": [{"connection": "git-hook"}],
    "template": _TEMPLATE,
    "description": "pushes to the shop",
}
EXAMPLE = {"slug": "git", **_CHANGE}
_SAMPLE = {"headers": {"X-GitHub-Event": "push"}, "body": {"repository": {"full_name": "ann/shop"}}}
_STATUSES = (ACCEPTED, REFUSED, FAILED)
_Skip = Annotated[int, Query(ge=0, le=1_000_000)]
_Limit = Annotated[int, Query(ge=1, le=500)]


def _answer(journal: Journal, slug: str, response: Response) -> HookOut:
    found = journal.webhooks(slug)
    if not found:
        raise service.WebhookNotFound(f"There is no webhook {slug!r}.")
    response.headers["ETag"] = _tag(service.hook_of(slug, found[0].spec))
    return HookOut.of(found[0])


def _tag(hook: Hook) -> str:
    return etag_for(service.spec_of(hook))


def _check(if_match: str | None, hook: Hook) -> None:
    check_meant(if_match, _tag(hook), f"The webhook {hook.slug!r}")


def _hook(asked: Asked, slug: str, given: dict[str, Any]) -> Hook:
    """A webhook that somebody sends; it may take no larger bodies than this server reads."""
    made, most = service.hook_of(slug, given), control_of(asked).settings.max_body_bytes
    if made.most_bytes > most:
        told = f"is more than the {most:,} bytes that this server takes; max_body_bytes of it says how many"
        raise service.BadWebhook(slug, [("most_bytes", told)])
    return made


@router.post("/webhooks", status_code=201, openapi_extra=BODIES.of(HookIn, EXAMPLE))
def create(
    asked: Asked, response: Response, raw: Raw, penstock: ThePenstock, user: Editor, key: IdempotencyKey
) -> HookOut:
    """Make a webhook. What its senders sign with are saved connections of the type `secret`, named here."""
    check_all(user)
    given = parsed(HookIn, raw)
    service.create(penstock.journal, _hook(asked, given.slug, given.given()), again=key is not None)
    tell_place(response, "webhooks", given.slug)
    return _answer(penstock.journal, given.slug, response)


@router.get("/webhooks")
def list_webhooks(
    penstock: ThePenstock,
    user: Viewer,
    skip: _Skip = 0,
    limit: _Limit = 50,
    text: Annotated[str, Query(max_length=200, description="part of the name")] = "",
    active: bool | None = None,
) -> Page[HookOut]:
    """List webhooks by name."""
    check_all(user)
    found = [
        each
        for each in penstock.journal.webhooks()
        if text in each.name and active in (None, each.spec.get("active", True))
    ]
    items = [HookOut.of(each) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@router.get("/webhooks/{slug}", response_model=HookOut, responses={304: {"description": "It is as it was."}})
def get(slug: str, response: Response, penstock: ThePenstock, user: Viewer, if_none_match: IfNoneMatch = None) -> Any:
    """One webhook."""
    check_all(user)
    found = _answer(penstock.journal, slug, response)
    return unchanged(if_none_match, response.headers["ETag"]) or found


@router.put("/webhooks/{slug}", openapi_extra=BODIES.of(HookChange, _CHANGE))
def update(
    slug: str, asked: Asked, response: Response, raw: Raw, penstock: ThePenstock, user: Editor, if_match: IfMatch = None
) -> HookOut:
    """Change a webhook as a whole. Every request from now on is seen by what it is then.

    What is left out is as it is in a new webhook; `active` alone stays as it was.
    """
    check_all(user)
    given = parsed(HookChange, raw).given()
    after = _hook(asked, slug, given)

    def edit(before: Hook) -> Hook:
        _check(if_match, before)
        return after if "active" in given else msgspec.structs.replace(after, active=before.active)

    service.change(penstock.journal, slug, edit)
    return _answer(penstock.journal, slug, response)


@router.delete("/webhooks/{slug}", status_code=204)
def delete(slug: str, penstock: ThePenstock, user: Editor, if_match: IfMatch = None) -> None:
    """Remove a webhook. What came to it stays on record until it is old."""
    check_all(user)
    service.delete(penstock.journal, slug, lambda before: _check(if_match, before))


@router.post("/webhooks/{slug}/enable")
def enable(slug: str, response: Response, penstock: ThePenstock, user: Operator) -> HookOut:
    """Let it accept requests."""
    return _switched(slug, True, response, penstock.journal, user)


@router.post("/webhooks/{slug}/disable")
def disable(slug: str, response: Response, penstock: ThePenstock, user: Operator) -> HookOut:
    """Let it accept nothing. Senders are told that there is no such webhook."""
    return _switched(slug, False, response, penstock.journal, user)


def _switched(slug: str, active: bool, response: Response, journal: Journal, user: Operator) -> HookOut:
    check_all(user)
    service.change(journal, slug, lambda before: msgspec.structs.replace(before, active=active))
    return _answer(journal, slug, response)


@router.post("/webhooks/{slug}/dry-run", openapi_extra=BODIES.of(SampleIn, _SAMPLE))
def dry_run(slug: str, raw: Raw, penstock: ThePenstock, shelf: TheShelf, user: Viewer) -> RehearsalOut:
    """Say what would become of a request: whether it is accepted, and which events it makes. Nothing is stored."""
    check_all(user)
    sample = parsed(SampleIn, raw)
    hook = service.find_hook(penstock.journal, slug)
    request = _request(slug, sample)
    receiver = Receiver(penstock.journal, service.secret_of(shelf.load))
    secrets = receiver.secrets(hook, request.at) if sample.signed else []
    return RehearsalOut.of(service.rehearse(hook, request, secrets, signed=sample.signed))


def _request(slug: str, sample: SampleIn) -> Request:
    headers = _pairs(sample.headers)
    body = sample.body
    if isinstance(body, str):
        data = body.encode("utf-8", "surrogatepass")
    else:
        data = b"" if body is None else msgspec.json.encode(body)
        if data and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", "application/json"))
    return Request(
        method=sample.method,
        path=f"/hooks/{slug}",
        headers=tuple(headers),
        query=tuple(_pairs(sample.query)),
        body=data,
        client=sample.client,
    )


def _pairs(given: Mapping[str, str | list[str]]) -> list[tuple[str, str]]:
    several = {name: [value] if isinstance(value, str) else value for name, value in given.items()}
    return [(name, value) for name, values in several.items() for value in values]


@router.get("/deliveries")
def list_deliveries(
    penstock: ThePenstock,
    user: Viewer,
    webhook: Annotated[str | None, Query(max_length=100)] = None,
    status: Annotated[str | None, Query(description=", ".join(_STATUSES))] = None,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the part before")] = None,
    limit: _Limit = 50,
) -> Part[DeliveryOut]:
    """List what came to webhooks, the newest first: what became of it, and why."""
    check_all(user)
    if status is not None and status not in _STATUSES:
        raise Problem(422, "There is no such status.", [("query.status", f"there are {', '.join(_STATUSES)}")])
    found = penstock.journal.deliveries(webhook, status, cursor, limit + 1)
    items = [DeliveryOut(**DeliveryOut.record(each)) for each in found[:limit]]
    return Part(items=items, limit=limit, next=items[-1].id if len(found) > limit else None)


@router.get("/deliveries/{delivery_id}")
def get_delivery(delivery_id: str, penstock: ThePenstock, user: Viewer) -> DeliveryDetail:
    """One delivery, with its request as far as that is kept, and the events it was made into."""
    check_all(user)
    return DeliveryDetail.of(delivery_of(penstock.journal, delivery_id))


@router.post("/deliveries/{delivery_id}/redeliver")
def redeliver(delivery_id: str, penstock: ThePenstock, shelf: TheShelf, user: Operator) -> OutcomeOut:
    """Make events of a delivery once more, as its webhook is now."""
    check_all(user)
    kept = delivery_of(penstock.journal, delivery_id)
    receiver = Receiver(penstock.journal, service.secret_of(shelf.load))
    return OutcomeOut.of(receiver.redeliver(kept.row.id))
