"""Files as a source: a folder or the objects below a prefix, each file read once, from the oldest to the newest."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.connectors.files.json_array import Fault
from penstock.connectors.files.opening import verify
from penstock.connectors.files.options import Changed, Format, Layout, OnBroken, Schema, one_of, refuse
from penstock.connectors.files.packing import Packer
from penstock.connectors.files.progress import Progress
from penstock.connectors.files.reading import Job, Piece, Types
from penstock.connectors.files.ready import Ready
from penstock.connectors.files.scanning import Candidate, Scan
from penstock.connectors.files.storage import Entry, Folder, Storage
from penstock.core.errors import BadData, SourceChanged
from penstock.core.packed import Broken, Compression
from penstock.core.ports.data import Batch, Place, Position, Rejected, Size, Source
from penstock.core.rows.types import types_of

_SETTLE_SECONDS = 2.0
_HEARTBEAT_SECONDS = 0.5
_LOOKS = 20
_NANO = 1_000_000_000

logger = logging.getLogger("penstock.connectors.files")


class Files(Source):
    """Reads files in a folder or an object store.

    Every file that matches is read once, the oldest first, and every record of it becomes a row or is rejected with
    the file, line and byte where it stands. What came, changed, was renamed or has left since is told from a position
    of a few kilobytes, however many files there are; docs/files.md says how, and what it promises.

    Args:
        path: a file, a folder (everything in it, at any depth), a pattern such as `orders/**/*.csv`, or the same with
            `s3://`, `gs://`, `az://`, `memory://` or `file://`.
        format: of every file; by default what its name says (`.csv`, `.tsv`, `.json`, `.ndjson`, `.jsonl`, `.parquet`,
            with `.gz` or `.zst` behind it or not).
        compression: `gzip`, `zstd` or `none`; by default what the first bytes of a file say.
        encoding: of text; by default UTF-8, or what a byte order mark says.
        delimiter: of CSV.
        quote: of CSV; empty where nothing is quoted.
        header: the first record of a CSV file names its columns.
        names: of the columns of a CSV file, instead of those in its header.
        nulls: unquoted texts in CSV that mean that nothing is there.
        schema: types of columns, as far as they are known; a value that does not fit rejects its record.
        infer: tell the type of the other columns of CSV from the first rows; otherwise they are text.
        changed: a file that was read has other content now: `refuse` raises SourceChanged, `again` reads all of it
            again, `ignore` goes on without.
        broken: where a file cannot be read any further (a gzip stream that ends in the middle, no Parquet at all):
            `reject` makes one rejected record of the rest, `raise` raises BadData.
        verify: decompress a compressed file once before it is read, so that nothing of a damaged one lands; without,
            what comes before the damage lands.
        ready: a file beside each file, that says that it is complete: `_SUCCESS`, `{name}.done`, `{stem}.ok`.
        manifest: a file in the folder that names those that are complete; no other is read.
        settle_seconds: for how long nothing has changed about a file before it is read. By default 2 for a folder that
            is followed, else 0.
        follow: wait for more files when all have been read.
        poll_seconds: how often to look.
        batch_bytes: about how much of the files makes a batch.
        storage: what to tell the object store (`endpoint`, `region`, `access_key_id`, ...); never shown.
        store: an obstore store that exists already; the path then only names it.

    Raises:
        ConfigurationError: something of this cannot be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        format: Format | None = None,
        compression: Compression | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        quote: str = '"',
        header: bool = True,
        names: Sequence[str] = (),
        nulls: Sequence[str] = ("",),
        schema: Schema | None = None,
        infer: bool = True,
        changed: Changed = "refuse",
        broken: OnBroken = "reject",
        verify: bool = True,
        ready: str = "",
        manifest: str = "",
        settle_seconds: float | None = None,
        follow: bool = False,
        poll_seconds: float = 5.0,
        batch_bytes: int = 16 << 20,
        storage: Mapping[str, Any] | None = None,
        store: Any = None,
    ) -> None:
        self._layout = Layout(
            format, compression, encoding, delimiter, quote, header, tuple(names), tuple(nulls), batch_bytes
        )
        self._changed, self._broken, self._infer = changed, broken, infer
        self._verified = verify
        self._follow, self._poll = follow, poll_seconds
        found = self._layout.mistakes()
        found += one_of("changed", changed, ("refuse", "again", "ignore"))
        found += one_of("broken", broken, ("reject", "raise"))
        found += [] if os.fspath(path) else [("path", "is empty")]
        found += [] if poll_seconds > 0 else [("poll_seconds", "is more than 0")]
        found += [] if settle_seconds is None or settle_seconds >= 0 else [("settle_seconds", "is not negative")]
        refuse("Files", found)
        self._schema = types_of(schema)
        self._path = os.fspath(path)
        self._storage = storage_at(self._path, storage, store)
        if settle_seconds is None:
            settle_seconds = _SETTLE_SECONDS if follow and not self._storage.atomic else 0.0
        self._ready = Ready(self._storage, manifest=manifest, marker=ready, settle=settle_seconds)
        self._closed = threading.Event()

    def __repr__(self) -> str:
        return f"Files({str(self.place)!r})"

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return self._storage.place

    def close(self) -> None:
        """Stop waiting for more files."""
        self._closed.set()

    def size(self, position: Position | None) -> Size:
        """See `Source.size`: the bytes of files that were not read, as they are stored."""
        progress = self._progress(position)
        rest = 0
        if progress.current is not None:
            rest = max(progress.current.size - int(progress.at.get("offset", 0)), 0)
            progress.finish(progress.current)
        scan = Scan(self._ready, progress.known)
        try:
            return Size(bytes=rest + scan.fresh.bytes + sum(entry.size for entry in scan.late))
        finally:
            scan.close()

    def _progress(self, position: Position | None) -> Progress:
        return Progress.of(position, Types(self._schema, infer=self._infer))

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`. A source that follows hands out a batch without records now and then."""
        self._closed.clear()
        progress, packer = self._progress(position), Packer(self._layout.batch_bytes)
        looks = 0
        for piece in self._resumed(progress):
            packer.add(piece)
            if packer.full:
                yield packer.batch(progress.position())
        while not self._closed.is_set():
            for piece in self._look(progress):
                packer.add(piece)
                if packer.full:
                    yield packer.batch(progress.position())
            looks += 1
            if not self._follow and (not self._ready.unsettled or looks > _LOOKS):
                break
            yield packer.batch(progress.position())
            yield from self._wait(progress)
        if self._ready.unsettled:
            names = ", ".join(sorted(self._ready.unsettled)[:3])
            logger.warning("%s: still being written, left for the next time: %s", self.place, names)
        if not self._follow:
            yield packer.batch(progress.position(), last=True)

    def _wait(self, progress: Progress) -> Iterator[Batch]:
        """Wait for the next look; batches without records in between, so that whoever reads can stop."""
        until = time.monotonic() + self._poll
        if self._ready.unsettled:
            soonest = (min(self._ready.unsettled.values()) - time.time_ns()) / _NANO
            until = min(until, time.monotonic() + max(soonest, 0.05))
        position = progress.position()
        while (left := until - time.monotonic()) > 0:
            if self._closed.wait(min(left, _HEARTBEAT_SECONDS)):
                return
            yield Batch((), position)

    def _look(self, progress: Progress) -> Iterator[Piece]:
        """Read everything that is there and was not read."""
        scan = Scan(self._ready, progress.known)
        try:
            late = True
            for candidate in scan:
                if late and not candidate.late:
                    progress.known.looked, late = scan.started, False
                yield from self._candidate(candidate, progress)
            if late:
                progress.known.looked = scan.started
        finally:
            scan.close()

    def _candidate(self, candidate: Candidate, progress: Progress) -> Iterator[Piece]:
        entry = candidate.entry
        if candidate.why == "renamed" or (candidate.why == "changed" and self._changed == "ignore"):
            progress.finish(entry)
            yield Piece(None, [], {}, 0)
            return
        if candidate.why == "changed" and self._changed == "refuse":
            raise _changed(f"{self._storage.label(entry.name)} was read, and has other content now.")
        progress.current, progress.at = entry, {}
        yield from self._file(entry, progress)

    def _resumed(self, progress: Progress) -> Iterator[Piece]:
        """Go on with the file that was read in part."""
        entry = progress.current
        if entry is None:
            return
        label = self._storage.label(entry.name)
        now = self._storage.entry(entry.name)
        if now is None:
            now = next((e for e in self._storage.entries() if e.version == entry.version), None)
            if now is None:
                raise SourceChanged(f"{label} was read in part, and is gone.", hint="put it back, or begin anew")
        if not entry.same_content(now):
            if self._changed != "again":
                raise _changed(f"{label} was read in part, and has other content now.")
            progress.at = {}
        progress.current = now
        yield from self._file(now, progress)

    def _file(self, entry: Entry, progress: Progress) -> Iterator[Piece]:
        label = self._storage.label(entry.name)
        try:
            file = self._storage.open(entry)
        except FileNotFoundError:
            if progress.at:
                raise SourceChanged(f"{label} was read in part, and is gone.") from None
            logger.info("%s left before it was read", label)
            progress.current = None
            return
        try:
            with file:
                if self._verified and not progress.at:
                    verify(file, self._layout.compression)
                for piece in self._layout.reader(entry.name).pieces(Job(file, label, progress.at, progress.types)):
                    if not self._storage.atomic:
                        self._unchanged(entry)
                    progress.at = piece.at
                    yield piece
        except Broken as error:
            told = self._told(error, label, progress)
            self._unchanged(entry)
            progress.finish(entry)
            yield Piece(None, [told], {}, 0)
            return
        self._unchanged(entry)
        progress.finish(entry)
        yield Piece(None, [], {}, 0)

    def _told(self, error: Broken, label: str, progress: Progress) -> Rejected:
        """The rest of a file that cannot be read, as one record."""
        where = label
        if isinstance(error, Fault):
            where = f"{label}:{error.line}@{error.offset}"
        elif "line" in progress.at:
            where = f"{label}:{progress.at['line']}@{progress.at['offset']}"
        if self._broken == "raise":
            raise BadData(f"{where}: {error}.", hint="mend the file, or say broken='reject' to go on without the rest")
        return Rejected(f"the file cannot be read from here on: {error}", where, "")

    def _unchanged(self, entry: Entry) -> None:
        """What was read is what there is."""
        if not entry.same_content(self._storage.entry(entry.name)):
            raise SourceChanged(
                f"{self._storage.label(entry.name)} changed while it was read.",
                hint="settle_seconds=, ready= or manifest= tell when a file is complete",
            )


def _changed(message: str) -> SourceChanged:
    return SourceChanged(message, hint="changed='again' reads such a file again, changed='ignore' goes on without")


def storage_at(path: str, options: Mapping[str, Any] | None = None, store: Any = None) -> Storage:
    """A folder, or the objects that a URL names."""
    scheme, sign, rest = path.partition("://")
    if store is None and (not sign or scheme == "file"):
        return Folder(rest if sign else path)
    from penstock.connectors.files.objects import Objects

    return Objects(path, options=options, store=store)
