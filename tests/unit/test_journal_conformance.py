"""Every journal passes the suite that ships in penstock.testing."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.ports import Journal
from penstock.journal import MemoryJournal, SqliteJournal
from penstock.testing import JournalConformance


class TestMemory(JournalConformance):
    def make_journal(self) -> Journal:
        return MemoryJournal()

    def reopen(self, journal: Journal) -> Journal:
        return journal


class TestSqlite(JournalConformance):
    full = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.count = 0

    def make_journal(self) -> Journal:
        self.count += 1
        return SqliteJournal(self.folder / f"{self.count}.db", full=self.full)

    def reopen(self, journal: Journal) -> Journal:
        return SqliteJournal(Path(journal.location), full=self.full)


class TestSqliteFull(TestSqlite):
    full = True
