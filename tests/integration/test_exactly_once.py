"""What a step writes to the journal's own PostgreSQL database is there exactly once, whatever is lost or killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from tests.integration.once_flows import EVERY_ROW, imports
from tests.integration.proxy import Mode, Proxy

from penstock import flow, journal_transaction, task
from penstock.app import Penstock, Settings
from penstock.core.errors import PenstockError, StepTransactionFailed
from penstock.core.model import RunFilter
from penstock.engine.recovery import resume

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (what TEXT)")
    return postgres_url


def opened(url: str, folder: Path) -> Penstock:
    return Penstock(Settings(home=str(folder), database_url=url, log_console=False))


@pytest.fixture
def app(table: str, tmp_path: Path) -> Iterator[Penstock]:
    made = opened(table, tmp_path / "home")
    with made.activate():
        yield made
    made.close()


def rows(url: str) -> list[str]:
    """What was committed."""
    with psycopg.connect(url) as connection:
        return sorted(row[0] for row in connection.execute("SELECT what FROM orders"))


def insert(connection: Any, what: str) -> None:
    connection.execute("INSERT INTO orders (what) VALUES (%s)", (what,))


def state_of(some: Callable[[], Any]) -> Any:
    """What the only step of a flow ends with: its value, or its exception."""
    ended = []

    def only() -> None:
        ended.append(some(return_state=True))  # type: ignore[call-arg]

    flow(only)(return_state=True)
    return ended[0].data


# ---------------------------------------------------------------------------------------------------- killed
def test_killed_at_every_point(table: str, tmp_path: Path) -> None:
    for moment in ("before", "after", "inside"):
        for at in count(1):
            home = tmp_path / f"{moment}-{at}"
            with psycopg.connect(table, autocommit=True) as connection:
                connection.execute("TRUNCATE orders")
            command = [sys.executable, "-m", "tests.integration.once_flows", table, str(home), moment, str(at)]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            killed = ended.returncode == -signal.SIGKILL
            assert killed or ended.returncode == 0, ended.stderr
            if killed:
                _goes_on(table, home)
            assert rows(table) == EVERY_ROW, f"killed {moment} {at}"
            if not killed:
                assert at > 6
                break


def _goes_on(url: str, home: Path) -> None:
    app = opened(url, home)
    with app.activate():
        left = [run for run in app.journal.runs(RunFilter(limit=1000)) if not run.ended]
        if left:
            resume(app.engine, left[0].id, imports)
        elif not rows(url):  # it was killed before there was a run
            imports()
    app.close()


# ---------------------------------------------------------------------------------------------------- lost connections
@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    server = urlsplit(postgres_url)
    found = Proxy(server.hostname or "127.0.0.1", server.port or 5432)
    yield found
    found.close()


@pytest.mark.parametrize("mode", ["lose request", "lose answer"])
@pytest.mark.parametrize("only", [b"INSERT INTO orders", b"pg_current_xact_id", b"penstock_end", b"COMMIT", b"BEGIN"])
def test_a_connection_that_is_cut_in_the_middle(
    table: str, tmp_path: Path, proxy: Proxy, mode: Mode, only: bytes
) -> None:
    server = urlsplit(table)
    address = f"{server.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    app = opened(urlunsplit(server._replace(netloc=address, query="sslmode=disable")), tmp_path)
    attempts = []

    @task(retries=3)
    def load(number: int) -> int:
        attempts.append(number)
        with journal_transaction() as connection:
            if number == 1 and len(attempts) == 2:
                proxy.only, proxy.mode = only, mode
            insert(connection, f"row {number}")
        if only == b"BEGIN":
            assert len(attempts) < 9
        return number

    @flow
    def loads() -> list[int]:
        return [load(number) for number in range(3)]

    with app.activate():
        assert loads() == [0, 1, 2]
    app.close()
    assert rows(table) == ["row 0", "row 1", "row 2"]


def test_a_session_that_is_ended_from_outside(app: Penstock, table: str) -> None:
    attempts = []

    @task(retries=1)
    def load() -> None:
        attempts.append(1)
        with journal_transaction() as connection:
            insert(connection, "row")
            if len(attempts) == 1:
                with psycopg.connect(table, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

    flow(lambda: load())()
    assert rows(table) == ["row"]
    assert len(attempts) == 2


# ---------------------------------------------------------------------------------------------------- steps that fail
def test_a_step_that_fails_has_written_nothing(app: Penstock, table: str) -> None:
    @task
    def fails() -> None:
        with journal_transaction() as connection:
            insert(connection, "row")
        raise ValueError("no")

    assert isinstance(state_of(fails), ValueError)
    assert rows(table) == []


def test_a_step_that_is_retried_has_written_once(app: Penstock, table: str) -> None:
    attempts = []

    @task(retries=2)
    def shaky() -> None:
        attempts.append(1)
        with journal_transaction() as connection:
            insert(connection, f"attempt {len(attempts)}")
        if len(attempts) < 3:
            raise ValueError("not yet")

    flow(lambda: shaky())()
    assert rows(table) == ["attempt 3"]


def test_a_block_that_raises_undoes_itself_only(app: Penstock, table: str) -> None:
    @task
    def careful() -> None:
        with journal_transaction() as connection:
            insert(connection, "kept")
        with suppress(ValueError), journal_transaction() as connection:
            insert(connection, "dropped")
            raise ValueError("no")
        with pytest.raises(psycopg.Error), journal_transaction() as connection:
            connection.execute("SELECT 1 / 0")

    flow(lambda: careful())()
    assert rows(table) == ["kept"]


@pytest.mark.parametrize("word", ["commit", "rollback", "close"])
def test_the_step_does_not_end_its_transaction_itself(app: Penstock, table: str, word: str) -> None:
    @task
    def hasty() -> None:
        with journal_transaction() as connection:
            insert(connection, "row")
            getattr(connection, word)()

    error = state_of(hasty)
    assert isinstance(error, PenstockError)
    assert "is not for a step" in str(error)
    assert rows(table) == []


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE"])
def test_nor_behind_its_back(app: Penstock, table: str, sql: str) -> None:
    kept: list[Any] = []

    @task
    def sly() -> None:
        with journal_transaction() as connection:
            kept.append(connection)
        connection.execute(sql)

    error = state_of(sly)
    assert isinstance(error, StepTransactionFailed), error
    assert "ended inside the step" in str(error)


def test_a_statement_that_fails_outside_a_block(app: Penstock, table: str) -> None:
    @task
    def fails() -> None:
        with journal_transaction() as connection:
            insert(connection, "row")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1 / 0")

    error = state_of(fails)
    assert isinstance(error, StepTransactionFailed)
    assert "a statement failed outside the block" in str(error)
    assert rows(table) == []


def test_settings_and_roles_of_the_step_are_not_the_journals(app: Penstock, table: str) -> None:
    @task
    def odd(number: int) -> int:
        with journal_transaction() as connection:
            connection.execute("SET search_path = pg_catalog")
            connection.execute("SET default_transaction_read_only = on")
            connection.execute("CREATE TEMP TABLE events (stream TEXT)")
            connection.execute("INSERT INTO public.orders VALUES ('row')")
        return number

    assert flow(lambda: [odd(1), odd(2)])() == [1, 2]
    assert rows(table) == ["row", "row"]


def test_deferred_constraints_are_checked_by_the_commit(app: Penstock, table: str) -> None:
    with psycopg.connect(table, autocommit=True) as connection:
        connection.execute("ALTER TABLE orders ADD CONSTRAINT once UNIQUE (what) DEFERRABLE INITIALLY DEFERRED")

    @task
    def twice() -> None:
        with journal_transaction() as connection:
            insert(connection, "row")
            insert(connection, "row")

    error = state_of(twice)
    assert isinstance(error, StepTransactionFailed)
    assert "once" in str(error)
    assert rows(table) == []
    assert flow(lambda: "goes on")() == "goes on"


def test_a_value_that_cannot_be_saved_is_no_reason_to_lose_rows(app: Penstock, table: str) -> None:
    @task
    def lock() -> Any:
        with journal_transaction() as connection:
            insert(connection, "row")
        return threading.Lock()

    assert state_of(lock) is not None
    assert rows(table) == ["row"]


def test_what_another_process_has_taken_over_is_rolled_back(app: Penstock, table: str, tmp_path: Path) -> None:
    """The step of a run that goes on elsewhere meanwhile has written nothing, for it is executed there."""
    from penstock.core.errors import RunTakenOver
    from penstock.core.events import Record, RunResumed

    @task
    def load() -> None:
        with journal_transaction() as connection:
            insert(connection, "row")
            run = app.journal.runs(RunFilter(limit=1))[0]
            event = RunResumed(at=1, owner="another|1|2|3", lease_until=1 << 60)
            app.journal.append(run.id, app.journal.last_seq(run.id), [Record(event)])

    with pytest.raises(RunTakenOver):
        flow(lambda: load())()
    assert rows(table) == []
