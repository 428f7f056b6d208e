"""Answers that are kept: never older than the request they are given for, on any of several servers, Redis or not."""

from __future__ import annotations

import random
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.conftest import service_url
from tests.integration.proxy import Proxy

from penstock.app import Penstock, Settings
from penstock.control import cache
from penstock.control.app import create_app
from penstock.control.cache import Cache, InProcess, InRedis, Store, cache_of
from penstock.control.settings import ServerSettings, load_server_settings
from penstock.core.errors import ConfigurationError
from penstock.core.events import Record, RunCreated
from penstock.core.ports import Journal
from penstock.journal import MemoryJournal, SqliteJournal
from penstock.journal.postgres import PostgresJournal

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


def made_run(journal: Journal, run_id: str, flow: str) -> None:
    journal.append(run_id, 0, [Record(RunCreated(at=1, flow=flow, name="n"))])


def counted(journal: Journal) -> dict[str, int]:
    return {each.flow: each.runs for each in journal.flows()}


Opened = Callable[[], Journal]


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens one journal again and again, as several servers do."""
    journals: list[Journal] = []
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None

    def make() -> Journal:
        journals.append(PostgresJournal(url) if url else SqliteJournal(tmp_path / "journal.db"))
        return journals[-1]

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture(params=["process", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Callable[[], Store]]:
    """Makes the store of a server."""
    made: list[Store] = []

    def make() -> Store:
        made.append(InRedis(service_url("redis")) if request.param == "redis" else InProcess())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("seed", range(3))
def test_no_answer_is_older_than_its_request(opened: Opened, store: Callable[[], Store], seed: int) -> None:
    rnd = random.Random(seed)
    journals = [opened() for _ in range(3)]
    servers = [Cache(journal, store()) for journal in journals]
    number = kept = 0
    truth: dict[str, int] = {}
    while number < 150 or kept <= 10:  # each commit on a PostgreSQL is another moment, those of other tests too
        number += 1
        assert number < 5000, "hardly any answer is kept"
        if rnd.random() < 0.3:
            flow = rnd.choice("abc")
            made_run(rnd.choice(journals), f"run-{seed}-{number}", flow)
            truth[flow] = truth.get(flow, 0) + 1
        else:
            place = rnd.randrange(3)
            calls: list[int] = []

            def make(place: int = place, calls: list[int] = calls) -> dict[str, int]:
                calls.append(1)
                return counted(journals[place])

            assert servers[place].of("flows", None, make) == truth
            kept += not calls


def test_no_answer_is_older_than_its_request_while_others_write(opened: Opened, store: Callable[[], Store]) -> None:
    shared = store()
    first = opened()
    servers = [Cache(opened(), shared) for _ in range(2)]
    done: dict[str, int] = {"a": 0, "b": 0}
    wrong: list[str] = []

    def write(flow: str) -> None:
        mine = opened()
        for number in range(40):
            made_run(mine, f"run-{flow}-{number}", flow)
            done[flow] = number + 1

    def read(server: Cache) -> None:
        journal = server._journal
        while min(done.values()) < 40 and not wrong:
            before = dict(done)
            found = server.of("flows", None, lambda: counted(journal))
            wrong.extend(f"{found} after {before}" for flow in before if found.get(flow, 0) < before[flow])

    threads = [threading.Thread(target=write, args=(flow,)) for flow in done]
    threads += [threading.Thread(target=read, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert counted(first) == {"a": 40, "b": 40}


def test_what_is_asked_otherwise_is_another_answer() -> None:
    journal = MemoryJournal()
    found = Cache(journal, InProcess())
    things: list[Any] = [1, 2, "1", None, [1], 1]
    assert [found.of("a", asked, partial(list, [asked])) for asked in things] == [
        [1], [2], ["1"], [None], [[1]], [1],
    ]  # fmt: skip
    assert found.of("b", 1, lambda: "other") == "other"


def test_two_journals_in_one_redis_do_not_meet(store: Callable[[], Store]) -> None:
    shared = store()
    for number in range(2):
        assert Cache(MemoryJournal(), shared).of("a", None, partial(int, number)) == number


def test_a_process_keeps_so_much() -> None:
    kept = InProcess(most=100)
    for number in range(20):
        kept.put(str(number), b"x" * 30)
        kept.get("0")
    assert [number for number in range(20) if kept.get(str(number))] == [0, 18, 19]
    kept.put("0", b"x" * 101)
    assert kept.get("0") is None
    kept.put("1", b"y")
    kept.put("1", b"z")
    assert kept.get("1") == b"z"


def test_it_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT_SECONDS", 0)
    kept = InProcess()
    kept.put("a", b"x")
    assert kept.get("a") is None


def test_a_redis_that_is_away_is_no_error() -> None:
    with socket.socket() as nobody:  # somebody listens, and never answers
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(8)
        journal = MemoryJournal()
        found = cache_of(journal, f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        calls: list[int] = []

        def make() -> dict[str, int]:
            calls.append(1)
            return counted(journal)

        assert found.of("flows", None, make) == {}
        assert found.of("flows", None, make) == {}
        assert len(calls) == 1  # it was kept here meanwhile
        made_run(journal, "r1", "a")
        assert found.of("flows", None, make) == {"a": 1}
        found.store.close()


def test_a_redis_that_comes_and_goes_makes_no_answer_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_REST_SECONDS", 0.0)
    address = urlsplit(service_url("redis"))
    proxy = Proxy(address.hostname or "", address.port or 0)
    rnd = random.Random(7)
    journal = MemoryJournal()
    servers = [cache_of(journal, f"redis://127.0.0.1:{proxy.port}/0") for _ in range(2)]
    lost = cache.DOWN.value()
    for number in range(120):
        if rnd.random() < 0.2:
            proxy.mode = rnd.choice(["lose request", "lose answer"])  # type: ignore[arg-type]
        if rnd.random() < 0.3:
            made_run(journal, f"run-{number}", rnd.choice("abc"))
        assert rnd.choice(servers).of("flows", None, partial(counted, journal)) == counted(journal)
    assert cache.DOWN.value() > lost
    for each in servers:
        each.store.close()
    proxy.close()


def test_the_address_of_a_redis() -> None:
    with pytest.raises(ConfigurationError, match="no address of a Redis"):
        load_server_settings({"PENSTOCK_SERVER_REDIS_URL": "http://127.0.0.1"})


def test_flows_are_told_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    apps = [Penstock(Settings(home=str(tmp_path / "home"), log_console=False)) for _ in range(2)]
    clients: list[Any] = [
        TestClient(create_app(app, ServerSettings()), base_url="http://127.0.0.1:4300/api/v1") for app in apps
    ]
    for number in range(4):
        made_run(apps[number % 2].journal, f"run-{number}", "a")
        for _ in range(2):
            told = [client.get("/flows").json()[0]["runs"] for client in clients]
            assert told == [number + 1] * 2
    for app in apps:
        app.close()
