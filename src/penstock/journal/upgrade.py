"""Brings a journal from an older layout to the current one, keeping every run: `penstock db upgrade`.

SQLAlchemy and Alembic are imported when a journal is upgraded, and by nothing else that runs, lists or resumes.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import NamedTuple

from penstock.core.errors import JournalCorrupt
from penstock.journal.sqlite import check_header, journal_error, translated
from penstock.journal.versions import HEAD, check_known

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
        target: the journal's file, or its URL (postgresql:// or sqlite:///).

    Raises:
        JournalTooNew, JournalCorrupt: it was not touched.
    """
    return _migrate(target, HEAD, down=False)


def downgrade(target: str | Path, revision: str = "base") -> Upgrade:
    """Go back to an older layout, or (`base`) to no tables at all. For tests."""
    return _migrate(target, revision, down=True)


def _migrate(target: str | Path, revision: str, *, down: bool) -> Upgrade:
    if isinstance(target, str) and target.startswith(("postgresql://", "postgres://")):
        return _migrate_postgres(target, revision, down)
    path = target.removeprefix("sqlite:///") if isinstance(target, str) else target
    return _migrate_sqlite(Path(path), revision, down)


def _migrate_sqlite(path: Path, revision: str, down: bool) -> Upgrade:
    from penstock.journal import migrations

    connect = partial(sqlite3.connect, path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_header(path)
        try:
            found = migrations.bring(connect, "sqlite", revision, partial(_check, str(path)), down=down)
        except migrations.DBAPIError as error:
            raise journal_error(error.orig or error, path) from error
    return Upgrade(*found)


def _migrate_postgres(url: str, revision: str, down: bool) -> Upgrade:
    from penstock.journal import migrations
    from penstock.journal.postgres import server

    parameters = server.address(url)
    place = server.place_of(parameters)
    connect = partial(server.connect_for_migration, parameters, _WAIT_SECONDS)
    with server.translated(place):
        try:
            found = migrations.bring(connect, "postgresql", revision, partial(_check, place), down=down)
        except migrations.DBAPIError as error:
            raise (error.orig or error) from None
    return Upgrade(*found)


def _check(place: str, before: str | None, tables: set[str]) -> None:
    if before is not None:
        check_known(before, place)
    elif tables - {"alembic_version"}:
        raise JournalCorrupt(f"{place} holds tables, but no Penstock journal. It was not touched.")
