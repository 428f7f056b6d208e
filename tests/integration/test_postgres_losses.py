"""The PostgreSQL journal when connections break: every record is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from tests.integration.proxy import Mode, Proxy

from penstock.core.errors import JournalUnavailable, SequenceConflict, WrongProcess
from penstock.core.events import Append, Record, RunCancelRequested, RunCompleted, RunStopped, encode_event
from penstock.journal.claims import Claiming
from penstock.journal.postgres import PostgresJournal
from penstock.testing.journal_claims import put, take
from penstock.testing.samples import begin_run, contents, happened, log_line, task_completed

pytestmark = pytest.mark.integration


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    server = urlsplit(postgres_url)
    found = Proxy(server.hostname or "127.0.0.1", server.port or 5432)
    yield found
    found.close()


@pytest.fixture
def journal(postgres_url: str, proxy: Proxy) -> Iterator[PostgresJournal]:
    server = urlsplit(postgres_url)
    address = f"{server.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    found = PostgresJournal(urlunsplit(server._replace(netloc=address, query="sslmode=disable")), outage_seconds=20)
    yield found
    found.close()


def _backends(connection: psycopg.Connection) -> list[int]:
    sql = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND application_name = 'penstock'"
    )
    return [row[0] for row in connection.execute(sql)]


def test_an_append_is_one_round_trip(journal: PostgresJournal, proxy: Proxy) -> None:
    run_id = begin_run(journal)
    for seq in (2, 3):  # a statement is prepared when it is first used
        proxy.answers = 0
        journal.append(run_id, seq, [task_completed(seq)])
    assert proxy.answers == 1
    for start in (4, 54):
        proxy.answers = 0
        batch = [task_completed(number) for number in range(start, start + 50)]
        journal.append(run_id, start, batch, [log_line(run_id)] * 5)
    assert proxy.answers == 1


def test_a_lost_answer_is_no_second_record(journal: PostgresJournal, proxy: Proxy) -> None:
    run_id = begin_run(journal)
    journal.append(run_id, 2, [task_completed(1)])
    proxy.mode = "lose answer"
    journal.append(run_id, 3, [task_completed(2)], [log_line(run_id, "one")])
    proxy.mode = "lose answer"
    journal.append(run_id, 4, [task_completed(3), task_completed(4)], [log_line(run_id, "two")])
    proxy.mode = "lose answer"
    journal.append(run_id, 6, [Record(RunCompleted(at=1))])
    assert [stored.seq for stored in journal.load(run_id)] == list(range(1, 8))
    assert len(journal.task_runs(run_id)) == 4
    assert [line.message for line in journal.logs(run_id)] == ["one", "two"]
    run = journal.run(run_id)
    assert run is not None
    assert run.state == "Completed"


def test_a_lost_request_is_sent_again(journal: PostgresJournal, proxy: Proxy) -> None:
    run_id = begin_run(journal)
    journal.append(run_id, 2, [task_completed(1)])
    proxy.mode = "lose request"
    journal.append(run_id, 3, [task_completed(2)], [log_line(run_id)])
    proxy.mode = "lose request"
    assert len(list(journal.load(run_id))) == 4
    assert len(journal.logs(run_id)) == 1


def test_a_lost_answer_does_not_hide_another_writer(journal: PostgresJournal, proxy: Proxy, postgres_url: str) -> None:
    run_id = begin_run(journal)
    journal.append(run_id, 2, [task_completed(1)])
    other = PostgresJournal(postgres_url)
    other.append(run_id, 3, [task_completed(2)])
    proxy.mode = "lose request"
    with pytest.raises(SequenceConflict):
        journal.append(run_id, 3, [task_completed(3)])
    assert [task.key for task in other.task_runs(run_id)] == ["fetch#1", "fetch#2"]
    other.close()


def test_other_writes_whose_answer_was_lost(journal: PostgresJournal, proxy: Proxy) -> None:
    run_id = begin_run(journal)
    journal.write_logs([log_line(run_id, "zero")])
    proxy.mode = "lose answer"
    journal.write_logs([log_line(run_id, "one"), log_line(run_id, "two")])
    assert [line.message for line in journal.logs(run_id)] == ["zero", "one", "two"]
    assert journal.move_cursor("metrics", 0, 5)
    proxy.mode = "lose answer"
    assert journal.move_cursor("metrics", 5, 9)
    assert journal.cursor("metrics") == 9
    proxy.mode = "lose answer"
    assert journal.extend_leases([run_id], "here|1|2|3", 5) == {run_id}
    proxy.mode = "lose answer"
    journal.delete([run_id])
    assert contents(journal, run_id) == ([], None, [], [])


@pytest.mark.parametrize("mode", ["lose answer", "lose request"])
@pytest.mark.parametrize("only", [b"COMMIT", b"INSERT INTO events", b"BEGIN"])
def test_a_commit_whose_answer_or_request_was_lost(
    journal: PostgresJournal, proxy: Proxy, mode: Mode, only: bytes
) -> None:
    run_id = begin_run(journal)
    for number in range(3):  # the first time, statements are prepared
        proxy.mode, proxy.only = mode, only if number == 0 else b"COMMIT"
        items = [Append("dataset/a", number, [happened("one")]), Append(run_id, 2 + number, [task_completed(number)])]
        journal.commit(items, ("reader", number, number + 1))
        assert proxy.mode == "forward", "nothing was lost"
    assert [stored.seq for stored in journal.load("dataset/a")] == [1, 2, 3]
    assert len(journal.task_runs(run_id)) == journal.cursor("reader") == 3
    proxy.mode, proxy.only = mode, b"COMMIT"
    journal.commit([], ("reader", 3, 4))
    with pytest.raises(SequenceConflict):
        journal.commit([], ("reader", 3, 4))
    with pytest.raises(SequenceConflict):
        journal.commit([Append("dataset/a", 2, [happened("other")])])


@pytest.mark.parametrize("mode", ["lose answer", "lose request"])
@pytest.mark.parametrize("only", [b"COMMIT", b"advisory", b"RETURNING"])
def test_what_was_claimed_or_drawn_is_known_although_the_answer_was_lost(
    journal: PostgresJournal, proxy: Proxy, mode: Mode, only: bytes
) -> None:
    runs = [put(journal) for _ in range(6)]
    taken = []
    for _ in range(3):
        proxy.mode, proxy.only = mode, only
        taken += [run.id for run in take(journal, 2)]
        assert proxy.mode == "forward", "nothing was lost"
    assert taken == runs
    assert take(journal) == []
    assert {journal.last_seq(run_id) for run_id in runs} == {2}
    proxy.mode, proxy.only = mode, only
    ticket = journal.queue_up("db", runs[0], "worker|1|2|3", None, 1, 5)
    assert [each.id for each in journal.tickets()] == [ticket]
    turns = []
    for number in range(3):
        proxy.mode, proxy.only = mode, b"COMMIT" if number else b"advisory"
        turns.append(journal.reserve("api", 1, 10.0, None, 1_000_000))
    assert turns == [1_000_000, 1_100_000, 1_200_000], "a turn was taken twice"


def test_a_claim_is_done_again_when_a_run_was_changed_meanwhile(
    journal: PostgresJournal, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(journal), put(journal)
    other = PostgresJournal(postgres_url)
    find = Claiming._page

    def found_and_overtaken(self: Claiming, lanes: Any) -> Any:
        page = find(self, lanes)
        monkeypatch.undo()
        other.append(first, 1, [Record(RunStopped(at=1))])
        return page

    monkeypatch.setattr(Claiming, "_page", found_and_overtaken)
    assert [run.id for run in take(journal)] == [second]
    run = journal.run(first)
    assert run is not None
    assert (run.state, run.owner, journal.last_seq(first)) == ("Cancelled", None, 2)
    other.close()


def test_a_claim_waits_for_an_append_under_way(journal: PostgresJournal, postgres_url: str) -> None:
    run_id = put(journal)
    event = RunCancelRequested(at=1)
    with psycopg.connect(postgres_url) as slow, ThreadPoolExecutor(1) as pool:
        slow.execute(
            "INSERT INTO penstock.events SELECT (pg_current_xact_id()::text::bigint << 20), %s, 2, %s, 1, 1, %s, NULL",
            (run_id, event.stored, encode_event(event).decode()),
        )
        slow.execute("UPDATE penstock.runs SET cancel_requested = true WHERE id = %s", (run_id,))
        claiming = pool.submit(take, journal)
        blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with psycopg.connect(postgres_url, autocommit=True) as watching:
            while not watching.execute(blocked).fetchone():
                assert not claiming.done()
        slow.commit()
        assert [run.id for run in claiming.result()] == [run_id]
    assert [stored.event.stored for stored in journal.load(run_id)] == [
        "RunCreated", "RunCancelRequested", "RunClaimed",
    ]  # fmt: skip


def test_watching_while_backends_are_killed(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    watch = journal.watch()
    listening = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%' "
        "AND state = 'idle' AND pid <> ALL(%s)"
    )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for number in range(3):
            killed = _backends(connection)
            for pid in killed:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
            assert watch.wait(20), "that nothing can be heard any more is worth a look"
            while not connection.execute(listening, (killed,)).fetchone():
                watch.wait(0.1)
            while watch.wait(0.1):
                pass
            journal.append(f"stream/{number}", 0, [happened()])
            assert watch.wait(20)
    watch.close()
    journal.close()


def test_another_process_wakes(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    watch = journal.watch()
    code = (
        "import sys; from penstock.journal.postgres import PostgresJournal; from penstock.testing.samples import *; "
        "PostgresJournal(sys.argv[1]).append('run', 0, [created(due_at=5)])"
    )
    subprocess.run([sys.executable, "-c", code, postgres_url], check=True)
    assert watch.wait(30)
    watch.close()
    journal.close()


def test_backends_killed_at_random_moments(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url, outage_seconds=30)
    run_id = begin_run(journal)
    done = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        random_ = random.Random(7)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not done.wait(random_.uniform(0.001, 0.15)):  # some connections live long enough for some appends
                for pid in _backends(connection):
                    killed += connection.execute("SELECT pg_terminate_backend(%s)", (pid,)).fetchone() == (True,)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        for number in range(500):
            journal.append(run_id, 2 + number, [task_completed(number)], [log_line(run_id, str(number))])
            if number % 50 == 0:
                assert journal.run(run_id) is not None
    finally:
        done.set()
        killing.join()
    assert killed > 5
    assert [stored.seq for stored in journal.load(run_id)] == list(range(1, 503))
    assert [stored.event.step.ordinal for stored in journal.load(run_id, 2)] == list(range(500))
    assert len(journal.task_runs(run_id)) == 500
    assert [line.message for line in journal.logs(run_id)] == [str(number) for number in range(500)]
    journal.close()


def test_a_frozen_server_does_not_hang_the_run(postgres_url: str) -> None:
    PostgresJournal(postgres_url).close()  # with its tables: making them takes time
    journal = PostgresJournal(postgres_url, outage_seconds=2)
    run_id = begin_run(journal)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        pids = _backends(connection)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    except (PermissionError, ProcessLookupError):
        pytest.skip("the server's processes are out of reach")
    try:
        with pytest.raises(JournalUnavailable) as caught:
            journal.append(run_id, 2, [task_completed(1)])
        assert "2 seconds" in str(caught.value)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    # The frozen statement may have been carried out after all; whoever resumes sees what is on record.
    other = PostgresJournal(postgres_url)
    deadline = time.monotonic() + 20
    while pids and time.monotonic() < deadline:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            pids = [pid for pid in pids if pid in _backends(connection)]
    seq = len(list(other.load(run_id)))
    journal.append(run_id, seq, [task_completed(2)])
    assert [stored.seq for stored in other.load(run_id)] == list(range(1, seq + 2))
    other.close()
    journal.close()


def test_who_waits_for_another_thread_is_told_in_time(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    run_id = begin_run(journal)
    journal._writer._outage = 0.3
    with ThreadPoolExecutor(1) as other:
        other.submit(journal._writer._lock.acquire).result()
        with pytest.raises(JournalUnavailable, match="another thread"):
            journal.append(run_id, 2, [task_completed(1)])
        other.submit(journal._writer._lock.release).result()
    journal._writer._outage = 60
    journal.append(run_id, 2, [task_completed(1)])
    journal.close()


def test_a_forked_child_is_refused_and_harms_nothing(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    run_id = begin_run(journal)
    journal.run(run_id)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for use in (lambda: journal.run(run_id), lambda: journal.append(run_id, 2, [task_completed()])):
                with pytest.raises(WrongProcess):
                    use()
            journal.close()
            journal.__dict__.clear()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    session = journal._writer._session
    journal.append(run_id, 2, [task_completed(1)])
    assert journal._writer._session is session, "the child ended its parent's connection"
    assert len(list(journal.load(run_id))) == 3
    journal.close()


def test_closing_does_not_wait_for_a_server_that_is_away(journal: PostgresJournal, proxy: Proxy) -> None:
    run_id = begin_run(journal)
    errors: list[BaseException] = []

    def append() -> None:
        try:
            journal.append(run_id, 2, [task_completed(1)])
        except BaseException as error:
            errors.append(error)

    proxy.close()
    proxy.mode = "lose request"
    appending = threading.Thread(target=append)
    appending.start()
    while proxy.mode == "lose request":
        appending.join(timeout=0.01)
    journal.close()
    appending.join()
    assert [type(error) for error in errors] == [JournalUnavailable]
    assert "closed" in str(errors[0])
