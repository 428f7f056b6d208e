"""Where the content of files is that somebody sent in: in a folder beside the results, each under its id.

A file appears whole or not at all, and never changes. It goes when it is deleted and no run is there that was given it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from penstock.core.errors import JournalError, JournalFull, JournalReadOnly, ParameterError
from penstock.core.ports import Journal
from penstock.core.uploads import MARK, files_in, is_file_id, marked, ref_of

_PART = ".part"
_YOUNG_SECONDS = 3600
_PAGE = 500
PARTS = 256
"""Folders that the content of files is in."""


class FileShelf:
    """The folder.

    Args:
        folder: made when first needed.
        sync: fsync files before they count (durability = "full").
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self.folder = folder
        self.sync = sync

    def path(self, file_id: str) -> Path:
        """Where the content of a file is, or would be. Nothing but an id ever becomes a path."""
        if not is_file_id(file_id):
            raise ValueError(f"{file_id!r} is no id of a file")
        return self.folder / file_id[-2:] / file_id

    def begin(self, file_id: str) -> IO[bytes]:
        """Open a file to write it; it is none before `keep`.

        Raises:
            JournalFull, JournalReadOnly: it cannot be written.
        """
        place = self._part(file_id)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            return open(place, "xb", buffering=0)
        except OSError as error:
            raise self.failure(error) from error

    def keep(self, file_id: str, file: IO[bytes]) -> None:
        """What was written is the file.

        Raises:
            JournalFull, JournalReadOnly: it cannot be written.
        """
        path = self.path(file_id)
        try:
            if self.sync:
                os.fsync(file.fileno())
            file.close()
            os.replace(self._part(file_id), path)
            if self.sync:
                handle = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        except OSError as error:
            raise self.failure(error) from error

    def drop(self, file_id: str) -> None:
        """Take away what was written, if anything was."""
        for place in (self._part(file_id), self.path(file_id)):
            with suppress(OSError):
                place.unlink()

    def failure(self, error: OSError) -> JournalError:
        """What an error of the disk means."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return JournalFull("The disk is full: the file was not kept.", hint="free some space, then send it again")
        return JournalReadOnly(f"A file cannot be written to {self.folder}: {error.strerror or error}.")

    def _part(self, file_id: str) -> Path:
        return self.path(file_id).with_name(f"{file_id}{_PART}")

    def resolved(self, target: str, value: Any) -> Any:
        """Parameters with the paths of files in place of what stands for them.

        Args:
            target: whose parameters they are, for people.
            value: the parameters.

        Raises:
            ParameterError: there is no such file; it names each.
        """
        mistakes = [
            (
                place,
                f"there is no file {str(each)[:100]!r}; it was deleted, or sent to a server with another home folder",
            )
            for place, each in files_in(value)
            if not (is_file_id(each) and self.path(each).is_file())
        ]
        if mistakes:
            raise ParameterError(target, mistakes)
        return self._filled(value)

    def _filled(self, value: Any) -> Any:
        if marked(value):
            return str(self.path(value[MARK]))
        if isinstance(value, Mapping) and not (len(value) == 1 and "$literal" in value):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._filled(item) for item in value]
        return value

    def sweep(self, journal: Journal, part: range = range(PARTS)) -> int:
        """Take away what is no file (any more) and what no run was given, unless it is young; returns how many.

        Args:
            journal: knows the files.
            part: of the folders that they are in.
        """
        removed = 0
        for number in part:
            try:
                old = [path for path in (self.folder / f"{number:02x}").iterdir() if _is_old(path)]
            except OSError:  # the others can be looked through
                continue
            loose = [path for path in old if path.name.endswith(_PART)]
            ids = [path.name for path in old if is_file_id(path.name)]
            for start in range(0, len(ids), _PAGE):
                some = ids[start : start + _PAGE]
                known = {each.id for each in journal.files(some, limit=len(some))}
                gone = [each for each in some if each not in known]
                free = journal.unused([ref_of(each) for each in gone])
                loose += [self.path(each) for each in gone if ref_of(each) in free]
            for path in loose:
                with suppress(OSError):
                    path.unlink()
                    removed += 1
        return removed


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _YOUNG_SECONDS
    except OSError:  # somebody else took it away
        return False


def refuse_missing(journal: Journal, target: str, parameters: Mapping[str, Any]) -> None:
    """See that the files which parameters name are there.

    Raises:
        ParameterError: it names each that is not.
    """
    mistakes = [
        (place, f"there is no file {str(each)[:100]!r}")
        for place, each in files_in(parameters)
        if not (is_file_id(each) and journal.files(each))
    ]
    if mistakes:
        raise ParameterError(target, mistakes)
