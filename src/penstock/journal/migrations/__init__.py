"""Runs the migrations. Besides `schema`, the only code that imports SQLAlchemy and Alembic; `upgrade` does so late."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

__all__ = ["FOLDER", "DBAPIError", "bring", "engine_over", "head", "known", "snapshot"]

FOLDER = Path(__file__).parent


def _config(connection: Connection | None = None, output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest migration."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def known() -> tuple[str, ...]:
    """Every migration, oldest first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(reversed([script.revision for script in scripts]))


def engine_over(connect: Callable[[], Any], dialect: str) -> Engine:
    """An engine over plain driver connections, so that a journal is reached here as it is everywhere else.

    Args:
        connect: makes a driver connection; one of SQLite must be in autocommit mode.
        dialect: sqlite or postgresql.
    """
    name = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}[dialect]
    engine = create_engine(name, creator=connect, poolclass=NullPool)
    if dialect == "sqlite":
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def bring(
    connect: Callable[[], Any],
    dialect: str,
    revision: str,
    check: Callable[[str | None, set[str]], None],
    *,
    down: bool = False,
) -> tuple[str | None, str | None]:
    """Bring a database to a revision, in one transaction.

    Args:
        connect: makes a driver connection.
        dialect: sqlite or postgresql.
        revision: where to.
        check: gets the layout and the tables that are there, and refuses what is no business of ours.
        down: go back.

    Returns:
        The layouts before and after; None for a database without a journal.
    """
    engine = engine_over(connect, dialect)
    try:
        with engine.begin() as connection:
            before = _current(connection)
            check(before, set(inspect(connection).get_table_names()))
            (command.downgrade if down else command.upgrade)(_config(connection), revision)
            return before, _current(connection)
    finally:
        engine.dispose()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def snapshot(dialect: str) -> str:
    """The tables as the migrations leave them, as SQL: what `schema.DIALECT.sql` holds."""
    statements = _sqlite_tables() if dialect == "sqlite" else _offline_tables(dialect)
    return "".join(f"{_tidy(statement)};\n" for statement in statements)


def _sqlite_tables() -> list[str]:
    connect = partial(sqlite3.connect, ":memory:", isolation_level=None)
    with engine_over(connect, "sqlite").begin() as connection:
        command.upgrade(_config(connection), "head")
        rows = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        )
        return [str(row[0]) for row in rows]


def _offline_tables(dialect: str) -> list[str]:
    output = io.StringIO()
    config = _config(output=output)
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    lines = [line for line in output.getvalue().splitlines() if not line.startswith("--")]
    statements = [statement.strip() for statement in "\n".join(lines).split(";\n")]
    versions = ("INSERT INTO alembic_version", "UPDATE alembic_version")
    return [statement for statement in statements if statement and not statement.startswith(versions)]


def _tidy(statement: str) -> str:
    lines = [line.rstrip().replace("\t", "  ") for line in statement.strip().splitlines()]
    return "\n".join(line for line in lines if line).replace("\n)\n WITHOUT ROWID", "\n) WITHOUT ROWID")
