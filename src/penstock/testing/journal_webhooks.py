"""How a journal must keep webhooks and their deliveries: listed as they came, and gone with their events."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from typing import Any

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.plans import Happened
from penstock.core.ports import Journal
from penstock.core.webhooks import StoredDelivery, StoredWebhook, WebhookDeclared, WebhookDeleted, WebhookReceived
from penstock.testing.openings import Openings
from penstock.testing.samples import HOSTILE, refused, shown


def received(number: int, hook: str = "shop", status: str = "accepted", **more: Any) -> WebhookReceived:
    """A delivery, by its number."""
    return WebhookReceived(at=number, id=f"d{number:03}", hook=hook, status=status, **more)


def stream(number: int) -> str:
    """Where it is told."""
    return f"event/webhook/shop/{number}"


def tell(journal: Journal, *events: WebhookReceived) -> None:
    """Each in a stream of its own, with an event that was made of it."""
    for event in events:
        records = [Record(event, b"POST"), Record(Happened(at=event.at, name="order.paid"))]
        journal.append(stream(event.at), 0, records)


class WebhookDuties(Openings):
    """Webhooks and deliveries."""

    def test_no_webhooks_yet(self) -> None:
        journal = self.opened()
        assert journal.webhooks() == journal.webhooks("shop") == []
        assert journal.deliveries() == journal.deliveries("shop", "refused") == []

    def test_webhooks_are_listed_as_they_were_declared_last(self) -> None:
        journal = self.opened()
        journal.append("webhook/shop", 0, [Record(WebhookDeclared(at=1, name="shop", spec={"a": 1}))])
        journal.append("webhook/api", 0, [Record(WebhookDeclared(at=2, name="api", spec={"b": HOSTILE["emoji"]}))])
        journal.append("webhook/shop", 1, [Record(WebhookDeclared(at=3, name="shop", spec={"a": [2, None]}))])
        shop = StoredWebhook(name="shop", spec={"a": [2, None]}, declared_at=3)
        api = StoredWebhook(name="api", spec={"b": HOSTILE["emoji"]}, declared_at=2)
        assert self.again(journal).webhooks() == [api, shop]
        assert journal.webhooks("shop") == [shop]
        journal.append("webhook/shop", 2, [Record(WebhookDeleted(at=4, name="shop"))])
        assert journal.webhooks() == [api]

    def test_a_delivery_is_listed_whole(self) -> None:
        journal = self.opened()
        more: dict[str, Any] = {"delivery": "evt_1", "address": "10.0.0.1", "size": 1 << 40}
        more |= {"verified": True, "again": "d000"}
        tell(journal, received(1, **more), received(2, status="refused", reason="signature", message="It is wrong."))
        nothing: dict[str, Any] = dict.fromkeys(("delivery", "reason", "message", "address", "again"))
        common: dict[str, Any] = {"hook": "shop", "size": 0, "verified": False, **nothing}
        first = {**common, "id": "d001", "stream": stream(1), "at": 1, "status": "accepted", **more}
        told: dict[str, Any] = {"reason": "signature", "message": "It is wrong."}
        second = {**common, "id": "d002", "stream": stream(2), "at": 2, "status": "refused", **told}
        assert self.again(journal).deliveries() == [StoredDelivery(**second), StoredDelivery(**first)]
        assert [stored.data for stored in journal.load(stream(1))] == [b"POST", None]

    def test_deliveries_are_found_and_paged(self) -> None:
        journal = self.opened()
        tell(
            journal, *(received(n, "api" if n % 2 else "shop", "failed" if n % 3 else "accepted") for n in range(1, 9))
        )
        tell(journal, received(9, delivery="evt_%_9"))
        assert [each.id for each in journal.deliveries(limit=3)] == ["d009", "d008", "d007"]
        assert [each.id for each in journal.deliveries(before="d007", limit=2)] == ["d006", "d005"]
        assert [each.id for each in journal.deliveries("api")] == ["d007", "d005", "d003", "d001"]
        assert [each.id for each in journal.deliveries("shop", "accepted")] == ["d009", "d006"]
        assert [each.id for each in journal.deliveries(status="failed", limit=1)] == ["d008"]
        assert [each.id for each in journal.deliveries(named="08")] == ["d008"]
        assert [each.id for each in journal.deliveries(named="evt_%_9")] == ["d009"]
        assert journal.deliveries(named="%") == journal.deliveries(named="d___") == []

    def test_what_senders_really_send(self) -> None:
        journal = self.opened()
        for number, text in enumerate(HOSTILE.values(), start=1):
            tell(journal, received(number, delivery=text, address=text, message=text))
        found = list(reversed(journal.deliveries()))
        assert [shown(each.message or "") for each in found] == [shown(text) for text in HOSTILE.values()]

    def test_one_of_two_with_the_same_stream(self) -> None:
        journal = self.opened()
        tell(journal, received(1))
        with refused(SequenceConflict):
            journal.append(stream(1), 0, [Record(received(2))])
        assert [each.id for each in journal.deliveries()] == ["d001"]

    def test_a_delivery_leaves_with_its_events(self) -> None:
        journal = self.opened()
        tell(journal, received(1), received(2), received(3))
        found = self.settled(journal, 0, 6)
        assert journal.forget([each.position for each in found if each.stream != stream(2)][:3]) == 3
        assert [each.id for each in journal.deliveries()] == ["d002"]
        journal.commit([Append(stream(1), 0, [Record(received(4))])])
        assert [each.id for each in journal.deliveries()] == ["d004", "d002"]
