"""How a conformance suite opens journals, and closes them again."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from penstock.core.events import Stored
from penstock.core.ports import Journal

_PATIENCE_SECONDS = 30.0


class Openings(ABC):
    """What a subclass provides, and helpers over it."""

    @abstractmethod
    def make_journal(self) -> Journal:
        """A new, empty journal."""

    @abstractmethod
    def reopen(self, journal: Journal) -> Journal:
        """The same journal opened once more, as another process would; the first stays open."""

    def opened(self) -> Journal:
        """A new journal that is closed after the test."""
        return self._kept(self.make_journal())

    def again(self, journal: Journal) -> Journal:
        """Another opening that is closed after the test."""
        return self._kept(self.reopen(journal))

    def _kept(self, journal: Journal) -> Journal:
        self.__dict__.setdefault("_journals", []).append(journal)
        return journal

    def teardown_method(self) -> None:
        """Close what was opened."""
        for journal in self.__dict__.pop("_journals", ()):
            journal.close()

    @staticmethod
    def settled(journal: Journal, after: int, count: int) -> list[Stored]:
        """Records behind a position, once there are so many: a journal may hold back what others may still precede."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            found = journal.read(after, 100_000)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)
