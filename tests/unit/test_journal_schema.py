"""The tables are defined three times (metadata, migrations, snapshot); all say the same."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary, Text
from tests.unit import former_journal

from penstock.core.errors import JournalOutdated
from penstock.core.events import EVENTS
from penstock.core.model import RunFilter
from penstock.core.plans import PLANS, DeploymentPaused, DeploymentResumed, ScheduleDue
from penstock.core.webhooks import WEBHOOKS
from penstock.journal import SqliteJournal, migrations, schema, versions
from penstock.journal.projections import KEYS, RUN_COLUMNS, TASK_COLUMNS, projections_of
from penstock.journal.upgrade import Upgrade, downgrade, upgrade
from penstock.testing.journal_events import every_event
from penstock.testing.samples import begin_run


def _statements(sql: str) -> set[str]:
    """SQL without its layout, so that it can be compared."""
    plain = [re.sub(r"\s+", " ", statement).strip() for statement in sql.split(";")]
    return {re.sub(r" ?([(),]) ?", r"\1", statement) for statement in plain if statement}


def _tables_of(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return _statements(";".join(row[0] for row in rows))


def test_head_is_the_newest_migration() -> None:
    assert migrations.head() == versions.HEAD
    assert migrations.known() == versions.KNOWN


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_snapshot_is_what_the_migrations_make(dialect: str) -> None:
    assert versions.schema_sql(dialect) == migrations.snapshot(dialect), "run scripts/schema"


def test_sqlite_by_snapshot_by_migrations_and_by_metadata(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "snapshot.db").close()
    assert upgrade(tmp_path / "migrated.db") == Upgrade(None, versions.HEAD)
    assert _tables_of(tmp_path / "snapshot.db") == _tables_of(tmp_path / "migrated.db")
    engine = migrations.engine_over(partial(sqlite3.connect, tmp_path / "metadata.db", isolation_level=None), "sqlite")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
    version = {item for item in _tables_of(tmp_path / "migrated.db") if "alembic_version" in item}
    assert len(version) == 1
    assert _tables_of(tmp_path / "metadata.db") == _tables_of(tmp_path / "migrated.db") - version
    engine = migrations.engine_over(partial(sqlite3.connect, tmp_path / "snapshot.db", isolation_level=None), "sqlite")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_projections_fill_the_tables() -> None:
    assert tuple(schema.runs.columns.keys()) == RUN_COLUMNS
    assert tuple(schema.task_runs.columns.keys()) == TASK_COLUMNS
    for kind in (*EVENTS.values(), *PLANS, *WEBHOOKS):
        for projection in projections_of(kind):
            keys = KEYS[projection.table]
            assert projection.columns[: len(keys)] == keys
            assert set(projection.columns) <= set(schema.metadata.tables[projection.table].columns.keys())


def test_no_event_changes_a_row_in_two_ways() -> None:
    """In PostgreSQL all that an event changes is changed by one statement, which sees the rows as they were before."""
    paused = DeploymentPaused(at=1, name="a", schedule="x", schedules=("x", "y"))
    due = tuple(ScheduleDue(name=name, spec={}) for name in ("x", "y"))
    resumed = DeploymentResumed(at=1, name="a", schedule="x", schedules=due)
    for event in (*every_event(), paused, resumed):
        seen: set[tuple[str, tuple[object, ...]]] = set()
        for table, _, _, rows in projections_of(type(event)):
            if table == "runs":  # the one row of the stream; its columns are put together
                continue
            keys = {(table, values[: len(KEYS[table])]) for values in rows("stream", event, b"")}
            assert keys.isdisjoint(seen), f"{event.stored} changes a row twice: {keys & seen}"
            seen |= keys


def test_postgresql_gets_each_column_as_what_it_is() -> None:
    from penstock.journal.postgres import statements

    kinds = {BigInteger: "int8", Integer: "int4", Boolean: "bool", Double: "float8", LargeBinary: "bytea", Text: "text"}
    for kind in (*EVENTS.values(), *PLANS, *WEBHOOKS):
        for projection in projections_of(kind):
            for column in projection.columns:
                found = type(schema.metadata.tables[projection.table].columns[column].type)
                assert statements._kind(column) == kinds[found], f"{projection.table}.{column}"


def test_a_migrated_journal_is_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.db"
    assert upgrade(path) == Upgrade(None, versions.HEAD)
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    assert upgrade(f"sqlite:///{path}") == Upgrade(versions.HEAD, versions.HEAD)
    assert journal.run(run_id) is not None
    journal.close()
    assert downgrade(path) == Upgrade(versions.HEAD, None)
    assert {
        name for name in _tables_of(path) if "alembic_version" not in name and "sqlite_sequence" not in name
    } == set()
    assert upgrade(path) == Upgrade(None, versions.HEAD)


def test_a_current_journal_needs_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from penstock.core.events import Record, RunCreated
from penstock.journal import SqliteJournal
from penstock.journal.upgrade import upgrade
for _ in range(2):
    journal = SqliteJournal(Path(sys.argv[1]))
    journal.append(f"run {_}", 0, [Record(RunCreated(at=1, flow="shop", name="n"))])
    assert journal.run(f"run {_}")
    journal.vacuum()
    journal.close()
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"sqlalchemy", "alembic", "mako", "psycopg", "polars", "pyarrow"}))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "journal.db")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == ""


def test_a_journal_of_the_first_layout_and_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    upgrade(path)
    assert downgrade(path, "0001") == Upgrade(versions.HEAD, "0001")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        former_journal.write(connection.execute, "?", str.encode)
    with pytest.raises(JournalOutdated):
        SqliteJournal(path)
    assert upgrade(path) == Upgrade("0001", versions.HEAD)
    with closing(SqliteJournal(path)) as journal:
        former_journal.check(journal)
        former_journal.go_on(journal)
    assert downgrade(path, "0001") == Upgrade(versions.HEAD, "0001")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT run_id, count(*) FROM events GROUP BY run_id ORDER BY run_id").fetchall()
        assert rows == [(former_journal.ROOT, 3), (former_journal.CHILD, 3), (former_journal.OPEN, 4)]
        state = "SELECT state FROM runs WHERE id = ?"
        assert connection.execute(state, (former_journal.OPEN,)).fetchone() == ("Completed",)
    assert upgrade(path) == Upgrade("0001", versions.HEAD)
    with closing(SqliteJournal(path)) as journal:
        assert journal.last_seq(former_journal.OPEN) == 4
        assert [run.id for run in journal.runs(RunFilter(tags=("prod",)))] == [former_journal.ROOT]
