"""Changes of a table pass the suite for sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from tests.integration.changing import slots_dropped

from penstock.connectors.cdc import PostgresChanges
from penstock.core.ports.data import Source
from penstock.testing.data_sources import SourceConformance

pytestmark = pytest.mark.integration


class TestPostgresChanges(SourceConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> Iterator[None]:
        self.url = postgres_url
        with slots_dropped(postgres_url):
            yield

    def make_source(self, records: Sequence[dict[str, Any]]) -> Source:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE things (id int PRIMARY KEY, name text, amount double precision)")
        self.add(records)
        return PostgresChanges(self.url, ["public.things"], slot=f"s{uuid4().hex}", batch_rows=30)

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%(id)s, %(name)s, %(amount)s)", records)
