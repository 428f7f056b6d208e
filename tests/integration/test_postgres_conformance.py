"""The PostgreSQL journal passes the suite that ships in penstock.testing."""

from __future__ import annotations

import psycopg
import pytest

from penstock.core.ports import Journal
from penstock.journal.postgres import PostgresJournal
from penstock.testing import JournalConformance

pytestmark = pytest.mark.integration
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
"""Sessions that the test before has left are in nobody's way."""


class TestPostgres(JournalConformance):
    @pytest.fixture(autouse=True)
    def _database(self, shared_postgres_url: str) -> None:
        self.url = shared_postgres_url
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)

    def make_journal(self) -> Journal:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS penstock CASCADE")
        return PostgresJournal(self.url, outage_seconds=20)

    def reopen(self, journal: Journal) -> Journal:
        return PostgresJournal(self.url, outage_seconds=20)
