"""The PostgreSQL journal and its database: tables, rights, foreign contents, reading order."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.unit import former_journal
from tests.unit.journal_workers import PROCESSES, open_postgres_at_once

from penstock.core.errors import (
    ConfigurationError,
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalOutdated,
    JournalReadOnly,
    JournalTooNew,
    JournalUnavailable,
    SequenceConflict,
)
from penstock.core.events import Append, Record, RunCompleted
from penstock.core.model import RunFilter
from penstock.core.plans import Happened
from penstock.journal import migrations, schema, versions
from penstock.journal.postgres import PostgresJournal, server
from penstock.journal.upgrade import Upgrade, downgrade, upgrade
from penstock.testing.openings import Openings
from penstock.testing.samples import begin_run, log_line, task_completed

pytestmark = pytest.mark.integration
settled = Openings.settled


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def _with(url: str, *, user: str | None = None, password: str = "x", port: int = 0, database: str = "") -> str:
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    login = f"{user}:{password}" if user else login
    place = f"{place.partition(':')[0]}:{port}" if port else place
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", path=f"/{database}" if database else parts.path))


def _catalogue(connection: psycopg.Connection) -> set[tuple[object, ...]]:
    """Everything PostgreSQL knows of the tables: columns, constraints, indexes, sequences."""
    columns = connection.execute(
        "SELECT table_name, column_name, data_type, is_nullable, column_default, identity_generation, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'penstock'"
    ).fetchall()
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c "
        "JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = 'penstock'"
    ).fetchall()
    indexes = connection.execute("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'penstock'").fetchall()
    return {*columns, *constraints, *indexes}


def test_tables_by_snapshot_by_migrations_and_by_metadata(postgres_url: str, admin: psycopg.Connection) -> None:
    PostgresJournal(postgres_url).close()
    by_snapshot = _catalogue(admin)
    assert len({row[0] for row in by_snapshot}) >= 6
    parameters = server.address(postgres_url)
    engine = migrations.engine_over(lambda: server.connect_for_migration(parameters, 10), "postgresql")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    admin.execute("DROP SCHEMA penstock CASCADE")
    assert upgrade(postgres_url) == Upgrade(None, versions.HEAD)
    assert _catalogue(admin) == by_snapshot
    version = {row for row in by_snapshot if "alembic_version" in str(row[0]) or "alembic_version" in str(row[1])}
    admin.execute("DROP SCHEMA penstock CASCADE")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
    assert _catalogue(admin) == by_snapshot - version


def test_upgrading_keeps_every_run(postgres_url: str) -> None:
    assert upgrade(postgres_url) == Upgrade(None, versions.HEAD)
    journal = PostgresJournal(postgres_url)
    run_id = begin_run(journal)
    assert upgrade(postgres_url) == Upgrade(versions.HEAD, versions.HEAD)
    assert journal.run(run_id) is not None
    journal.close()
    assert downgrade(postgres_url) == Upgrade(versions.HEAD, None)
    assert upgrade(postgres_url) == Upgrade(None, versions.HEAD)


def test_a_journal_of_the_first_layout_and_back(postgres_url: str, admin: psycopg.Connection) -> None:
    upgrade(postgres_url)
    assert downgrade(postgres_url, "0001") == Upgrade(versions.HEAD, "0001")
    admin.execute("SET search_path = penstock")
    former_journal.write(lambda sql, values: admin.execute(sql.encode(), values), "%s", str)
    with pytest.raises(JournalOutdated):
        PostgresJournal(postgres_url)
    assert upgrade(postgres_url) == Upgrade("0001", versions.HEAD)
    with closing(PostgresJournal(postgres_url)) as journal:
        former_journal.check(journal)
        former_journal.go_on(journal)
    assert downgrade(postgres_url, "0001") == Upgrade(versions.HEAD, "0001")
    rows = admin.execute("SELECT run_id, count(*) FROM events GROUP BY run_id ORDER BY run_id").fetchall()
    assert rows == [(former_journal.ROOT, 3), (former_journal.CHILD, 3), (former_journal.OPEN, 4)]
    assert upgrade(postgres_url) == Upgrade("0001", versions.HEAD)
    with closing(PostgresJournal(postgres_url)) as journal:
        assert journal.last_seq(former_journal.OPEN) == 4
        assert [run.id for run in journal.runs(RunFilter(tags=("prod",)))] == [former_journal.ROOT]


def test_sixteen_processes_make_the_tables(postgres_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(PROCESSES), context.Queue()
    arguments = (postgres_url, gate, answers)
    workers = [context.Process(target=open_postgres_at_once, args=arguments) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(len(answer) == 36 for answer in found), "\n".join(found)
    journal = PostgresJournal(postgres_url)
    assert sorted(run.id for run in journal.runs(RunFilter())) == sorted(found)
    journal.close()


def test_other_tables_in_the_database_do_not_matter(postgres_url: str, admin: psycopg.Connection) -> None:
    admin.execute("CREATE TABLE runs (mine int); CREATE TABLE alembic_version (version_num text)")
    admin.execute("INSERT INTO alembic_version VALUES ('theirs')")
    journal = PostgresJournal(postgres_url)
    begin_run(journal)
    assert upgrade(postgres_url) == Upgrade(versions.HEAD, versions.HEAD)
    assert admin.execute("SELECT count(*) FROM public.runs").fetchone() == (0,)
    assert admin.execute("SELECT version_num FROM public.alembic_version").fetchone() == ("theirs",)
    journal.close()


def test_what_is_no_journal_is_refused_untouched(postgres_url: str, admin: psycopg.Connection) -> None:
    admin.execute("CREATE SCHEMA penstock; CREATE TABLE penstock.runs (mine int)")
    before = _catalogue(admin)
    for action in (PostgresJournal, upgrade):
        with pytest.raises(JournalCorrupt, match="not touched"):
            action(postgres_url)
    assert _catalogue(admin) == before


@pytest.mark.parametrize(("layout", "error"), [("9999", JournalTooNew), ("0999", JournalOutdated)])
def test_other_layouts_are_refused(
    postgres_url: str,
    admin: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    error: type[Exception],
) -> None:
    with closing(PostgresJournal(postgres_url)) as journal:
        run_id = begin_run(journal)
    admin.execute("UPDATE penstock.alembic_version SET version_num = %s", (layout,))
    monkeypatch.setattr(versions, "KNOWN", ("0999", versions.HEAD))
    with pytest.raises(error):
        PostgresJournal(postgres_url)
    if error is JournalTooNew:
        with pytest.raises(error):
            upgrade(postgres_url)
    assert admin.execute("SELECT id FROM penstock.runs").fetchall() == [(run_id,)]


def test_addresses_that_lead_nowhere(postgres_url: str) -> None:
    secret = "s3cret%2Fword"
    wrong = {
        _with(postgres_url, database="no_such_database"): ConfigurationError,
        _with(postgres_url, user="nobody_of_that_name", password=secret): ConfigurationError,
        _with(postgres_url, port=1): JournalUnavailable,
        "postgresql://user:s3cret%zzword@127.0.0.1/x": ConfigurationError,
        "postgresql://user:s3cret@host.invalid/x": JournalUnavailable,
    }
    for url, kind in wrong.items():
        for action in (PostgresJournal, upgrade):
            with pytest.raises(kind) as caught:
                action(url)
            assert type(caught.value) is kind
            assert caught.value.hint
            assert "s3cret" not in str(caught.value)


def test_the_password_is_not_shown(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    password = urlsplit(postgres_url).password
    assert journal.location.startswith("postgresql://")
    assert password is None or password not in journal.location + str(journal.status())
    journal.close()


def test_a_database_that_cannot_hold_every_text(postgres_url: str) -> None:
    name = f"penstock_test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(ConfigurationError, match="LATIN1"):
                PostgresJournal(_with(postgres_url, database=name))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_takes_no_writes(postgres_url: str, admin: psycopg.Connection) -> None:
    with closing(PostgresJournal(postgres_url)) as journal:
        run_id = begin_run(journal)
    name = urlsplit(postgres_url).path[1:]
    admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    journal = PostgresJournal(postgres_url)
    assert journal.run(run_id) is not None
    with pytest.raises(JournalReadOnly, match="takes no writes") as caught:
        journal.append(run_id, 2, [task_completed()])
    assert "primary" in str(caught.value)
    journal.close()
    admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    admin.execute("DROP SCHEMA penstock CASCADE")
    admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(JournalReadOnly):
        PostgresJournal(postgres_url)


def test_a_user_without_rights(postgres_url: str, admin: psycopg.Connection) -> None:
    role = f"penstock_test_{uuid4().hex}"
    admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'word'")
    url = _with(postgres_url, user=role, password="word")
    try:
        for action in (PostgresJournal, upgrade):
            with pytest.raises(JournalReadOnly) as caught:
                action(url)
            assert "AUTHORIZATION" in str(caught.value)
        admin.execute(f"CREATE SCHEMA penstock AUTHORIZATION {role}")
        journal = PostgresJournal(url)
        begin_run(journal)
        journal.close()
        assert upgrade(url) == Upgrade(versions.HEAD, versions.HEAD)
    finally:
        admin.execute(f"DROP OWNED BY {role} CASCADE")
        admin.execute(f"DROP ROLE {role}")


def test_readers_wait_for_what_may_still_come_before(postgres_url: str, admin: psycopg.Connection) -> None:
    journal = PostgresJournal(postgres_url)
    first, second = begin_run(journal), begin_run(journal)
    assert len(settled(journal, 0, 4)) == 4
    slow = psycopg.connect(postgres_url)
    with slow, slow.transaction():
        # What an append does, held open after its number was drawn.
        slow.execute(
            "INSERT INTO penstock.events SELECT (pg_current_xact_id()::text::bigint << 20), %s, 3, 'RunPainted', 1, 5, "
            "'{\"at\":5}', NULL",
            (first,),
        )
        for seq in range(2, 6):
            journal.append(second, seq, [task_completed(seq)])
        assert len(journal.read(0)) == 4, "a later commit could still come before these"
        assert len(list(journal.load(second))) == 6
    found = settled(journal, 0, 9)
    assert [(stored.stream, stored.seq) for stored in found[4:]] == [
        (first, 3),
        *((second, seq) for seq in range(3, 7)),
    ]
    assert sorted(stored.position for stored in found) == [stored.position for stored in found]
    slow.close()
    journal.close()


def test_a_dump_restored_where_transaction_numbers_are_lower(postgres_url: str, admin: psycopg.Connection) -> None:
    journal = PostgresJournal(postgres_url)
    runs = [begin_run(journal) for _ in range(3)]
    before = settled(journal, 0, 6)
    order = [(stored.stream, stored.seq) for stored in before]
    assert journal.move_cursor("metrics", 0, before[3].position)
    assert journal.move_cursor("lineage", 0, before[5].position)
    journal.close()
    admin.execute(f"UPDATE penstock.events SET position = position + {1 << 50}")
    admin.execute(f"UPDATE penstock.cursors SET position = position + {1 << 50}")
    journal = PostgresJournal(postgres_url)
    assert [(stored.stream, stored.seq) for stored in settled(journal, 0, 6)] == order
    assert [(s.stream, s.seq) for s in journal.read(journal.cursor("metrics"))] == order[4:]
    assert journal.read(journal.cursor("lineage")) == []
    journal.append(runs[0], 2, [task_completed()])
    assert [(s.stream, s.seq) for s in settled(journal, journal.cursor("lineage"), 1)] == [(runs[0], 3)]
    journal.close()


def test_only_what_somebody_may_wait_for_wakes_listeners(postgres_url: str, admin: psycopg.Connection) -> None:
    journal = PostgresJournal(postgres_url)
    admin.execute("LISTEN penstock")
    run_id = begin_run(journal)
    journal.append(run_id, 2, [task_completed(1)], [log_line(run_id)])
    journal.append(run_id, 3, [task_completed(2), task_completed(3)])
    journal.append(run_id, 5, [task_completed(4), Record(RunCompleted(at=1))])
    heard = [notice.payload for notice in admin.notifies(timeout=5, stop_after=1)]
    assert heard == [run_id]
    assert list(admin.notifies(timeout=0.2)) == []
    journal.close()


def test_commits_are_durable_even_where_the_database_says_otherwise(
    postgres_url: str, admin: psycopg.Connection
) -> None:
    name = urlsplit(postgres_url).path[1:]
    for given, used in (("off", "on"), ("remote_apply", "remote_apply"), ("on", "on")):
        admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {given}')
        journal = PostgresJournal(postgres_url)
        assert (
            journal._writer.use(
                lambda session, deadline, _: session.query("SHOW synchronous_commit", (), deadline).get_value(0, 0)
            )
            == used.encode()
        )
        journal.close()


def test_no_query_is_compiled(postgres_url: str) -> None:
    """What a planner may not do has such a price that, where it has to, compiling seems to be worth it: it never is."""
    with closing(PostgresJournal(postgres_url)) as journal:
        explained = journal._fetch("EXPLAIN (ANALYZE) SELECT count(*) FROM runs r JOIN runs s ON s.message = r.message")
    plan = "\n".join(row[0] for row in explained)
    assert "Seq Scan" in plan
    assert "JIT" not in plan


def test_streams_begun_together_are_one_exchange(postgres_url: str, admin: psycopg.Connection) -> None:
    with closing(PostgresJournal(postgres_url)) as journal:

        def begun(first: int, last: int, size: int = 5) -> list[Append]:
            return [
                Append(f"event/{number}", 0, [Record(Happened(at=number, name="e", about="x" * size))])
                for number in range(first, last)
            ]

        journal.commit(begun(0, 40))
        session = journal._writer._session
        assert session is not None
        waits: list[float] = []
        wait = session._wait
        session._wait = lambda deadline, events: (waits.append(deadline), wait(deadline, events))[1]  # type: ignore[method-assign, func-returns-value]
        journal.commit(begun(40, 60))
        assert len(waits) <= 5, "it waits for each statement"
        assert admin.execute("SELECT count(DISTINCT xmin::text) FROM penstock.events WHERE at >= 40").fetchone() == (1,)
        for known in (0, 59):
            with pytest.raises(SequenceConflict) as caught:
                journal.commit([*begun(60, 70), *begun(known, known + 1), *begun(70, 80)])
            assert caught.value.stream == f"event/{known}"
            with pytest.raises(SequenceConflict) as caught:
                journal.commit([*begun(60, 70), Append(f"event/{known}", 7, [Record(Happened(at=1, name="e"))])])
            assert caught.value.stream == f"event/{known}"
        assert admin.execute("SELECT count(*), max(at) FROM penstock.events").fetchone() == (60, 59)
        long = f"event/{os.urandom(8000).hex()}"  # for an index
        with pytest.raises(JournalError):
            journal.commit([*begun(60, 61), Append(long, 0, [Record(Happened(at=61, name="e"))])])
        journal.commit(begun(60, 400, size=100_000))  # more than fits into the buffers on the way
        assert journal._writer._session is session
        assert admin.execute("SELECT count(*), max(at) FROM penstock.events").fetchone() == (400, 399)


def test_a_full_disk_loses_nothing_that_was_recorded(postgres_url: str, admin: psycopg.Connection) -> None:
    if shutil.which("mount") is None or not _is_local_superuser(admin):
        pytest.skip("needs root and a server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="penstock-small-"))
    space = f"penstock_test_{uuid4().hex}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True
    ).returncode
    if mounted != 0:
        folder.rmdir()
        pytest.skip("no small file system can be mounted here")
    try:
        shutil.chown(folder, "postgres")
        admin.execute(f"CREATE TABLESPACE {space} LOCATION '{folder}'")
        name = urlsplit(postgres_url).path[1:]
        admin.execute(f'ALTER DATABASE "{name}" SET default_tablespace = {space}')
        _fill(postgres_url)
    finally:
        admin.execute("DROP SCHEMA IF EXISTS penstock CASCADE")
        admin.execute(f"DROP TABLESPACE IF EXISTS {space}")
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _is_local_superuser(admin: psycopg.Connection) -> bool:
    found = admin.execute("SELECT current_setting('data_directory'), current_setting('is_superuser')").fetchone()
    return found is not None and found[1] == "on" and Path(found[0]).is_dir()


def _fill(url: str) -> None:
    journal = PostgresJournal(url)
    run_id = begin_run(journal)
    written = 0

    def append_until_full() -> None:
        nonlocal written
        while written < 1000:
            record = Record(task_completed(written + 1).event, os.urandom(80_000))
            journal.append(run_id, 2 + written, [record], [log_line(run_id)])
            written += 1

    with pytest.raises(JournalFull, match=r"disk of PostgreSQL .* is full"):
        append_until_full()
    assert written > 5
    assert [stored.seq for stored in journal.load(run_id)] == list(range(1, written + 3))
    assert len(journal.task_runs(run_id)) == len(journal.logs(run_id)) == written
    journal.close()
