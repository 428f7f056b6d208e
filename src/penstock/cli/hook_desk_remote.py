"""What `hook_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import fields

from penstock.cli.hook_desk import Declared
from penstock.control import webhooks
from penstock.control.webhooks import Hook, Outcome, Rehearsal, Request
from penstock.control.webhooks.deliveries import Kept
from penstock.core.clock import micros
from penstock.core.errors import ConfigurationError
from penstock.core.plans import Happened
from penstock.core.webhooks import StoredDelivery
from penstock.remote import Client
from penstock.remote.calls import MOST, first
from penstock.remote.resources import webhooks as told


class RemoteHooks:
    """The webhooks of a server; see `LocalHooks`."""

    def __init__(self, client: Client) -> None:
        self._all = client.webhooks
        self._connections = client.connections

    def all(self) -> Sequence[Hook]:
        """See `LocalHooks`."""
        return [_hook(each) for each in self._all.list()]

    def get(self, name: str) -> Hook:
        """See `LocalHooks`."""
        return _hook(self._all.get(name))

    def declare(self, hook: Hook, overwrite: bool) -> Declared:
        """See `LocalHooks`."""
        given = webhooks.spec_of(hook)
        change = {name: value for name, value in given.items() if name != "slug"}
        again = overwrite and any(each.slug == hook.slug for each in self._all.list(text=hook.slug))
        if again:
            self._all.update(hook.slug, change)
        else:
            self._all.create(given)
        saved = {each.name for each in self._connections.list()} if hook.secrets else set()
        return Declared(again, [each.connection for each in hook.secrets if each.connection not in saved])

    def delete(self, name: str) -> None:
        """See `LocalHooks`."""
        self._all.delete(name)

    def rehearse(self, name: str, request: Request, signed: bool) -> Rehearsal:
        """See `LocalHooks`."""
        try:
            body = request.body.decode()
        except UnicodeDecodeError:
            raise ConfigurationError(
                "The body is not UTF-8, and a server is sent samples as text.", hint="test it where the server is"
            ) from None
        headers: dict[str, list[str]] = {}
        for header, value in request.headers:
            headers.setdefault(header, []).append(value)
        sample = {"method": request.method, "headers": headers, "body": body, "client": request.client}
        found = self._all.dry_run(name, {**sample, "signed": signed})
        return Rehearsal(
            refused=_why(found.refused),
            failed=_why(found.failed),
            delivery=found.delivery,
            events=_events(found.events),
            answer=found.answer,
        )

    def deliveries(self, name: str | None, status: str | None, limit: int) -> Sequence[StoredDelivery]:
        """See `LocalHooks`."""
        every = first(limit, lambda page: self._all.deliveries(name, status=status, limit=page))
        found = [_row(each) for each in every]
        if name is not None and not found:
            self._all.get(name)
        return found

    def delivery(self, ident: str) -> Kept:
        """See `LocalHooks`."""
        found = self._all.delivery(self._meant(ident))
        sent = found.request
        request = Request(
            method=sent.method,
            path=sent.path,
            headers=tuple(sent.headers),
            query=tuple(sent.query),
            body=sent.body.encode(),
            client=found.address,
        )
        return Kept(_row(found), request, _events(found.events))

    def redeliver(self, ident: str) -> Outcome:
        """See `LocalHooks`."""
        found = self._all.redeliver(self._meant(ident))
        rest = {"id": found.id, "reason": found.reason, "message": found.message}
        return Outcome(status=found.status, status_code=200, events=_events(found.events), **rest)

    def _meant(self, ident: str) -> str:
        """The whole id of one of the last deliveries: of the id that its sender gave it, or of the end of its own."""
        lately = first(MOST, lambda page: self._all.deliveries(limit=page)) if ident else []
        sent = [each.id for each in lately if each.delivery == ident]
        found = sent or [each.id for each in lately if each.id.endswith(ident)]
        return found[0] if len(found) == 1 else ident


def _hook(each: told.Webhook) -> Hook:
    given = _said(msgspec.to_builtins(each), Hook)
    given["signature"] = _said(each.signature, webhooks.Signature)
    given.pop("slug")
    return webhooks.hook_of(each.slug, given)


def _said(told: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a kind of thing that somebody has said something else of than what goes without saying."""
    found = {}
    for field in fields(kind):
        usual = field.default if field.default is not msgspec.NODEFAULT else msgspec.UNSET
        value = told.get(field.name, usual)
        if usual is msgspec.UNSET or value != msgspec.json.decode(msgspec.json.encode(usual)):
            found[field.name] = value
    return found


def _why(each: told.Why | None) -> tuple[str, str] | None:
    return (each.reason, each.message) if each is not None else None


def _events(found: Sequence[told.HookEvent]) -> tuple[Happened, ...]:
    return tuple(Happened(at=0, name=each.event, about=each.resource, facts=each.payload) for each in found)


def _row(each: told.Delivery) -> StoredDelivery:
    return StoredDelivery(
        id=each.id,
        hook=each.webhook,
        stream="",
        at=micros(each.at),
        status=each.status,
        delivery=each.delivery,
        reason=each.reason,
        message=each.message,
        address=each.address,
        size=each.size,
        verified=each.verified,
        again=each.again,
    )
