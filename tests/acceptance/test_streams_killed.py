"""Streams over servers that are killed, over two servers, and over a database that goes away."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.integration.own_server import OwnServer
from tests.unit.listening import Heard, complete_steps, log, messages, numbers, parsed

from penstock.core.events import Record, RunCompleted
from penstock.core.ports import Journal
from penstock.journal import SqliteJournal
from penstock.testing.journal_search import born

pytestmark = pytest.mark.acceptance
__all__ = ["place"]
_ROUNDS = 40


class Listener:
    """Somebody who comes again and again, with the id of what was heard last.

    Attributes:
        found: what was heard.
        over: the stream said that nothing more will come.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[Heard] = []
        self.over = False

    def hear(self, server: Duty, most: int, wait: float = 60) -> None:
        """Listen until so much more was heard, or the connection ends."""
        last = next((each.id for each in reversed(self.found) if each.name != "again"), None)
        headers = {"Last-Event-ID": last} if last is not None else {}
        url = f"{server.event('serving')['url']}/api/v1{self.path}"
        try:
            with httpx.stream("GET", url, headers=headers, timeout=wait) as answer:
                if answer.status_code == 204:  # all of it was heard, but for the word that it is all
                    self.over = True
                    return
                assert answer.status_code == 200
                for each in parsed(answer.iter_lines()):
                    if each.name in ("end", "again"):
                        self.over = each.name == "end"
                        return
                    self.found.append(each)
                    most -= 1
                    if not most:
                        return
        except httpx.TransportError:  # it was killed
            return


class Work:
    """A run that goes on whatever happens to servers: round by round, each when somebody has asked for it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.run_id = born(journal, name="amber-otter")
        self.rounds = 0

    def go_on(self) -> None:
        if self.rounds < _ROUNDS:
            complete_steps(self.journal, self.run_id, 2 + 3 * self.rounds, 3)
            log(self.journal, self.run_id, *(f"{self.rounds} {number}" for number in range(4)))
            self.rounds += 1
        elif self.rounds == _ROUNDS:
            self.journal.append(self.run_id, 2 + 3 * _ROUNDS, [Record(RunCompleted(at=1))])
            self.rounds += 1

    def check(self, found: list[Heard]) -> None:
        assert numbers(found) == list(range(1, 3 * _ROUNDS + 4))
        assert messages(found) == [f"{number} {n}" for number in range(_ROUNDS) for n in range(4)]


@pytest.fixture
def work(place: Place, penstock_home: Path) -> Iterator[Work]:
    journal = SqliteJournal(penstock_home / "journal.db")
    yield Work(journal)
    journal.close()


def test_a_server_is_killed_again_and_again_and_nothing_is_lost_or_heard_twice(place: Place, work: Work) -> None:
    chance = random.Random(11)
    run = Listener(f"/runs/{work.run_id}/stream")
    events = Listener("/events/stream?type=Task*&last_event_id=0")
    while not run.over:
        server = place.server("--json")
        hearing = [
            threading.Thread(target=listener.hear, args=(server, most))
            for listener, most in ((run, 10**6), (events, 10**6))
        ]
        wanted = len(run.found) + chance.randrange(20, 90)
        for thread in hearing:
            thread.start()
        while len(run.found) < wanted and hearing[0].is_alive():
            work.go_on()
            hearing[0].join(0.02)
        server.kill_all()
        for thread in hearing:
            thread.join(60)
        work.go_on()  # while there is no server
    work.check(run.found)
    server = place.server("--json")
    events.hear(server, 3 * _ROUNDS - len(events.found)) if len(events.found) < 3 * _ROUNDS else None
    assert [each.data["step"]["key"] for each in events.found] == [
        f"fetch#{number}" for number in range(2, 2 + 3 * _ROUNDS)
    ]


def test_two_servers_on_one_journal_send_the_same(place: Place, work: Work) -> None:
    servers = [place.server("--json"), place.server("--json")]
    listener = Listener(f"/runs/{work.run_id}/stream")
    for number in range(_ROUNDS + 1):
        work.go_on()
        listener.hear(servers[number % 2], 5)
    while not listener.over:
        listener.hear(servers[0], 10**6)
    work.check(listener.found)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    server = OwnServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.purge()


@pytest.mark.integration
@pytest.mark.chaos
def test_postgresql_goes_away_under_a_stream(place: Place, own: OwnServer) -> None:
    from penstock.journal.postgres import PostgresJournal

    if not own.native:
        pytest.skip("the server's processes are not on this machine")
    journal = PostgresJournal(own.url)
    work = Work(journal)
    server = place.server("--json", PENSTOCK_DATABASE_URL=own.url)
    listener = Listener(f"/runs/{work.run_id}/stream")
    stop = threading.Event()

    def hear() -> None:
        while not listener.over and not stop.is_set():
            listener.hear(server, 10**6)

    thread = threading.Thread(target=hear)
    thread.start()
    try:
        for number in range(_ROUNDS + 1):
            work.go_on()
            if number in (10, 25):
                own.crash()
        thread.join(90)
        assert not thread.is_alive()
    finally:
        stop.set()
        journal.close()
    work.check(listener.found)


def unread(url: str, run_id: str) -> Any:
    """A connection that asks for a stream, and takes nothing of it."""
    import socket

    address = httpx.URL(url)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((address.host, address.port))
    made.sendall(f"GET /api/v1/runs/{run_id}/stream HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n\r\n".encode())
    return made


def test_clients_that_never_read(place: Place, work: Work) -> None:
    server = place.server("--json")
    url = server.event("serving")["url"]
    log(work.journal, work.run_id, *("x" * 1000 for _ in range(5000)))
    rss = [memory(server.process.pid)]
    dumb = [unread(url, work.run_id) for _ in range(50)]
    try:
        for _ in range(_ROUNDS + 1):
            log(work.journal, work.run_id, *("x" * 1000 for _ in range(300)))
            work.go_on()
        listener = Listener(f"/runs/{work.run_id}/stream")
        listener.hear(server, 10**6)
        assert len(messages(listener.found)) == 5000 + 300 * (_ROUNDS + 1) + 4 * _ROUNDS
        rss.append(memory(server.process.pid))
        assert rss[1] - rss[0] < 60_000_000, "50 of them could have taken 850 MB"
    finally:
        for each in dumb:
            each.close()


def memory(pid: int) -> int:
    """What a process takes (bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
