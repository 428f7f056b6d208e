"""The same counting on a Dask cluster: workers count stretches of files, and the counts are put together here.

A stretch is the lines that begin between two places of a file; a packed file is one stretch. Counts come back in the
order of the files, so that lines have their numbers and totals are those of the embedded engine. A stretch whose
worker is lost is counted by another one.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from typing import Any, NamedTuple

from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.extras import require
from penstock.core.packed import compression_of
from penstock.processing.logs import detection
from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.access_counts import Part, count_block
from penstock.processing.logs.blocks import LONGEST, Block, Buffers, blocks_of
from penstock.processing.logs.opening import STDIN, Opened
from penstock.processing.logs.text_counts import TextPart, count_text
from penstock.processing.logs.text_formats import TextFormat

ENGINES = ("local", "dask")
Counted = tuple[TextFormat | None, Block, Part | TextPart]

_MOST_CHUNKS = 8
"""So many chunks are a stretch at most: their counts come back together."""
_STRETCHES = 4
"""So many stretches of a file are made for each thread of the cluster, at least."""
_AHEAD = 3
"""So many stretches are given out for each thread, finished ones among them: what waits is bounded."""
_CONNECT_SECONDS = 15
_SHOWN = 64
"""Of more malformed lines of a chunk only their number comes back."""
_STEP = 64 << 10
_LINE_END = 10


class Wanted(NamedTuple):
    """What is counted, and how.

    Attributes:
        size: bytes that are looked at together.
        kind: the format; None for access logs.
        auto: the format is told by the first lines instead.
        year_of: the year of times that have none, of a file.
    """

    size: int
    kind: TextFormat | None
    auto: bool
    year_of: Callable[[str], int]


def scheduler_of(engine: str, scheduler: Any) -> Any:
    """The scheduler to spread the counting with; None to count here.

    Raises:
        BadData: there is no such engine, or a scheduler is missing, or is of no use.
    """
    if engine not in ENGINES:
        raise BadData(f"There is no engine {engine!r} for logs.", hint=f"one of {', '.join(ENGINES)}")
    if (engine == "dask") != (scheduler is not None):
        told = "needs the address of a scheduler" if engine == "dask" else "has no scheduler"
        raise BadData(f"The engine {engine} {told}.", hint="such as engine dask, scheduler tcp://10.0.0.5:8786")
    return scheduler


class Stretch(Opened):
    """The lines of a plain file that begin from one place on and before another.

    Args:
        path: a file.
        start: bytes before the first place.
        end: bytes before the other.

    Raises:
        SourceUnavailable: it cannot be read.
    """

    def __init__(self, path: str, start: int, end: int) -> None:
        super().__init__(path)
        self._end = end
        self._inside = False
        if start:
            self._skip_to(start)

    def _skip_to(self, start: int) -> None:
        """To the first line that begins there or later, or to the end of the stretch."""
        self._head, self._unpacked = b"", None
        self._file.seek(start - 1)
        self.position = start - 1
        while self.position < self._end:
            piece = self.read(_STEP)
            place = piece.find(b"\n")
            if place >= 0:
                self.position += place + 1 - len(piece)
                self._file.seek(self.position)
                return
            if not piece:
                return

    def readinto(self, view: memoryview) -> int:
        """See `Opened.readinto`; the last line is read to its end, wherever that is."""
        room = self._end - self.position
        if room > 0:
            count = super().readinto(view[:room])
            self._inside = count > 0 and view[count - 1] != _LINE_END
            return count
        if not self._inside:
            return 0
        count = super().readinto(view[:_STEP])
        place = bytes(view[:count]).find(b"\n")
        if place >= 0:
            self._inside = False
            self.position += place + 1 - count
            return place + 1
        return count


class Spread:
    """Hands out stretches of files to the workers of a cluster; a context manager.

    Args:
        scheduler: its address, such as `tcp://10.0.0.5:8786`; or a `distributed.Client`, which is left open.
        files: in the order in which they will be asked for.
        wanted: what is counted.

    Raises:
        SourceUnavailable: there is no such cluster, or it has no workers.
        BadData: something can be read here only.
    """

    def __init__(self, scheduler: Any, files: Sequence[str], wanted: Wanted) -> None:
        for path in files:
            if path == STDIN or not os.path.isfile(path):
                told = "standard input" if path == STDIN else path
                raise BadData(f"{told} can be read once, and here only.", hint="workers of a cluster read files")
        self._wanted = wanted
        self._client, self._mine = _client_of(scheduler)
        self._threads = _threads_of(self._client)
        self._coming = self._stretches(files)
        self._waiting: deque[tuple[str, Any]] = deque()

    def __enter__(self) -> Spread:
        return self

    def __exit__(self, *unused: object) -> None:
        waiting = [future for _, future in self._waiting]
        self._waiting.clear()
        with suppress(Exception):  # the cluster may be gone
            self._client.cancel(waiting)
        if self._mine:
            self._client.close()

    def counted(self, path: str) -> Iterator[Counted]:
        """What was counted of a file, in its order.

        Raises:
            SourceUnavailable: a worker cannot read it, or the cluster is lost.
        """
        self._give_out()
        while self._waiting and self._waiting[0][0] == path:
            _, future = self._waiting.popleft()
            yield from self._result(path, future)
            self._give_out()

    def _give_out(self) -> None:
        while len(self._waiting) < _AHEAD * self._threads:
            found = next(self._coming, None)
            if found is None:
                return
            self._waiting.append(found)

    def _stretches(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        wanted = self._wanted
        for path in files:
            year, kind, size = wanted.year_of(path), wanted.kind, os.path.getsize(path)
            places, there = _places_of(path, size, wanted.size, self._threads), os.path.abspath(path)
            if wanted.auto and len(places) > 1:
                kind = self._client.submit(_told_kind, there, size, wanted.size, pure=False)
            for start, end in places:
                asked = (there, size, start, end, wanted.size, kind, wanted.auto and len(places) == 1, year)
                yield path, self._client.submit(_count, *asked, pure=False)

    def _result(self, path: str, future: Any) -> list[Counted]:
        lost = f"The cluster was lost while {path} was read"
        try:
            found: list[Counted] = future.result()
        except CancelledError as error:
            raise SourceUnavailable(f"{lost}: {error}.", hint="is the scheduler still running?") from None
        except require("distributed", "dask").KilledWorker as error:
            hint = "their logs say why; where memory is short, a smaller chunk_size takes less"
            told = f"The workers that read {path} died, {error.allowed_failures + 1} in a row."
            raise SourceUnavailable(told, hint=hint) from None
        except ModuleNotFoundError as error:
            hint = "workers need what is here: pip install 'penstock[data,dask]'"
            raise SourceUnavailable(f"The workers cannot count: {error}.", hint=hint) from None
        future.release()
        return found


def _client_of(scheduler: Any) -> tuple[Any, bool]:
    """A client of the cluster, and whether it is ours to close."""
    distributed = require("distributed", "dask")
    if isinstance(scheduler, distributed.Client):
        return scheduler, False
    try:
        return distributed.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False), True
    except (OSError, ValueError) as error:
        hint = "its address is such as tcp://10.0.0.5:8786; `dask scheduler` says it when it starts"
        raise SourceUnavailable(f"There is no Dask scheduler at {scheduler}: {error}.", hint=hint) from None


def _threads_of(client: Any) -> int:
    """Of all workers.

    Raises:
        SourceUnavailable: there is none.
    """
    with suppress(TimeoutError):
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    threads = sum(client.nthreads().values())
    if not threads:
        client.close()
        raise SourceUnavailable("The Dask cluster has no workers.", hint="start one: dask worker ADDRESS")
    return int(threads)


def _places_of(path: str, size: int, chunk: int, threads: int) -> list[tuple[int, int]]:
    """Where stretches begin and end; between two chunks."""
    with open(path, "rb") as file:
        packed = compression_of(file.read(4)) != "none"
    if packed or size <= chunk:
        return [(0, size)]
    chunks = -(-size // (chunk * threads * _STRETCHES))
    step = chunk * max(1, min(chunks, _MOST_CHUNKS))
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def _opened(path: str, size: int, start: int, end: int) -> Opened:
    """On a worker: a stretch of the file that is meant.

    Raises:
        SourceUnavailable: it is not there, or another one is.
    """
    hint = "workers need the same files under the same paths: a folder that all machines share"
    try:
        found = os.stat(path)
        plain = stat.S_ISREG(found.st_mode)
        whole = (start, end) == (0, size)
        file = Opened(path) if whole else Stretch(path, start, end)
    except (OSError, SourceUnavailable) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceUnavailable(f"A worker cannot read {path}: {told}", hint=hint) from None
    if not plain or found.st_size < size:
        file.close()
        raise SourceUnavailable(f"A worker has another file at {path}.", hint=hint)
    return file


def _told_kind(path: str, size: int, chunk: int) -> TextFormat | None:
    """On a worker: the format that the first lines have."""
    with closing(_opened(path, size, 0, size)) as file:
        return detection.detected(next(blocks_of(file, chunk, Buffers(), LONGEST)))


def _count(
    path: str, size: int, start: int, end: int, chunk: int, kind: TextFormat | None, auto: bool, year: int
) -> list[Counted]:
    """On a worker: count a stretch, chunk by chunk."""
    buffers, reader, found = Buffers(), Reader(), list[Counted]()
    with closing(_opened(path, size, start, end)) as file:
        for number, block in enumerate(blocks_of(file, chunk, buffers, LONGEST)):
            if auto and number == 0:
                kind = detection.detected(block)
            part = count_block(block, reader) if kind is None else count_text(block, kind, year)
            part.malformed[_SHOWN:] = [(line, b"") for line, _ in part.malformed[_SHOWN:]]
            buffers.give_back(block.buffer)
            block.buffer = bytearray()
            found.append((kind, block, part))
    return found
