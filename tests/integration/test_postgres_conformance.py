"""The PostgreSQL journal passes the suite that ships in penstock.testing."""

from __future__ import annotations

import psycopg
import pytest

from penstock.core.ports import Journal
from penstock.journal.postgres import PostgresJournal
from penstock.testing import JournalConformance

pytestmark = pytest.mark.integration


class TestPostgres(JournalConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

    def make_journal(self) -> Journal:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS penstock CASCADE")
        return PostgresJournal(self.url, outage_seconds=20)

    def reopen(self, journal: Journal) -> Journal:
        return PostgresJournal(self.url, outage_seconds=20)
