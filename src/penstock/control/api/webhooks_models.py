"""What goes over the wire about webhooks and what came to them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from penstock.control.models import Shape
from penstock.control.webhooks import Outcome, Rehearsal
from penstock.control.webhooks.deliveries import Kept
from penstock.core.clock import iso
from penstock.core.plans import Happened
from penstock.core.webhooks import StoredDelivery, StoredWebhook


class SignatureIn(Shape):
    """How a webhook knows its sender."""

    scheme: str = Field(description="github, gitlab, slack, stripe, standard, hmac, basic, bearer or none")
    tolerance_seconds: float = 300.0
    header: str | None = None
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    delivery_header: str | None = None


class HookSecretIn(Shape):
    """A secret by the name of the connection that holds it; several may be valid at once."""

    connection: str
    since: str | None = None
    until: str | None = None


class HookChange(Shape):
    """A webhook as it is to be."""

    signature: SignatureIn
    secrets: list[HookSecretIn] = Field([], description="names of saved connections of the type secret")
    template: str | None = Field(None, description="Jinja that makes an object with event, resource and payload")
    mapping: dict[str, Any] | None = Field(None, description="the same as an object with {facts} in its texts")
    json_schema: dict[str, Any] | None = Field(None, alias="schema", description="a JSON schema of bodies")
    allow: list[str] = Field([], description="networks from which requests may come")
    most_bytes: int = 1_000_000
    per_second: float | None = Field(None, description="so many requests in a second, over all servers")
    burst: int = Field(10, description="so many of them at once")
    per_second_each: float | None = Field(None, description="so many from one address, at each server")
    methods: list[str] = Field(["POST"], description="of requests")
    active: bool = True
    description: str | None = None

    def given(self) -> dict[str, Any]:
        """What was said of it, as webhooks know it."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class HookIn(HookChange):
    """A webhook to be made."""

    slug: str = Field(description="its name, and the end of its URL: lower-case letters, digits, - and _")


class HookOut(HookIn):
    """A webhook. Secrets are names; what they are is never shown."""

    path: str
    declared_at: str

    @classmethod
    def of(cls, stored: StoredWebhook) -> HookOut:
        """The answer for a webhook of the journal."""
        spec = {name: value for name, value in stored.spec.items() if name != "slug"}
        told = {"slug": stored.name, "path": f"/hooks/{stored.name}", "declared_at": iso(stored.declared_at)}
        return cls.model_validate({**spec, **told})


class SampleIn(Shape):
    """A request, to see what would become of it."""

    method: str = Field("POST", max_length=20)
    headers: dict[str, str | list[str]] = Field({})
    query: dict[str, str | list[str]] = Field({})
    body: Any = Field(None, description="a text is sent as it is, anything else as JSON")
    client: str = "127.0.0.1"
    signed: bool = Field(False, description="look at the signature, the address and the method too")


class EventOut(BaseModel):
    """An event that a request is made into."""

    event: str
    resource: str | None
    payload: dict[str, Any]

    @classmethod
    def of(cls, event: Happened) -> EventOut:
        """The answer for an event."""
        return cls(event=event.name, resource=event.about, payload=event.facts)


class Reason(BaseModel):
    """Why a request is not accepted."""

    reason: str
    message: str


class RehearsalOut(BaseModel):
    """What would become of a request."""

    accepted: bool
    refused: Reason | None
    failed: Reason | None
    delivery: str | None
    events: list[EventOut]
    answer: str | None

    @classmethod
    def of(cls, found: Rehearsal) -> RehearsalOut:
        """The answer for a rehearsal."""
        refused, failed = (
            Reason(reason=each[0], message=each[1]) if each is not None else None
            for each in (found.refused, found.failed)
        )
        return cls(
            accepted=refused is None and failed is None,
            refused=refused,
            failed=failed,
            delivery=found.delivery,
            events=[EventOut.of(each) for each in found.events],
            answer=found.answer,
        )


class DeliveryOut(BaseModel):
    """A request that came to a webhook."""

    id: str
    webhook: str
    at: str
    status: str
    delivery: str | None = Field(description="the id that its sender gave it")
    reason: str | None
    message: str | None
    address: str | None
    size: int
    verified: bool
    again: str | None = Field(description="the delivery that was delivered again")

    @classmethod
    def record(cls, row: StoredDelivery) -> dict[str, Any]:
        """A row of the journal, as data."""
        names = ("id", "status", "delivery", "reason", "message", "address", "size", "verified", "again")
        return {**{name: getattr(row, name) for name in names}, "webhook": row.hook, "at": iso(row.at)}


class SentOut(BaseModel):
    """A request as far as it is kept."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: str


class DeliveryDetail(DeliveryOut):
    """A delivery with its request, and what it was made into."""

    request: SentOut
    events: list[EventOut]

    @classmethod
    def of(cls, kept: Kept) -> DeliveryDetail:
        """The answer for a delivery of the journal."""
        request = kept.request
        sent = SentOut(
            method=request.method,
            path=request.path,
            headers=list(request.headers),
            query=list(request.query),
            body=request.body.decode("utf-8", "backslashreplace"),
        )
        return cls(**cls.record(kept.row), request=sent, events=[EventOut.of(each) for each in kept.events])


class OutcomeOut(BaseModel):
    """What became of a delivery that was delivered again."""

    status: str
    id: str | None
    reason: str | None
    message: str | None
    events: list[EventOut]

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeOut:
        """The answer for an outcome."""
        return cls(
            status=outcome.status,
            id=outcome.id,
            reason=outcome.reason,
            message=outcome.message,
            events=[EventOut.of(each) for each in outcome.events],
        )
