"""A folder of Parquet files, parted by day and hour, in which each log has its own and replaces them as a whole.

    FOLDER/day=2026-01-05/hour=10/LOG-RUN-N.parquet   the lines of an hour (UTC)
    FOLDER/_malformed/LOG-RUN-N.parquet               the lines that mean nothing
    FOLDER/.penstock/LOG.json                         which files are of a log

Files are written aside first. What is to be moved and removed is then told in one file, which is the commit: whoever
comes next carries out what is told there, if the one who wrote it could not.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.core.errors import SinkUnavailable
from penstock.processing.logs.extras import Frame, pa, pl
from penstock.processing.logs.lines import Identity, Lines
from penstock.processing.logs.tally import compact

_MOST_ROWS = 150_000
_INSIDE = ".penstock"
_MALFORMED = "_malformed"
_COMMIT = ".commit"


class Folder:
    """The folder; one process at a time writes in it.

    Args:
        path: made where it is not there.

    Raises:
        SinkUnavailable: it cannot be written, or somebody else writes there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._inside = self.path / _INSIDE
        with self._telling():
            self._inside.mkdir(parents=True, exist_ok=True)
            self._lock = open(self._inside / "lock", "wb")  # noqa: SIM115 - held until it is closed
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise SinkUnavailable(f"Another process writes to {self.path}.", hint="wait until it is done") from None
            self._carry_out()

    def close(self) -> None:
        """Let others write."""
        self._lock.close()

    @contextmanager
    def replacing(self, file: str, identity: Identity) -> Iterator[Parts]:
        """What a log becomes; where all goes well, it takes the place of what it was before."""
        with self._telling():
            parts = Parts(self._inside / f"aside-{uuid.uuid4().hex[:12]}", file)
            try:
                yield parts
                parts.flush()
            except BaseException:
                parts.drop()
                raise
            self._commit(parts, identity)

    def _commit(self, parts: Parts, identity: Identity) -> None:
        former = next(
            (found for found in self._logs() if Identity(found["head"], found["known"]).fits(parts.file)), None
        )
        name = former["log"] if former is not None else uuid.uuid4().hex[:12]
        run = uuid.uuid4().hex[:8]
        moves = [[str(aside), f"{place}/{name}-{run}-{n}.parquet"] for n, (aside, place) in enumerate(parts.written)]
        log = {"log": name, "file": parts.file, "head": identity.head, "known": identity.known}
        told = {
            "moves": [[os.path.relpath(aside, self.path), place] for aside, place in moves],
            "removes": former["files"] if former is not None else [],
            "log": {**log, "files": [place for _, place in moves]},
        }
        _write(self._inside / f"{name}{_COMMIT}", told)
        self._carry_out()

    def _logs(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self._inside.glob("*.json"))]

    def _carry_out(self) -> None:
        """Do what is told in commits; what was written aside and is in none of them is of nobody."""
        for commit in sorted(self._inside.glob(f"*{_COMMIT}")):
            told = json.loads(commit.read_text())
            for aside, place in told["moves"]:
                if (self.path / aside).exists():
                    (self.path / place).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(self.path / aside, self.path / place)
            for place in told["removes"]:
                (self.path / place).unlink(missing_ok=True)
                self._without_empty((self.path / place).parent)
            _write(self._inside / f"{told['log']['log']}.json", told["log"])
            commit.unlink()
        for aside in self._inside.glob("aside-*"):
            shutil.rmtree(aside, ignore_errors=True)

    def _without_empty(self, folder: Path) -> None:
        while folder != self.path and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            told = f"{self.path} cannot be written: {error.strerror or error}."
            raise SinkUnavailable(told, hint="check the path, and the room on its disk") from None


class Parts:
    """The files that a log becomes, written aside.

    Args:
        aside: a folder of its own.
        file: the log.

    Attributes:
        written: each of them, and the folder it is for.
        rows: lines that mean something.
        wrong: lines that mean nothing.
        size: bytes of the files.
    """

    def __init__(self, aside: Path, file: str) -> None:
        self.file = file
        self.written: list[tuple[Path, str]] = []
        self.rows = self.wrong = self.size = 0
        self._aside = aside
        self._waiting: dict[str, list[Any]] = {}
        self._counts: dict[str, int] = {}

    def add(self, lines: Lines) -> None:
        """Take lines in; where many wait, those of the fullest hours are written."""
        self.rows += len(lines.frame)
        self.wrong += len(lines.wrong)
        if len(lines.frame):
            keyed = lines.frame.with_columns(
                pl.lit(self.file).alias("file"), pl.col("time").dt.strftime("day=%Y-%m-%d/hour=%H").alias("place")
            )
            for (place,), frame in keyed.partition_by("place", as_dict=True, include_key=False).items():
                self._wait(place, frame)
        if lines.wrong:
            rows = [(self.file, each.line, each.reason, each.text) for each in lines.wrong]
            schema = {"file": pl.String, "line": pl.Int64, "reason": pl.String, "text": pl.String}
            self._wait(_MALFORMED, pl.DataFrame(rows, schema, orient="row"))
        while sum(self._counts.values()) > _MOST_ROWS:
            self._write(max(self._counts, key=self._counts.__getitem__))

    def flush(self) -> None:
        """Write all that waits."""
        for place in sorted(self._counts):
            self._write(place)

    def drop(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def _wait(self, place: str, frame: Frame) -> None:
        self._waiting.setdefault(place, []).append(compact(frame))
        self._counts[place] = self._counts.get(place, 0) + len(frame)

    def _write(self, place: str) -> None:
        self._aside.mkdir(exist_ok=True)
        path = self._aside / f"{len(self.written)}.aside"
        frame = pl.from_arrow(pa.concat_tables(self._waiting.pop(place)))
        del self._counts[place]
        packed = io.BytesIO()  # Polars' own errors of writing are not to be told from others
        frame.write_parquet(packed, compression="zstd", compression_level=1)
        with path.open("wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        self.size += path.stat().st_size
        self.written.append((path, place))


def _write(path: Path, told: dict[str, Any]) -> None:
    """The file is there as a whole, or not at all."""
    aside = path.with_name(path.name + ".aside")
    with aside.open("w") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
