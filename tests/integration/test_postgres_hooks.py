"""Webhooks on PostgreSQL: two servers on one database, and a database that goes away while requests come."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import missing
from tests.integration.own_server import OwnServer

from penstock.app import Penstock, load_settings
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.core.plans import Happened
from penstock.core.ports import Journal
from penstock.engine.connections.secret import SecretConnection

pytestmark = pytest.mark.integration
HOOK = {"slug": "open", "signature": {"scheme": "bearer", "delivery_header": "X-Id"}, "secrets": [{"connection": "s"}]}


def penstock_on(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Penstock:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", url)
    return Penstock(load_settings())


def push(client: httpx.Client, number: int, secret: str = "sesame") -> int:
    headers = {"Authorization": f"Bearer {secret}", "X-Id": str(number)}
    return client.post("/hooks/open", json={"n": number}, headers=headers).status_code


def happened(journal: Journal) -> list[int]:
    events = [each.event for each in journal.read_back(None, 100_000, ("Happened",))]
    return sorted(event.facts["body"]["n"] for event in events if isinstance(event, Happened))


def test_two_servers_on_one_database(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        both = [penstock_on(postgres_url, tmp_path, monkeypatch) for _ in range(2)]
        for each in both:
            stack.callback(each.close)
        with both[0].activate():
            SecretConnection(value="sesame").save("s")
            urls = [stack.enter_context(serving(each, ServerSettings(port=0))) for each in both]
            one, two = (stack.enter_context(httpx.Client(base_url=url, timeout=30)) for url in urls)
            assert one.post("/api/v1/webhooks", json=HOOK).status_code == 201
            answers: list[int] = []

            def send(client: httpx.Client, numbers: Sequence[int]) -> None:
                answers.extend(push(client, number) for number in numbers)

            threads = [threading.Thread(target=send, args=(client, range(60))) for client in (one, two, one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (answers.count(202), answers.count(200)) == (60, 180), "each is one, whoever gets it first"
            assert happened(both[0].journal) == list(range(60))
            SecretConnection(value="another").save("s", overwrite=True)
            assert [push(each, 100) for each in (one, two)] == [401, 401], "what one changes counts for both at once"
            assert one.post("/api/v1/webhooks/open/disable").status_code == 200
            assert push(two, 101, "another") == 404


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    folder = tmp_path_factory.mktemp("server")
    server = OwnServer(folder)
    try:
        server.start()
    except subprocess.CalledProcessError:
        reason = folder / "postgres.reason"
        missing(reason.read_text().strip() if reason.is_file() else "no PostgreSQL server can be started here")
    yield server
    server.purge()


@pytest.mark.chaos
def test_a_database_that_restarts_while_it_rains(
    own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        penstock = penstock_on(own_server.url, tmp_path, monkeypatch)
        stack.callback(penstock.close)
        stack.enter_context(penstock.activate())
        SecretConnection(value="sesame").save("s")
        url = stack.enter_context(serving(penstock, ServerSettings(port=0)))
        client = stack.enter_context(httpx.Client(base_url=url, timeout=120))
        assert client.post("/api/v1/webhooks", json=HOOK).status_code == 201
        accepted, statuses = rained(client, own_server.crash, own_server.stop, own_server.start)
        assert statuses <= {200, 202, 503}, "nothing but what a sender understands"
        assert set(accepted) <= set(happened(penstock.journal)), "what was acknowledged is there"
        events = happened(penstock.journal)
        assert len(events) == len(set(events)), "and there once"
        assert push(client, 10**6) == 202


def rained(client: httpx.Client, *disturbances: Callable[[], Any]) -> tuple[list[int], set[int]]:
    """Send until it is over, and a while longer; each until it is accepted. What was, and all that was answered."""
    accepted: list[int] = []
    statuses: set[int] = set()
    over = threading.Event()
    begun = threading.Event()

    def send(first: int) -> None:
        left, number = 10, first
        while left:
            status = push(client, number)
            statuses.add(status)
            if status in (200, 202):
                accepted.append(number)
                number += 4
                begun.set()
                left -= over.is_set()

    threads = [threading.Thread(target=send, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    try:
        begun.wait(60)
        for disturb in disturbances:
            disturb()
    finally:
        over.set()
    for thread in threads:
        thread.join()
    return accepted, statuses
