"""A request comes in: it is looked at, kept, and only then acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.control.webhooks.deliveries import Deliveries, JournalDeliveries, Keeping, Kept, find_delivery
from penstock.control.webhooks.hooks import Hook
from penstock.control.webhooks.judging import Judged, admit, understand
from penstock.control.webhooks.registry import find_hook
from penstock.control.webhooks.requests import Refused, Request
from penstock.control.webhooks.signatures import Sender
from penstock.core.errors import DataError, NotRedelivered, WebhookNotFound
from penstock.core.events import now_us
from penstock.core.ids import new_run_id
from penstock.core.plans import Happened
from penstock.core.ports import Journal
from penstock.core.webhooks import ACCEPTED, DUPLICATE, FAILED, REFUSED, WebhookReceived
from penstock.engine.connections.secret import secret_of as secret_of

STATUS_CODES = {
    "unknown": 404, "off": 404, "method": 405, "too-large": 413, "address": 403, "signature": 401, "timestamp": 401,
    "headers": 400, "secrets": 503, "rate": 429, "content-type": 415, "body": 400, "schema": 422,
    "template": 422, "event": 422,
}  # fmt: skip
"""What a server answers, by the reason of a refusal."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request.

    Attributes:
        status: accepted, duplicate, refused, failed.
        status_code: what a server answers; 202 and 200 are said after it was stored.
        id: of the delivery that was recorded; None where nothing was.
        delivery: the sender's own id of it.
        reason: why it was not accepted: a word.
        message: the same for people.
        events: what it says has happened.
        answer: the text that the sender wants as the answer.
    """

    status: str
    status_code: int
    id: str | None = None
    delivery: str | None = None
    reason: str | None = None
    message: str | None = None
    events: tuple[Happened, ...] = ()
    answer: str | None = None


class Receiver:
    """Receives what is sent to webhooks.

    Args:
        journal: has the webhooks, and gets the events.
        secret: gives the secret of a name.
        deliveries: keeps deliveries; the journal, where left out.
    """

    def __init__(self, journal: Journal, secret: Callable[[str], str], deliveries: Deliveries | None = None) -> None:
        self._journal = journal
        self._secret = secret
        self._deliveries = deliveries or JournalDeliveries(journal)

    def receive(self, slug: str, request: Request) -> Outcome:
        """Take a request in. When this returns that it is accepted, it is in the journal with its events.

        Raises:
            JournalError: it could not be stored; the sender is to try again.
        """
        try:
            hook = find_hook(self._journal, slug)
        except WebhookNotFound as error:
            return Outcome(status=REFUSED, status_code=404, reason="unknown", message=error.message)
        return receive(hook, request, self.secrets(hook, request.at), self._deliveries)

    def secrets(self, hook: Hook, at: int) -> list[str] | None:
        """The secrets that are valid at this time; None where one of them cannot be had."""
        try:
            return [self._secret(each.connection) for each in hook.secrets if each.valid(at)]
        except DataError:
            return None

    def redeliver(self, name: str) -> Outcome:
        """Make events of a kept delivery once more, as the webhook is now.

        One that was accepted is accepted a second time; one that was not, once, whoever delivers it again.

        Raises:
            DeliveryNotFound, WebhookNotFound: it is not there.
            NotRedelivered: nobody knows who sent it, so that nothing was kept that could be believed.
        """
        kept = find_delivery(self._journal, name)
        hook = find_hook(self._journal, kept.row.hook)
        if not kept.row.verified:
            raise NotRedelivered(
                f"The delivery {kept.row.id} was refused before it was known who sent it ({kept.row.reason}).",
                hint="let its sender send it again",
            )
        return again(hook, kept, self._deliveries)


class Decided(NamedTuple):
    """What becomes of a request.

    Attributes:
        outcome: what is said of it once it is kept.
        keeping: what is to be kept of it.
    """

    outcome: Outcome
    keeping: Keeping | None = None

    def settled(self, kept: bool) -> Outcome:
        """What is said of it, after it was kept or there was one like it."""
        if kept or self.outcome.status != ACCEPTED:
            return self.outcome
        told = "It was delivered before."
        return Outcome(status=DUPLICATE, status_code=200, delivery=self.outcome.delivery, message=told)


def receive(hook: Hook, request: Request, secrets: Sequence[str] | None, deliveries: Deliveries) -> Outcome:
    """Take a request to a webhook in; see `Receiver.receive`.

    Args:
        hook: the webhook.
        request: what came.
        secrets: those that are valid now; None where they cannot be had.
        deliveries: keeps it.
    """
    return keep([decide(hook, request, secrets, deliveries)], deliveries)[0]


def keep(decided: Sequence[Decided], deliveries: Deliveries) -> list[Outcome]:
    """Keep what is to be kept of requests, all at once, and say what became of each."""
    keeping = [each.keeping for each in decided if each.keeping is not None]
    kept = iter(deliveries.keep(keeping) if keeping else ())
    return [each.settled(each.keeping is None or next(kept)) for each in decided]


def decide(hook: Hook, request: Request, secrets: Sequence[str] | None, deliveries: Deliveries) -> Decided:
    """Look at a request to a webhook: whether it is accepted, and what it says. Nothing is kept yet."""
    sender: Sender | None = None
    try:
        if secrets is None:
            raise Refused("secrets", "A secret of this webhook cannot be read here.")
        sender = admit(hook, secrets, request)
        if not deliveries.turn(hook, request.at):
            raise Refused("rate", f"There are more than {hook.per_second:g} requests in a second.")
        judged = understand(hook, request, sender)
    except Refused as error:
        return _refused(hook, request, sender, error, deliveries)
    if judged.answer is not None:
        return Decided(Outcome(status=ACCEPTED, status_code=200, delivery=judged.delivery, answer=judged.answer))
    return _accepted(hook, request, judged, judged.delivery)


def again(hook: Hook, kept: Kept, deliveries: Deliveries) -> Outcome:
    """Make events of what was kept; see `Receiver.redeliver`."""
    sender = Sender(kept.row.delivery)
    request = msgspec.structs.replace(kept.request, at=now_us())
    try:
        judged = understand(hook, request, sender)
    except Refused as error:
        return keep([_refused(hook, request, sender, error, deliveries, kept.row.id)], deliveries)[0]
    once = None if kept.row.status == ACCEPTED else judged.delivery or f"again {kept.row.id}"
    return keep([_accepted(hook, request, judged, once, kept.row.id)], deliveries)[0]


def _accepted(hook: Hook, request: Request, judged: Judged, once: str | None, of: str | None = None) -> Decided:
    delivery = judged.delivery
    received = _received(hook, request, ACCEPTED, delivery, verified=True, again=of)
    outcome = Outcome(status=ACCEPTED, status_code=202, id=received.id, delivery=delivery, events=judged.events)
    return Decided(outcome, Keeping(received, judged.kept, judged.events, once))


def _refused(
    hook: Hook,
    request: Request,
    sender: Sender | None,
    error: Refused,
    deliveries: Deliveries,
    of: str | None = None,
) -> Decided:
    status = FAILED if error.failed else REFUSED
    told: dict[str, Any] = {"reason": error.reason, "message": error.message}
    delivery = sender.delivery if sender is not None else None
    keeping = None
    known = error.failed and hook.signature.scheme != "none"  # who may send is no flood
    if error.reason != "off" and (known or deliveries.refusal_turn(hook, request.at)):
        verified = sender is not None and error.reason != "rate"
        received = _received(hook, request, status, delivery, verified=verified, again=of, **told)
        keeping = Keeping(received, request.kept(hook.hidden, body=verified))
    recorded = keeping.received.id if keeping is not None else None
    code = STATUS_CODES[error.reason]
    return Decided(Outcome(status=status, status_code=code, id=recorded, delivery=delivery, **told), keeping)


def _received(hook: Hook, request: Request, status: str, delivery: str | None, **more: Any) -> WebhookReceived:
    return WebhookReceived(
        at=request.at,
        id=new_run_id(),
        hook=hook.slug,
        status=status,
        delivery=delivery,
        address=request.client,
        size=len(request.body),
        **more,
    )


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a request.

    Attributes:
        refused: why it would not be accepted: (reason, message).
        failed: why no event could be made of it.
        judged: what it says.
    """

    refused: tuple[str, str] | None = None
    failed: tuple[str, str] | None = None
    delivery: str | None = None
    events: tuple[Happened, ...] = ()
    answer: str | None = None


def rehearse(hook: Hook, request: Request, secrets: Sequence[str] | None, signed: bool = True) -> Rehearsal:
    """Look what would become of a request. Nothing is stored.

    Args:
        hook: the webhook.
        request: what would come.
        secrets: those that are valid; None where they cannot be had.
        signed: look at the signature and the address too.
    """
    refused, sender = None, Sender(None)
    try:
        if signed and secrets is None:
            raise Refused("secrets", "A secret of this webhook cannot be read here.")
        if signed:
            sender = admit(hook, secrets or (), request)
    except Refused as error:
        refused = (error.reason, error.message)
    try:
        judged = understand(hook, request, sender)
    except Refused as error:
        return Rehearsal(refused=refused, failed=(error.reason, error.message))
    return Rehearsal(refused=refused, delivery=judged.delivery, events=judged.events, answer=judged.answer)
