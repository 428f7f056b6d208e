"""How far a pipe has come, kept beside the files that it writes; data and position are committed by one rename.

What is committed is in `state.json`, and the rename that puts it there is the commit. A file that is to appear has been
written under another name before, and the state names it: it appears after the commit, or, where the process was killed
in between, when the pipe is opened the next time. So what can be seen is committed, and what is committed is shown.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from penstock.core.errors import PipeTakenOver, SinkUnavailable
from penstock.core.ports.data import Counts, Position


@dataclass(frozen=True)
class State:
    """What a pipe has committed.

    Attributes:
        pipe: its name.
        owner: who opened it last.
        position: where its source goes on.
        counts: everything it has ever committed.
        staged: how many batches wait to appear.
        complete: the last batch of a generation has appeared.
        generation: how many times the file has been replaced.
        columns: the schema of the rows, as text; empty for none yet.
        rejected: how many files of rejected records there are in this generation.
        appears: the file of the last commit: its name before, and its place.
    """

    pipe: str
    owner: str = ""
    position: Position | None = None
    counts: Counts = field(default_factory=Counts)
    staged: int = 0
    complete: bool = False
    generation: int = 1
    columns: str = ""
    rejected: int = 0
    appears: tuple[str, str] | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> State:
        """The reverse of `dataclasses.asdict`."""
        return cls(**{**said, "counts": Counts(**said["counts"])})


class Ledger:
    """The state of one pipe.

    Args:
        home: a folder for the states of all pipes that write to one place.
        pipe: the name of the pipe.
    """

    def __init__(self, home: str, pipe: str) -> None:
        self.home, self.pipe = home, pipe
        self.key = hashlib.blake2b(pipe.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        self.folder = os.path.join(home, self.key)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else commits to this place meanwhile.

        Raises:
            SinkUnavailable: the folder cannot be written.
        """
        with available(self.home):
            os.makedirs(self.home, exist_ok=True)
            handle = os.open(os.path.join(self.home, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)

    def path(self, name: str) -> str:
        """A file of this pipe's own."""
        return os.path.join(self.folder, name)

    def read(self) -> State | None:
        """What is committed; None where nothing is known of the pipe."""
        try:
            with open(self.path("state.json"), encoding="utf-8") as file:
                return State.of(json.load(file))
        except FileNotFoundError:
            return None

    def take(self) -> State:
        """Make the pipe this process's own."""
        os.makedirs(self.folder, exist_ok=True)
        state = replace(self.read() or State(self.pipe), owner=uuid4().hex)
        self.show(state)
        self.commit(state)
        return state

    def mine(self, state: State) -> None:
        """See that nobody has opened or forgotten the pipe since.

        Raises:
            PipeTakenOver: somebody has.
        """
        found = self.read()
        if found is None or found.owner != state.owner:
            raise PipeTakenOver()

    def commit(self, state: State) -> None:
        """Commit a state that makes no file appear."""
        _write(self.path("state.json"), asdict(state))

    def commit_file(self, state: State, made: str, target: str) -> State:
        """Commit a state together with a file, which appears in its place."""
        state = replace(state, appears=(os.path.basename(made), target))
        self.commit(state)
        self.show(state)
        return state

    def show(self, state: State) -> None:
        """Let the file of the last commit appear, if it has not."""
        if state.appears is not None and os.path.exists(made := self.path(state.appears[0])):
            os.replace(made, state.appears[1])
            sync_folder(os.path.dirname(state.appears[1]))

    def forget(self) -> None:
        """Remove all that is known of the pipe."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _write(path: str, said: Mapping[str, Any]) -> None:
    made = f"{path}.tmp"
    with open(made, "w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """See that names in a folder are on the disk."""
    handle = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def available(what: str) -> Iterator[None]:
    """Say what an error of the file system means.

    Raises:
        SinkUnavailable: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space; what has landed stays" if full else "see that this user may write there"
        told = "the disk is full" if full else error.strerror or str(error)
        raise SinkUnavailable(f"{what}: {told}.", hint=hint) from error
