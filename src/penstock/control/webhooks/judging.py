"""What a request is worth: whether it is accepted, and what it says has happened. Nothing here is stored or fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from penstock.control.webhooks.bodies import Body, bodies_of
from penstock.control.webhooks.hooks import Hook, check_address
from penstock.control.webhooks.requests import Refused, Rendered, Request
from penstock.control.webhooks.schemas import check_schema
from penstock.control.webhooks.signatures import Sender, verify
from penstock.control.webhooks.templates import template_of
from penstock.core.errors import BadEvent
from penstock.core.plans import Happened
from penstock.orchestrator.emitting import happened

MOST_EVENTS = 1000


class Judged(NamedTuple):
    """What a request says.

    Attributes:
        delivery: the sender's id of it; None where it has none, so that a second one cannot be told from it.
        kept: the request as it is kept.
        events: what has happened.
        answer: what the sender wants to hear, instead of an event: Slack asks so whether we are there.
    """

    delivery: str | None
    kept: Request
    events: tuple[Happened, ...] = ()
    answer: str | None = None


def admit(hook: Hook, secrets: Sequence[str], request: Request) -> Sender:
    """Whether a request may come in, by everything but what it says.

    Raises:
        Refused: it may not.
    """
    if not hook.active:
        raise Refused("off", f"The webhook {hook.slug} is switched off.")
    if request.method not in hook.methods:
        raise Refused("method", f"Requests are sent with {' or '.join(hook.methods)}, and not with {request.method}.")
    if len(request.body) > hook.most_bytes:
        raise Refused("too-large", f"The body has {len(request.body):,} bytes; {hook.most_bytes:,} are allowed.")
    check_address(hook, request)
    return verify(hook.signature, secrets, request)


def understand(hook: Hook, request: Request, sender: Sender) -> Judged:
    """What a request says has happened.

    Raises:
        Refused: it cannot be read, does not follow the schema, or the template makes no event of it.
    """
    bodies = bodies_of(request)
    if len(bodies) > MOST_EVENTS:
        raise Refused("body", f"The batch has {len(bodies):,} events; {MOST_EVENTS:,} are allowed.")
    delivery = sender.delivery or _delivery(hook, request, bodies)
    kept = request.kept(hook.hidden)
    first = bodies[0].value
    if hook.signature.scheme == "slack" and isinstance(first, dict) and first.get("type") == "url_verification":
        return Judged(delivery, kept, answer=str(first.get("challenge", "")))
    template = template_of(hook.template, hook.mapping)
    facts = {**kept.facts(), "hook": hook.slug, "delivery": delivery}
    made = []
    for body in bodies:
        check_schema(hook.schema, body.value)
        of_body = {"body": body.value, "kind": body.kind, "cloudevent": body.cloudevent}
        made.append(_happened(template.render({**facts, **of_body}), request.at))
    return Judged(delivery, kept, tuple(made))


def _happened(rendered: Rendered, at: int) -> Happened:
    try:
        return happened(rendered.event, rendered.resource, rendered.payload, at)
    except BadEvent as error:
        raise Refused("event", f"{error.message} Let the template choose what is needed.", failed=True) from None


def _delivery(hook: Hook, request: Request, bodies: Sequence[Body]) -> str | None:
    """The sender's id of a delivery where it is in the body, or the body itself."""
    value: Any = bodies[0].value
    field = {"slack": "event_id", "stripe": "id"}.get(hook.signature.scheme)
    if field is not None and isinstance(value, dict) and isinstance(value.get(field), str) and value[field]:
        return str(value[field])
    if hook.signature.scheme == "slack":
        time = (request.header("X-Slack-Request-Timestamp") or "").encode()
        return hashlib.sha256(time + b":" + request.body).hexdigest()
    event = bodies[0].cloudevent
    if event is not None and len(bodies) == 1:
        return f"{event['source'].replace(' ', '%20')} {event['id']}"  # which of them a space is of, is clear
    return None
