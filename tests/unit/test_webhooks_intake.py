"""Many requests to webhooks at once: kept together, at little cost, and refused where there are too many."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from penstock.control.webhooks import Hook, Request, Signature, create, declare
from penstock.control.webhooks.current import Known
from penstock.control.webhooks.intake import Busy, Intake
from penstock.core.errors import JournalUnavailable
from penstock.core.plans import Happened
from penstock.journal import MemoryJournal

SECRET = "open sesame"


class Counted(MemoryJournal):
    """It counts how often it is asked and written to, and can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.written, self.gone = 0, 0, False

    def last_seq(self, stream: str) -> int:
        self.asked += 1
        return super().last_seq(stream)

    def webhooks(self, name: str | None = None) -> list[Any]:
        self.asked += 1
        return super().webhooks(name)

    def commit(self, appends: Any, cursor: Any = None) -> None:
        if self.gone:
            raise JournalUnavailable("It cannot be reached.")
        self.written += 1
        super().commit(appends, cursor)


def sent(number: int, **more: Any) -> Request:
    return Request(headers=(("Idempotency-Key", f"d{number}"),), **more)


def test_those_that_wait_are_kept_together() -> None:
    journal = Counted()
    create(journal, Hook(slug="open", signature=Signature("none")))
    intake = Intake(Known(journal, lambda name: SECRET))
    gate, first = threading.Event(), intake.receive_all

    def held(requests: Any) -> Any:
        gate.wait(10)
        return first(requests)

    intake.receive_all = held  # type: ignore[method-assign]

    async def flood() -> list[Any]:
        waiting = [asyncio.ensure_future(intake.receive("open", sent(number % 50))) for number in range(100)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*waiting)

    journal.asked = 0
    found = asyncio.run(flood())
    assert [each.status for each in found].count("accepted") == 50
    assert [each.status for each in found].count("duplicate") == 50
    assert journal.written <= 3, "one transaction for all that waited"
    assert journal.asked <= 60, "what is known of a webhook is not asked for again for each request"
    assert len([each for each in journal.read(0, 1000) if isinstance(each.event, Happened)]) == 50


def test_known_things_cost_two_questions() -> None:
    journal = Counted()
    create(journal, Hook(slug="open", signature=Signature("none")))
    intake = Intake(Known(journal, lambda name: SECRET))
    intake.receive_all([("open", sent(0))])
    journal.asked = 0
    intake.receive_all([("open", sent(1))])
    assert journal.asked <= 2


def test_while_the_journal_is_away_nothing_is_acknowledged() -> None:
    journal = Counted()
    create(journal, Hook(slug="open", signature=Signature("none")))
    intake = Intake(Known(journal, lambda name: SECRET))
    journal.gone = True
    with pytest.raises(JournalUnavailable):
        asyncio.run(intake.receive("open", sent(1)))
    journal.gone = False
    assert asyncio.run(intake.receive("open", sent(1))).status == "accepted"


def test_too_many_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Counted()
    create(journal, Hook(slug="open", signature=Signature("none")))
    intake = Intake(Known(journal, lambda name: SECRET))
    monkeypatch.setattr("penstock.control.webhooks.intake.MOST_WAITING", 2)

    async def flood() -> list[Any]:
        return await asyncio.gather(*(intake.receive("open", sent(n)) for n in range(3)), return_exceptions=True)

    found = asyncio.run(flood())
    assert [isinstance(each, Busy) for each in found] == [False, False, True]


def test_what_is_large_or_slow_goes_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Counted()
    slow = "{% for i in range(900) %}{{ body|tojson }}{% endfor %}"
    create(journal, Hook(slug="slow", signature=Signature("none"), template=slow))
    intake = Intake(Known(journal, lambda name: SECRET))
    body = b"[" + b"1," * 40_000 + b"1]"
    json_type = (("Content-Type", "application/json"),)

    async def send(data: bytes) -> str:
        return (await intake.receive("slow", Request(headers=json_type, body=data))).status

    assert asyncio.run(send(body)) == "failed"
    assert "slow" in intake._slow
    assert asyncio.run(send(b"[2]")) == "failed"
    declare(journal, Hook(slug="slow", signature=Signature("none")), overwrite=True)
    monkeypatch.setattr("penstock.control.webhooks.intake._SLOW_SECONDS", 60.0)  # whatever else this machine does
    assert asyncio.run(send(b"[3]")) == "accepted"
    assert "slow" not in intake._slow, "it is another one now"
    assert asyncio.run(send(b'"' + b"x" * 200_000 + b'"')) == "failed", "an event has room for 64 KB"
