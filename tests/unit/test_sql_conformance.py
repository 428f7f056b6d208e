"""Tables of SQLite and DuckDB pass the suite for sources, read whole and in increments."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest

from penstock.connectors.sql import SqlTable
from penstock.core.ports.data import Source
from penstock.testing.data_sources import SourceConformance

CREATE = "CREATE TABLE things (id bigint PRIMARY KEY, name text, amount double precision)"


class InFile(SourceConformance):
    """A table in a file of its own for each test."""

    options: ClassVar[dict[str, Any]] = {"batch_rows": 30}

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @abstractmethod
    def insert(self, sql: str, records: Sequence[dict[str, Any]]) -> None:
        """Execute this for each record; once where there are none."""

    @abstractmethod
    def source(self) -> Source:
        """The source over the file."""

    def make_source(self, records: Sequence[dict[str, Any]]) -> Source:
        self.insert(CREATE, [])
        self.add(records)
        return self.source()

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        self.insert("INSERT INTO things VALUES (?, ?, ?)", records)


class TestSQLite(InFile):
    def insert(self, sql: str, records: Sequence[dict[str, Any]]) -> None:
        with sqlite3.connect(self.folder / "things.db") as file:
            file.executemany(sql, [tuple(r.values()) for r in records]) if records else file.execute(
                sql if "CREATE" in sql else "SELECT 1"
            )
        file.close()

    def source(self) -> Source:
        return SqlTable(f"sqlite:///{self.folder / 'things.db'}", "things", **self.options)


class TestSQLiteInIncrements(TestSQLite):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 30, "cursor": "id", "lookback": 10}


class TestSQLiteQuery(TestSQLite):
    def source(self) -> Source:
        return SqlTable(
            f"sqlite:///{self.folder / 'things.db'}",
            query="SELECT * FROM things;",
            key="id",
            types={"amount": "real"},
            **self.options,
        )


class TestSQLiteWithoutKey(TestSQLite):
    def source(self) -> Source:
        query = "SELECT id + 0 AS id, name, amount FROM things"
        return SqlTable(f"sqlite:///{self.folder / 'things.db'}", query=query, **self.options)


class TestSQLiteInSpans(TestSQLite):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 10, "partitions": 3}


class TestDuckDB(InFile):
    def insert(self, sql: str, records: Sequence[dict[str, Any]]) -> None:
        with duckdb.connect(self.folder / "things.duckdb") as file:
            if records:
                file.executemany(sql, [tuple(r.values()) for r in records])
            elif "CREATE" in sql:
                file.execute(sql)

    def source(self) -> Source:
        return SqlTable(f"duckdb:///{self.folder / 'things.duckdb'}", "things", **self.options)


class TestDuckDBInIncrements(TestDuckDB):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 30, "cursor": "id"}
