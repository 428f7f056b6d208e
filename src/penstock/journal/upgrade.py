"""Brings a journal from an older layout to the current one, keeping every run: `penstock db upgrade`.

This imports SQLAlchemy and Alembic, which nothing else does that runs, lists or resumes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.errors import JournalCorrupt, JournalError
from penstock.journal.sqlite import translated
from penstock.journal.versions import HEAD, KNOWN, POSTGRES_SCHEMA, check_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WAIT_SECONDS = 60.0


class Upgrade(NamedTuple):
    """What an upgrade did.

    Attributes:
        before: the layout it found; None when there was no journal.
        after: the layout there is now.
    """

    before: str | None
    after: str | None


def upgrade(target: str | Path) -> Upgrade:
    """Bring a journal to the current layout, in one transaction; one that is missing is made.

    Args:
        target: the journal's file, or the URL of its PostgreSQL database.

    Raises:
        JournalTooNew, JournalCorrupt: it was not touched.
    """
    return _migrate(target, HEAD, down=False)


def downgrade(target: str | Path, revision: str = "base") -> Upgrade:
    """Go back to an older layout, or (`base`) to no tables at all. For tests."""
    return _migrate(target, revision, down=True)


def _migrate(target: str | Path, revision: str, *, down: bool) -> Upgrade:
    from penstock.journal import migrations

    opened = _postgres(str(target)) if "://" in str(target) or "=" in str(target) else _sqlite(Path(target))
    with opened as (dialect, connect, place, prepare):
        engine = migrations.engine_over(connect, dialect)
        try:
            with _explained(place), engine.begin() as connection:
                prepare(connection)
                before = migrations.current(connection)
                if before is not None and before not in KNOWN:
                    check_version(before, place)
                if before is None and _tables(connection):
                    raise JournalCorrupt(f"{place} holds tables, but no Penstock journal. It was not touched.")
                migrations.migrate(connection, revision, down=down)
                return Upgrade(before, migrations.current(connection))
        finally:
            engine.dispose()


def _tables(connection: Connection) -> list[str]:
    from sqlalchemy import inspect

    return inspect(connection).get_table_names()
