"""What the journal owes to the rooms above it; each part has a file of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from penstock.core.ports.journal_kept import Kept
from penstock.core.ports.journal_plans import Plans
from penstock.core.ports.journal_records import Records
from penstock.core.ports.journal_removal import Removal
from penstock.core.ports.journal_runs import Runs
from penstock.core.ports.journal_slots import Slots


class Journal(Records, Plans, Slots, Kept, Runs, Removal):
    """The append-only record of events, and the tables projected from it.

    Events belong to streams: one for each run (its id), deployment, pool, limit and automation. What is no history but
    only says who holds what at the moment (leases, slots, tickets, cursors) is kept beside the events.

    Every implementation passes `penstock.testing.JournalConformance`. All methods may be called from any thread.
    Driver errors are translated to `JournalError`s.
    """

    kind: str = ""
    location: str = ""
    remote: bool = False
    """An append waits for a network; async flows then append from a thread."""

    @abstractmethod
    def identity(self) -> str:
        """What tells this journal from every other one, wherever it is reached from."""

    @abstractmethod
    def status(self) -> Mapping[str, Any]:
        """Schema version, sizes and counts, for people."""

    @abstractmethod
    def vacuum(self) -> None:
        """Give freed space back."""

    @abstractmethod
    def close(self) -> None:
        """Release connections. Closing twice is fine."""
