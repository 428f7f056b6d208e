"""Automations on PostgreSQL, where events are held back while others could precede them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from tests.patience import undisturbed, until_settled
from tests.unit.automations_oracle import Play, check, histories

from penstock.automations import Automation, EmitEvent, Trigger
from penstock.core.events import Record
from penstock.core.plans import AutomationFired, Happened
from penstock.journal.postgres import PostgresJournal
from penstock.journal.postgres.server import settings_sql
from penstock.journal.sql import TABLES
from penstock.orchestrator.automations import Automations, declare
from penstock.orchestrator.emitting import emit

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(postgres_url: str) -> Iterator[PostgresJournal]:
    found = PostgresJournal(postgres_url)
    assert found.head() == 0  # its tables are there now
    yield found
    found.close()


class SettledPlay(Play):
    """Each turn sees all there is."""

    def turn(self, which: int) -> None:
        undisturbed(self.journal, lambda: super(SettledPlay, self).turn(which))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
def test_every_match_fires_once(journal: PostgresJournal, postgres_url: str, history: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        connection.execute(f"TRUNCATE {', '.join(TABLES)}".encode())
    play = SettledPlay(journal)
    play.play(history)
    until_settled(journal)
    check(journal, play.clock.at, journal.read(0, 100_000))


def test_an_event_that_is_held_back_is_taken_into_account_later(journal: PostgresJournal, postgres_url: str) -> None:
    """While a transaction is open that began before, it is not read."""
    declare(journal, Automation(name="it", trigger=Trigger(event="go"), actions=(EmitEvent("done", "{about}"),)))
    looks = Automations(journal, {})
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_current_xact_id()")
        emit(journal, "go", "early")
        assert not journal.settled()
        looks.turn()
        assert _fired(journal) == []
        other.commit()
    until_settled(journal)
    looks.settle()
    until_settled(journal)
    assert _fired(journal) == ["early"]


def test_no_silence_while_something_is_held_back(journal: PostgresJournal, postgres_url: str) -> None:
    trigger = Trigger(event="beat", missing_seconds=10)
    declare(journal, Automation(name="it", trigger=trigger, actions=(EmitEvent("done", "{since}"),)))
    until_settled(journal)
    looks = Automations(journal, {})
    looks.settle()
    (declared,) = journal.read(0, 10, ("AutomationDeclared",))
    start = declared.event.at
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_current_xact_id()")
        journal.append("event/a", 0, [Record(Happened(at=start + 9_000_000, name="beat"))])
        looks.turn(start + 15_000_000)
        other.commit()
    until_settled(journal)
    looks.settle(start + 15_000_000)
    until_settled(journal)
    assert _fired(journal) == []
    undisturbed(journal, lambda: looks.settle(start + 20_000_000))
    until_settled(journal)
    assert len(_fired(journal)) == 1


def _fired(journal: PostgresJournal) -> list[Any]:
    found = [stored.event for stored in journal.read(0, 1000)]
    return [event.facts.get("about") for event in found if isinstance(event, AutomationFired)]
