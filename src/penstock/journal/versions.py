"""The layout of the journal's tables this Penstock works with."""

from __future__ import annotations

from pathlib import Path

from penstock.core.errors import JournalOutdated, JournalTooNew

HEAD = "0002"
"""The newest migration. A test holds it equal to the head of the migrations folder."""

KNOWN = ("0001", "0002")

POSTGRES_SCHEMA = "penstock"
"""Where the tables are in a PostgreSQL database."""


def schema_sql(dialect: str) -> str:
    """The tables as the migrations leave them, so that a new journal needs no migration run."""
    return Path(__file__).with_name(f"schema.{dialect}.sql").read_text()


def check_version(found: str, where: str) -> None:
    """Accept the current layout only.

    Raises:
        JournalOutdated: it must be upgraded first.
        JournalTooNew: it was written by a newer Penstock.
    """
    check_known(found, where)
    if found != HEAD:
        raise JournalOutdated(f"The journal {where} has layout {found}; this Penstock needs {HEAD}.")


def check_known(found: str, where: str) -> None:
    """Accept every layout there has been.

    Raises:
        JournalTooNew: it was written by a newer Penstock.
    """
    if found not in KNOWN:
        raise JournalTooNew(f"The journal {where} has layout {found}, which this Penstock ({HEAD}) does not know.")
