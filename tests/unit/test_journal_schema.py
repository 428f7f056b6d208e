"""The tables are defined three times (metadata, migrations, snapshot); all say the same."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from penstock.journal import SqliteJournal, migrations, schema, versions
from penstock.journal.projections import PROJECTIONS, RUN_COLUMNS, TASK_COLUMNS
from penstock.journal.upgrade import Upgrade, downgrade, upgrade
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


def test_postgresql_by_metadata_and_by_migrations() -> None:
    dialect = postgresql.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in schema.metadata.sorted_tables]
    made += [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in schema.metadata.sorted_tables
        for index in table.indexes
    ]
    migrated = {item for item in _statements(migrations.snapshot("postgresql")) if "alembic_version" not in item}
    assert _statements(";".join(made)) == migrated


def test_projections_fill_the_tables() -> None:
    assert tuple(schema.runs.columns.keys()) == RUN_COLUMNS
    assert tuple(schema.task_runs.columns.keys()) == TASK_COLUMNS
    for projection in PROJECTIONS.values():
        assert set(projection.columns) <= set(schema.metadata.tables[projection.table].columns.keys())


def test_a_migrated_journal_is_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.db"
    assert upgrade(path) == Upgrade(None, versions.HEAD)
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    assert upgrade(f"sqlite:///{path}") == Upgrade(versions.HEAD, versions.HEAD)
    assert journal.run(run_id) is not None
    journal.close()
    assert downgrade(path) == Upgrade(versions.HEAD, None)
    assert {name for name in _tables_of(path) if "alembic_version" not in name} == set()
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
