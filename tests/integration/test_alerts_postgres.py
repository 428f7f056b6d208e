"""Alerts with the journal in PostgreSQL: silences, groups, threads and another try, with hostile texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.alert_sites import HOSTILE, Stand, Told
from tests.unit.api_server import Api, Reply, api

from penstock.connections import WebhookConnection
from penstock.core.clock import clock_of
from penstock.core.ports import Journal
from penstock.core.secrets import Secret
from penstock.journal.postgres import PostgresJournal
from penstock.orchestrator import outbox, silences
from penstock.orchestrator.channels import Threads

pytestmark = pytest.mark.integration
NASTY = f"{HOSTILE} \x00 \ud800 %s ' \" \\ {'é' * 300}"


@pytest.fixture
def journal(postgres_url: str) -> Iterator[Journal]:
    found = PostgresJournal(postgres_url)
    yield found
    found.close()


@pytest.fixture
def site() -> Iterator[Api]:
    with api(lambda request: Reply(status=204)) as found:
        yield found


def test_what_is_told_and_what_is_not(journal: Journal, site: Api) -> None:
    clock = Stand()
    table = {"channels": {"a": {"type": "webhook", "connection": "a", "group_seconds": 60, "group_by": "about"}}}
    connection = WebhookConnection(url=Secret(f"{site.url}/a"), timeout_seconds=5)
    with clock_of(clock):
        world = Told(clock, table, {"a": connection}, journal)
        world.on("a", title="{facts.word}")
        quiet = silences.start(journal, {"facts.word": "quiet*"}, 3600, reason=NASTY, by=NASTY)
        for word in (NASTY.replace("\ud800", ""), "one", "quiet-1", "two"):
            world.emit(word)
        world.settle()
        world.settle(61)
        assert [request.json["data"].get("count", 1) for request in site.asked] == [1, 2]
        assert "alert(1)" in site.asked[0].json["data"]["message"]
        states = [each.state for each in outbox.alerts_of(journal)]
        assert sorted(states) == ["silenced", "told", "told", "told"]
        assert silences.end(journal, quiet.id)
        site.site = lambda request: Reply(status=403, body=NASTY.encode("utf-8", "replace"))
        world.emit("three")
        world.settle(1000)
        world.settle(100)
        (failed,) = outbox.alerts_of(journal, ("failed",))
        assert "answered 403" in (failed.error or "")
        site.site = lambda request: Reply(status=204)
        outbox.retry(journal, failed.id)
        world.settle(100)
        assert len(outbox.alerts_of(journal, ("told",))) == 4


def test_threads(journal: Journal) -> None:
    threads = Threads(journal, "team")
    threads.keep(HOSTILE, "1.0")
    threads.keep("r2", "2.0")
    assert (Threads(journal, "team").get(HOSTILE), threads.get("r2"), threads.get("r3")) == ("1.0", "2.0", None)
