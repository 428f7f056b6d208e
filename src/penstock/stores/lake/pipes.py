"""One pipe at one table: position and rows are one commit, and only whoever opened it last can commit.

A commit carries a transaction of the pipe with a number that no other attempt has. Two writers of one pipe cannot both
commit: Delta's rules say that a commit is void when another one with the pipe's transaction came between. What does
not go into a Delta commit (position, counts, quarantine) is written to files with that number before the commit, and
counts when the table has the number. So there is one moment at which all of it comes true.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

from penstock.core.errors import DataError, PipeTakenOver, SinkUnavailable
from penstock.stores.lake.delta import Table, Ticket
from penstock.stores.lake.failures import conflict
from penstock.stores.lake.states import State, folder_of

BESIDE = "_penstock"
_TRIES = 12
_LONGEST_PAUSE = 2.0
_TOLD_CHARACTERS = 500


class Stale(Exception):
    """Another writer has changed the table since it was looked at: plan the commit again."""


def tries(what: str) -> Iterator[int]:
    """Numbers from 0, with pauses that grow, and an end.

    Raises:
        SinkUnavailable: it was tried often enough.
    """
    for number in range(_TRIES):
        if number:
            time.sleep(random.uniform(0.5, 1) * min(_LONGEST_PAUSE, 0.02 * 2**number))
        yield number
    raise SinkUnavailable(
        f"{what}: other writers changed it {_TRIES} times while this one wanted to.",
        hint="nothing was written by this one; run it again, or let fewer pipes merge into one table at once",
    )


class Pipe:
    """A pipe's end at a table.

    Attributes:
        table: at the version of the last commit, or a later one.
        state: the one that counts.
        number: its transaction.
        known: the version of the table of which that is known to be the last one.
    """

    def __init__(self, table: Table, pipe: str) -> None:
        self.table = table
        self.folder = f"{table.path}/{BESIDE}/{folder_of(pipe)}"
        self.app = f"penstock/{folder_of(pipe)}"
        self.state = State(pipe)
        self.number = 0
        self.known = -1
        self._storage = table.storage
        self._over: DataError | None = None

    def open(self) -> None:
        """Go on where the last commit left off, and shut out whoever had it open."""
        for _ in tries(f"The table {self.table.path}"):
            if not self._look():
                continue
            found = self._storage.names(self.folder)
            attempt = self.attempt()
            try:
                attempt.commit(self.state, self.table.touch)
            except (Stale, PipeTakenOver):  # somebody opened it at the same moment; the last one goes on
                self._over = None
                continue
            # Nobody who had it open before can make any of these true any more; what came later is not in the list.
            leftovers = set(found) - self._needed()
            with suppress(SinkUnavailable):
                self._storage.remove(sorted(leftovers))
            return

    def _look(self) -> bool:
        """Read the state that counts; False where another process has moved on meanwhile."""
        self.table.refresh()
        number, self.known = self.table.transaction(self.app), self.table.version
        if number is None:
            self.state, self.number = State(self.state.pipe), 0
            return True
        data = self._storage.get(self._path(number))
        if data is None:
            self.table.refresh()
            if self.table.transaction(self.app) != number:
                return False
            raise DataError(
                f"The state of the pipe {self.state.pipe!r} is gone from {self._storage.uri(self.folder)}.",
                hint="restore the folder from a backup; or begin anew with forget(), after which what has landed "
                "already may land again",
            )
        self.state, self.number = State.decode(data), number
        return True

    def peek(self) -> State:
        """The state that counts, without opening the pipe."""
        for _ in tries(f"The table {self.table.path}"):
            if self._look():
                break
        return self.state

    def _needed(self) -> set[str]:
        names = {f"{self.number}.json"}
        names.update(self.state.rejected.every(self.listed, 2))
        names.update(self.state.spool.every(self.listed, 1))
        return {f"{self.folder}/{name}" for name in names}

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number}.json"

    def read(self, name: str) -> bytes:
        """One of the pipe's files.

        Raises:
            DataError: it is gone.
        """
        data = self._storage.get(f"{self.folder}/{name}")
        if data is None:
            raise DataError(f"{self._storage.uri(self.folder)}/{name} is gone.", hint="restore it from a backup")
        return data

    def listed(self, name: str) -> list[str]:
        """The names in a list."""
        return self.read(name).decode().split("\n")

    def attempt(self) -> Attempt:
        """A commit to be."""
        if self._over is not None:
            raise self._over
        return Attempt(self, self.number + 1 + secrets.randbelow(1 << 31))

    def give_up(self, error: DataError) -> None:
        """Nothing can be committed any more."""
        self._over = error

    def settle(self, number: int, state: State) -> None:
        """That attempt has been committed."""
        before, self.number, self.state, self.known = self.number, number, state, self.table.version
        if before:
            with suppress(SinkUnavailable):  # the next `open` removes it
                self._storage.remove([self._path(before)])


class Attempt:
    """One try to commit: its files are written first, and go away when it is sure that it has failed.

    Attributes:
        number: of its transaction, and the name of its files.
        obsolete: files of the pipe that nobody needs when this has been committed.
    """

    def __init__(self, pipe: Pipe, number: int) -> None:
        self.number = number
        self.obsolete: list[str] = []
        self._pipe = pipe
        self._seen = pipe.table.version
        self._written: list[str] = []

    def put(self, name: str, data: bytes) -> str:
        """Write one of its files."""
        path = f"{self._pipe.folder}/{name}"
        self._pipe.table.storage.put(path, data)
        self._written.append(path)
        return name

    def commit(self, state: State, write: Callable[[Ticket], None]) -> None:
        """Commit the state and what `write` writes, or neither.

        Raises:
            Stale: neither; the table has changed, and what is to be written may have to change with it.
            PipeTakenOver: neither, and never again.
            SinkUnavailable: neither, or the answer was lost: only `open` can tell.
        """
        pipe = self._pipe
        # Delta looks for the pipe's transaction in what came after the version that the table is at. Where something
        # else than a commit of this pipe (compaction) has moved it on, what came before has to be looked at here.
        if pipe.table.version != pipe.known and pipe.table.transaction(pipe.app) != (pipe.number or None):
            self._end()
        try:
            self.put(f"{self.number}.json", state.encode())
            write(Ticket(pipe.app, self.number, _told(state)))
        except Exception as error:
            self._failed(error)
        except BaseException:
            pipe.give_up(_unsure(pipe))
            raise
        pipe.settle(self.number, state)
        with suppress(SinkUnavailable):
            pipe.table.storage.remove(f"{pipe.folder}/{name}" for name in self.obsolete)

    def _failed(self, error: Exception) -> None:
        """Find out what has become of it; returns where it was committed after all."""
        pipe = self._pipe
        pipe.give_up(_unsure(pipe))
        try:
            pipe.table.refresh()
            now = pipe.table.transaction(pipe.app)
        except Exception:
            raise error from None
        if now == self.number:  # only the answer was lost
            pipe._over = None
            return
        if now != (pipe.number or None):
            self._end()
        if not conflict(error):
            raise error
        if pipe.table.version == self._seen:  # nobody else has committed: the log could not be written
            with pipe.table.storage.failing(pipe.table.path):
                raise OSError(str(error)) from error
        pipe._over, pipe.known = None, pipe.table.version
        self._withdraw()
        raise Stale from None

    def _end(self) -> NoReturn:
        """The pipe is somebody else's."""
        pipe = self._pipe
        self._withdraw()
        over = PipeTakenOver(
            f"Another process has opened or forgotten the pipe {pipe.state.pipe!r} into {pipe.table.path}.",
            hint="let only one process run a pipe; the other one goes on from the last commit",
        )
        pipe.give_up(over)
        raise over from None

    def _withdraw(self) -> None:
        with suppress(SinkUnavailable):
            self._pipe.table.storage.remove(self._written)


def _unsure(pipe: Pipe) -> SinkUnavailable:
    return SinkUnavailable(
        f"The last commit of the pipe {pipe.state.pipe!r} into {pipe.table.path} had no answer.",
        hint="open the pipe again: it knows then what has landed",
    )


def _told(state: State) -> dict[str, str]:
    """For people who read the table's history."""
    counts = state.counts
    position = state.position or ""
    return {
        "penstock.pipe": state.pipe[:_TOLD_CHARACTERS],
        "penstock.position": position if len(position) <= _TOLD_CHARACTERS else f"{position[:_TOLD_CHARACTERS]}…",
        "penstock.read": str(counts.read),
        "penstock.landed": str(counts.landed),
        "penstock.superseded": str(counts.superseded),
        "penstock.rejected": str(counts.rejected),
    }
