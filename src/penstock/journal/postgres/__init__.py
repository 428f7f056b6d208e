"""The journal in PostgreSQL, for projects whose processes run on several machines."""

from penstock.journal.postgres.journal import PostgresJournal

__all__ = ["PostgresJournal"]
