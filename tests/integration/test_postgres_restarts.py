"""The PostgreSQL journal while its server restarts, crashes, or stays away."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import missing
from tests.integration.own_server import OwnServer

from penstock.core.errors import JournalUnavailable
from penstock.journal.postgres import PostgresJournal
from penstock.testing.samples import begin_run, log_line, task_completed

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


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


def _append_during(url: str, disturb: Callable[[], None], times: int) -> None:
    """Append from four threads until the disturbance is over and a while longer; all of it must be there once."""
    journal = PostgresJournal(url, outage_seconds=60)
    runs = [begin_run(journal) for _ in range(4)]
    written = [0] * 4
    errors: list[BaseException] = []
    over = threading.Event()

    def append(number: int) -> None:
        try:
            last = 10**9
            while written[number] < last:
                if over.is_set() and last == 10**9:
                    last = written[number] + 20
                count = written[number]
                journal.append(runs[number], 2 + count, [task_completed(count)], [log_line(runs[number], str(count))])
                written[number] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(times):
            before = sum(written)
            disturb()
            while sum(written) == before and not errors:
                over.wait(0.01)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    for run_id, count in zip(runs, written, strict=True):
        assert count >= 20
        assert [stored.seq for stored in journal.load(run_id)] == list(range(1, count + 3))
        assert len(journal.task_runs(run_id)) == count
        assert [line.message for line in journal.logs(run_id, limit=10**6)] == [str(number) for number in range(count)]
    journal.close()


def test_the_server_restarts_in_the_middle_of_appends(own_server: OwnServer) -> None:
    def restart() -> None:
        own_server.stop()
        own_server.start()

    _append_during(own_server.url, restart, 2)


def test_the_server_crashes_in_the_middle_of_appends(own_server: OwnServer) -> None:
    if not own_server.native:
        pytest.skip("the server's processes are out of reach")
    _append_during(own_server.url, own_server.crash, 3)


def test_a_server_that_stays_away(own_server: OwnServer) -> None:
    PostgresJournal(own_server.url).close()  # with its tables: making them takes time
    journal = PostgresJournal(own_server.url, outage_seconds=1.5)
    run_id = begin_run(journal)
    own_server.stop()
    try:
        for use in (
            lambda: journal.append(run_id, 2, [task_completed(1)]),
            lambda: journal.run(run_id),
            lambda: journal.extend_leases([run_id], "me", 1),
        ):
            with pytest.raises(JournalUnavailable, match=r"could not be used for 1\.5 seconds") as caught:
                use()
            assert "penstock runs resume" in str(caught.value)
        with pytest.raises(JournalUnavailable, match="cannot be reached"):
            PostgresJournal(own_server.url)
    finally:
        own_server.start()
    assert len(list(journal.load(run_id))) == 2
    journal.append(run_id, 2, [task_completed(1)])
    assert len(journal.task_runs(run_id)) == 1
    journal.close()


def test_a_patient_one_is_opened_when_the_server_is_back(own_server: OwnServer) -> None:
    PostgresJournal(own_server.url).close()
    own_server.stop()
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(PostgresJournal, own_server.url, patient=True)
        with pytest.raises(TimeoutError):
            opening.result(timeout=1)
        own_server.start()
        journal = opening.result(timeout=60)
    journal.append(begin_run(journal), 2, [task_completed(1)])
    journal.close()
