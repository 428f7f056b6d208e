"""What there is to read that has not been read, told from a listing and a summary of what has.

Files are read from the oldest to the newest. The position knows how far that went, so that whatever is newer is to be
read, and it has a summary of all that was read, so that an older file that came later (moved here with the time it had,
or written by a machine whose clock is late) is told from the older ones that were read.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from penstock.connectors.files.seen import Summary
from penstock.connectors.files.storage import Entry
from penstock.core.errors import SourceChanged
from penstock.core.ports.data import Place

_IN_MEMORY = 50_000
_SECOND = 1_000_000_000


class Listing(Protocol):
    """What is looked at."""

    slack: int
    """By how much a file may have been there before it was listed (nanoseconds)."""

    @property
    def place(self) -> Place:
        """For messages."""

    def entries(self) -> Iterator[Entry]:
        """Every file, in any order."""


class Queue:
    """Files in the order in which they are read; many of them wait in a temporary file."""

    def __init__(self) -> None:
        self._few: list[Entry] = []
        self._many: sqlite3.Connection | None = None
        self.count = 0
        self.bytes = 0

    def add(self, entry: Entry) -> None:
        """Put one in."""
        self._few.append(entry)
        self.count += 1
        self.bytes += entry.size
        if len(self._few) >= _IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        if self._many is None:
            self._many = sqlite3.connect("", check_same_thread=False)
            self._many.execute("CREATE TABLE entries (modified, name, size, tag, arrived)")
        rows = ((e.modified, os.fsencode(e.name), e.size, e.tag, e.arrived) for e in self._few)
        self._many.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        self._few.clear()

    def __iter__(self) -> Iterator[Entry]:
        if self._many is None:
            yield from sorted(self._few, key=lambda entry: entry.order)
            return
        self._spill()
        for modified, name, size, tag, arrived in self._many.execute("SELECT * FROM entries ORDER BY modified, name"):
            yield Entry(os.fsdecode(name), size, modified, tag, arrived)

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._many is not None:
            self._many.close()


class Candidate(NamedTuple):
    """A file that has not been read.

    Attributes:
        entry: as it was listed.
        late: it is older than others that were read.
        why: `new`; `changed`: another content was read under this name; `renamed`: this content was read under
            another name.
    """

    entry: Entry
    late: bool
    why: str


@dataclass
class Known:
    """What a position knows of files that were read.

    Attributes:
        until: the newest of them.
        seen: all of them that are still there, as far as is known.
        looked: when the storage was last looked at, and everything late was read (nanoseconds).
    """

    until: tuple[int, str] | None = None
    seen: Summary = field(default_factory=Summary)
    looked: int = 0

    def done(self, entry: Entry) -> None:
        """A file has been read."""
        self.seen.add(entry.identity)
        if self.until is None or entry.order > self.until:
            self.until = entry.order


class Scan:
    """One look at a storage.

    Args:
        listing: where.
        known: what has been read. What has left meanwhile is taken out of it.

    Attributes:
        fresh: files newer than all that were read, in order.
        late: files that are older and were not read.

    Raises:
        SourceChanged: so many files came and left that it cannot be told which of them were read.
    """

    def __init__(self, listing: Listing, known: Known) -> None:
        self._listing, self._known = listing, known
        self._since = known.looked - listing.slack
        self.started = time.time_ns()
        self.fresh = Queue()
        self.late: list[Entry] = []
        self._gone: set[bytes] = set()
        self._look()
        self._names = {identity[:8] for identity in self._gone}
        self._versions = {identity[8:] for identity in self._gone}
        for identity in self._gone:
            known.seen.remove(identity)

    def _older(self, entry: Entry) -> bool:
        return self._known.until is not None and entry.order <= self._known.until

    def _look(self) -> None:
        listed = Summary()
        for entry in self._listing.entries():
            if self._older(entry):
                listed.add(entry.identity)
            else:
                self.fresh.add(entry)
        told = listed.differences(self._known.seen)
        if told is None:
            self._look_closer()
            return
        come, self._gone = told
        if come:
            self.late = [e for e in self._listing.entries() if self._older(e) and e.identity in come]

    def _look_closer(self) -> None:
        """Too much differs: tell those that were here before from those that may have come since."""
        settled, suspects = Summary(), []
        for entry in self._listing.entries():
            if self._older(entry):
                if entry.arrived >= self._since:
                    suspects.append(entry)
                else:
                    settled.add(entry.identity)
        told = settled.differences(self._known.seen)
        if told is not None:
            come, missing = told
            self.late = [entry for entry in suspects if entry.identity not in missing]
            self._gone = missing - {entry.identity for entry in suspects}
            if not come:
                return
        elif not suspects:
            self._known.seen = settled
            return
        raise SourceChanged(
            f"{self._listing.place}: so many files left while others came or were touched that it cannot be told which "
            "of them have been read.",
            hint="move away those that have been read; give those that have not been read the time of now (`touch`)",
        )

    def __iter__(self) -> Iterator[Candidate]:
        for entry in sorted(self.late, key=lambda entry: entry.order):
            yield Candidate(entry, True, self._why(entry))
        for entry in self.fresh:
            yield Candidate(entry, False, self._why(entry))

    def _why(self, entry: Entry) -> str:
        if entry.identity[:8] in self._names:
            return "changed"
        sure = bool(entry.tag) or entry.modified % _SECOND != 0  # a time in whole seconds tells too little
        return "renamed" if sure and entry.version in self._versions else "new"

    def close(self) -> None:
        """Let go of the temporary file."""
        self.fresh.close()
