"""What goes away again: old runs, and what nothing needs any more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.events import Append
    from penstock.core.model import Member, Run


class Removal(ABC):
    """What goes away again: old runs, and what nothing needs any more. A part of `Journal`."""

    @abstractmethod
    def delete(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that belongs to them (not their subflow runs); returns how many there were."""

    @abstractmethod
    def ended_before(self, state: str, until: int, after: str = "", limit: int = 100) -> list[Run]:
        """Runs that nobody called from a flow and that ended in this state before this time, by id, from `after` on."""

    @abstractmethod
    def families(self, run_ids: Sequence[str]) -> dict[str, list[Member]]:
        """Each of these runs with all runs of subflows below it, the deepest first."""

    @abstractmethod
    def needed_from(self) -> dict[str, int]:
        """The first position that each subscriber has not read yet, by name, and that `actions` which are owed need."""

    @abstractmethod
    def thin(self, run_id: str, rows: int) -> int:
        """Remove at most so many rows of what an ended run has left behind, in one short transaction.

        Its beginning and the run itself stay, and the newest record of all. Returns how many it were; 0 when nothing
        is left to remove.
        """

    @abstractmethod
    def purge(self, run_ids: Sequence[str], told: Append, streams: Sequence[str] = (), needed: int = 1 << 62) -> None:
        """Remove runs that have ended, with all that belongs to them, and append what is told of it: all or nothing.

        Cached results stay where they say until when, and that is to come.

        Args:
            run_ids: the runs; not those of their subflows.
            told: one record, in a stream that everybody who purges appends to.
            streams: these go with them.
            needed: but for what is in them from this position on.

        Raises:
            SequenceConflict: somebody else has purged meanwhile; nothing was removed.
        """

    @abstractmethod
    def forget(self, positions: Sequence[int]) -> int:
        """Remove these records of streams that are no runs; the last record of a stream that goes on stays."""

    @abstractmethod
    def purged_partitions(self, flow: str) -> set[str]:
        """Partitions of a flow with a completed run that was purged."""

    @abstractmethod
    def refs_of(self, run_ids: Sequence[str]) -> set[str]:
        """References to the result store in the records of these runs."""

    @abstractmethod
    def unused(self, refs: Sequence[str]) -> set[str]:
        """Which of these references nothing in the journal holds."""

    @abstractmethod
    def refs(self) -> set[str]:
        """Every result-store reference that some record still uses."""
