"""Results: small ones inline in the record, large ones and frames by reference in a folder.

A file is named by the BLAKE2b digest of its content and appears whole or not at all (written aside, then renamed).
The serializer is named in the record. What JSON gives back exactly is stored as JSON, frames as Arrow IPC, and the
rest as a pickle, which only the process that runs the flow ever loads.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import pickle
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import JournalFull, JournalReadOnly, MissingExtra, ResultNotSaved, ResultUnavailable
from penstock.core.events import Saved
from penstock.core.extras import require
from penstock.core.ports import ResultStore

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_SCALARS = frozenset({int, str, bool, type(None)})
_WALK_LIMIT = 100_000
_YOUNG_SECONDS = 3600
_ASIDE = ".aside"
SAFE_SERIALIZERS = frozenset({"json"})
"""What a server may load: these cannot run code."""


def is_exactly_json(value: Any, _depth: int = 0, _budget: list[int] | None = None) -> bool:
    """True when JSON gives the same value back, types included (no tuples, no NaN, text keys only)."""
    kind = type(value)
    if kind in _SCALARS:
        return kind is not int or -(2**63) <= value < 2**64
    if kind is float:
        return math.isfinite(value)
    if kind is not list and kind is not dict:
        return False
    budget = _budget if _budget is not None else [_WALK_LIMIT]
    budget[0] -= len(value)
    if budget[0] < 0 or _depth > 64:
        return False
    if kind is dict:
        if any(type(key) is not str for key in value):
            return False
        value = value.values()
    kinds = set(map(type, value))
    if kinds <= {str, bool, type(None)}:
        return True
    return all(is_exactly_json(item, _depth + 1, budget) for item in value)


class FileResultStore(ResultStore):
    """Results in records and in a folder.

    Args:
        folder: made when first needed.
        inline_bytes: larger values go to the folder.
        sync: fsync files before they are referred to (durability = "full").
        journal: tells which journal refers to the files. Where several use one folder, nothing in it is ever removed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        inline_bytes: int = 16_384,
        sync: bool = False,
        journal: Callable[[], str] | None = None,
    ) -> None:
        self.folder = folder
        self.inline_bytes = inline_bytes
        self.sync = sync
        self._journal = journal
        self._marked = journal is None

    def __reduce__(self) -> Any:
        """A copy in another process, perhaps on another machine, makes no folder: it has to be this one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return _as_it_is, (str(self.folder), self.inline_bytes, self.sync)

    def save(self, value: Any) -> tuple[Saved, bytes | None]:
        """See `ResultStore.save`."""
        serializer, data = self._serialize(value)
        size = len(data)
        if size <= self.inline_bytes:
            return Saved(serializer, size), data
        return Saved(serializer, size, self._write(data)), None

    def load(self, saved: Saved, data: bytes | None) -> Any:
        """See `ResultStore.load`."""
        if saved.serializer == "none":
            raise ResultUnavailable(
                "This value could not be saved when it was recorded.",
                hint="return plain data, or make connections and clients inside the tasks that use them",
            )
        if saved.ref is not None:
            data = self.read(saved.ref)
        if data is None:
            raise ResultUnavailable("The record holds no bytes for this value.")
        try:
            return _load_bytes(saved.serializer, data)
        except ResultUnavailable:
            raise
        except MissingExtra as error:
            raise ResultUnavailable(
                f"A recorded value needs {error.module} to be read back.", hint=error.hint
            ) from error
        except Exception as error:
            raise ResultUnavailable(
                f"A recorded {saved.serializer} value of {saved.size} bytes cannot be read back: {error!r}",
                hint="the classes it is made of must be importable as they were when it was recorded",
            ) from error

    def renew(self, saved: Saved) -> bool:
        """See `ResultStore.renew`."""
        if saved.ref is None:
            return saved.serializer != "none"
        if not self._marked:
            self._mark()
        return self._is_there(self._path(saved.ref), saved.size)

    def adopt(self, saved: Saved, read: Callable[[str], bytes]) -> None:
        """See `ResultStore.adopt`."""
        if saved.ref is None or self.renew(saved):
            return
        data = read(saved.ref)
        if hashlib.blake2b(data, digest_size=20).hexdigest() != saved.ref:
            raise ResultUnavailable(
                f"What is kept as the result {saved.ref[:12]}... is something else.",
                hint="it is damaged there: execute the step that made it again",
            )
        self._write(data)

    def _serialize(self, value: Any) -> tuple[str, bytes]:
        if value is None:
            return "json", b"null"
        if is_exactly_json(value):
            try:
                return "json", _encode(value)
            except (ValueError, TypeError, OverflowError):  # lone surrogates
                pass
        frame = _frame_bytes(value)
        if frame is not None:
            return frame
        try:
            data = pickle.dumps(value, protocol=5)
            if b"__main__" not in data:
                return "pickle", data
        except Exception:
            pass
        try:
            import cloudpickle

            return "cloudpickle", cloudpickle.dumps(value, protocol=5)
        except Exception as error:
            raise ResultNotSaved(
                f"A value of type {type(value).__name__} cannot be saved: {type(error).__name__}: {error}",
                hint="return plain data, or make connections and clients inside the tasks that use them",
            ) from error

    def _path(self, ref: str) -> Path:
        return self.folder / ref[:2] / ref[2:]

    def _write(self, data: bytes) -> str:
        ref = hashlib.blake2b(data, digest_size=20).hexdigest()
        path = self._path(ref)
        if not self._marked:
            self._mark()
        if self._is_there(path, len(data)):
            return ref
        aside = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(3).hex()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(aside, "wb") as file:
                file.write(data)
                if self.sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(aside, path)
            if self.sync:
                _sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise JournalFull(f"The disk is full: a result of {len(data):,} bytes was not saved.") from error
            raise JournalReadOnly(f"A result cannot be written to {self.folder}: {error.strerror}.") from error
        return ref

    def _mark(self) -> None:
        """Leave a note of the journal whose files are here."""
        assert self._journal is not None
        mark = self._users / self._journal()
        with suppress(OSError):  # what is wrong with the folder, the file itself will tell
            if not mark.exists():
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
            self._marked = True

    @property
    def _users(self) -> Path:
        """Notes of whose files are in the folder."""
        return self.folder.with_name(f"{self.folder.name}.journals")

    def shared(self) -> bool:
        """See `ResultStore.shared`."""
        mine = self._journal() if self._journal is not None else None
        return any(mark.name != mine for mark in self._users.glob("*"))

    @staticmethod
    def _is_there(path: Path, size: int) -> bool:
        """Whether the content was stored before, whole; then it counts as new again, so that no sweep takes it."""
        try:
            if path.stat().st_size != size:
                return False
        except OSError:
            return False
        try:
            os.utime(path)
        except FileNotFoundError:  # a sweep has just taken it
            return False
        except OSError:
            pass
        return True

    def read(self, ref: str) -> bytes:
        """What is stored under a reference.

        Raises:
            ResultUnavailable: nothing is, or it is damaged.
        """
        try:
            data = self._path(ref).read_bytes()
        except OSError as error:
            raise ResultUnavailable(
                f"The result file {ref[:12]}... is not in {self.folder}: {error.strerror}.",
                hint="results live beside the journal (PENSTOCK_HOME/results); bring that folder along",
            ) from error
        if hashlib.blake2b(data, digest_size=20).hexdigest() != ref:
            with suppress(OSError):  # out of the way of who saves the same content again
                os.replace(self._path(ref), self._path(f"{ref}.damaged"))
            raise ResultUnavailable(
                f"The result file {ref[:12]}... is damaged (its content does not match its name).",
                hint="fork the run from the step that made it: penstock runs fork ID --from STEP",
            )
        return data

    def sweep(self, unused: Callable[[Sequence[str]], set[str]], part: range = range(256)) -> int:
        """See `ResultStore.sweep`. What a crash has left half written goes too."""
        removed = 0
        for number in part if not self.shared() else ():
            files: dict[str, list[Path]] = {}
            for path in (self.folder / f"{number:02x}").glob("*"):
                whole = not path.name.endswith((".part", _ASIDE))
                files.setdefault(path.parent.name + path.name.split(".")[0] if whole else "", []).append(path)
            loose = {"", *unused([ref for ref in files if ref])} & files.keys()
            removed += sum(_take_away(path) for ref in loose for path in files[ref])
        return removed

    def remove(self, refs: Iterable[str]) -> int:
        """See `ResultStore.remove`."""
        return sum(_take_away(self._path(ref)) for ref in refs) if not self.shared() else 0


class _SharedResultStore(FileResultStore):
    """The store of another process."""

    def _write(self, data: bytes) -> str:
        if not self.folder.is_dir():
            raise JournalReadOnly(
                f"A result of {len(data):,} bytes cannot be kept: {platform.node()} has no folder {self.folder}.",
                hint="share the folder of the results (PENSTOCK_HOME/results) with every worker, under the same path",
            )
        return super()._write(data)


def _as_it_is(folder: str, inline_bytes: int, sync: bool) -> FileResultStore:
    return _SharedResultStore(Path(folder), inline_bytes=inline_bytes, sync=sync)


def _take_away(path: Path) -> bool:
    """Delete a file unless it is young.

    Somebody may find the content stored, and count on it, while it is looked at here. So it is taken aside first: after
    that nobody finds it, and whoever found it before has made it young.
    """
    aside = path.with_name(f"{path.name}{_ASIDE}")
    try:
        if time.time() - path.stat().st_mtime <= _YOUNG_SECONDS:
            return False
        os.rename(path, aside)
        if time.time() - aside.stat().st_mtime <= _YOUNG_SECONDS:
            os.rename(aside, path)
            return False
        aside.unlink()
    except FileNotFoundError:  # another sweep took it
        return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _frame_bytes(value: Any) -> tuple[str, bytes] | None:
    """A data frame or table as Arrow IPC; None for anything else, and for a frame that Arrow does not give back."""
    package, kind = str(type(value).__module__).split(".")[0], type(value).__name__
    try:
        if package == "polars" and kind == "DataFrame":
            buffer = io.BytesIO()
            value.write_ipc(buffer, compression="zstd")
            return "arrow.polars", buffer.getvalue()
        if package == "pyarrow" and kind == "Table":
            return "arrow.table", _table_bytes(value)
        if package == "pandas" and kind == "DataFrame":
            table = require("pyarrow", "data").Table.from_pandas(value)
            return ("arrow.pandas", _table_bytes(table)) if table.to_pandas().equals(value) else None
    except Exception:
        return None
    return None


def _table_bytes(table: Any) -> bytes:
    arrow = sys.modules["pyarrow"]
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _load_bytes(serializer: str, data: bytes) -> Any:
    if serializer == "json":
        return _decode(data)
    if serializer in ("pickle", "cloudpickle"):
        return pickle.loads(data)
    if serializer == "arrow.polars":
        return require("polars", "data").read_ipc(io.BytesIO(data))
    if serializer in ("arrow.pandas", "arrow.table"):
        table = require("pyarrow", "data").ipc.open_file(data).read_all()
        return table.to_pandas() if serializer == "arrow.pandas" else table
    raise ResultUnavailable(
        f"This Penstock does not know the serializer {serializer!r}.",
        hint="upgrade Penstock to the version that ran it",
    )
