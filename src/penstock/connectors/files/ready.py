"""Files that are complete: whoever writes them says so, or nothing has changed about them for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from penstock.connectors.files.storage import Entry, Storage
from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.ports.data import Place

_SECOND = 1_000_000_000


class Ready:
    """The files of a storage that are complete.

    Args:
        storage: where they are.
        manifest: a file below the folder that names them: JSON (a list, or `{"files": [...]}`; each a name, or
            `{"name": ..., "size": ...}`), a name on each line, or that of an export in parts. What it does not name is
            not there.
        marker: a file beside each of them, such as `_SUCCESS`, `{name}.done` or `{stem}.ok`, that comes when it is
            complete.
        settle: for how long nothing has changed about them (seconds).

    Attributes:
        unsettled: files of the last look that were not complete yet for the last reason, and when they may be
            (nanoseconds).
    """

    def __init__(self, storage: Storage, *, manifest: str = "", marker: str = "", settle: float = 0.0) -> None:
        self._storage, self._manifest, self._marker = storage, manifest, marker
        self._settle = int(settle * _SECOND)
        self.slack = storage.slack + self._settle
        self.unsettled: dict[str, int] = {}

    @property
    def place(self) -> Place:
        """Of the storage."""
        return self._storage.place

    def entries(self) -> Iterator[Entry]:
        """Every file that is complete, in any order. One that was completed later than it came has arrived then."""
        self.unsettled.clear()
        listed = self._named() if self._manifest else self._storage.entries()
        markers: dict[str, Entry | None] = {}
        now = time.time_ns()
        for entry in listed:
            if entry.name == self._storage.base + self._manifest:
                continue
            if self._marker:
                name = self._marker_of(entry.name)
                if entry.name == name or (entry.size == 0 and self._is_marker(entry.name)):
                    continue
                if name not in markers:
                    markers[name] = self._storage.entry(name)
                if (marker := markers[name]) is None:
                    continue
                entry = replace(entry, arrived=max(entry.arrived, marker.arrived))
            if entry.arrived + self._settle > now and self._settle:
                self.unsettled[entry.name] = entry.arrived + self._settle
                continue
            yield entry

    def _marker_of(self, name: str) -> str:
        folder, _, last = name.rpartition("/")
        marker = self._marker.replace("{name}", last).replace("{stem}", last.partition(".")[0])
        return f"{folder}/{marker}" if folder else marker

    def _is_marker(self, name: str) -> bool:
        last = name.rpartition("/")[2]
        before, _, after = self._marker.replace("{stem}", "{name}").partition("{name}")
        return last.startswith(before) and last.endswith(after)

    def _named(self) -> Iterator[Entry]:
        manifest = self._storage.entry(self._storage.base + self._manifest)
        if manifest is None:
            return
        folder = manifest.name.rpartition("/")[0]
        for name, size, there in self._read(manifest):
            path = f"{folder}/{name}" if folder else name
            if not self._storage.matches(path):
                continue
            entry = self._storage.entry(path)
            if entry is None and not there:
                continue
            if entry is None or (size is not None and entry.size != size):
                what = "is not there" if entry is None else f"has {entry.size} bytes and not {size}"
                raise SourceUnavailable(
                    f"{self._storage.label(path)} {what}, and {self._storage.label(manifest.name)} names it.",
                    hint="the manifest has to be written after the files",
                )
            yield replace(entry, arrived=max(entry.arrived, manifest.arrived))

    def _read(self, manifest: Entry) -> Iterator[_Named]:
        label = self._storage.label(manifest.name)
        with self._storage.open(manifest) as file:
            raw = file.read()
        try:
            text = raw.decode("utf-8-sig").strip()
            if not text.startswith(("[", "{")):
                return iter([_Named(line.strip()) for line in text.splitlines() if line.strip()])
            said: Any = json.loads(text)
            if isinstance(said, dict) and "parts" in said:
                numbers = range(1, int(said["parts"]) + 1)
                return (_Named(str(said["name"]).format(number), there=False) for number in numbers)
            files = said["files"] if isinstance(said, dict) else said
            return iter([_told(one) for one in files])
        except (KeyError, TypeError, ValueError):
            raise BadData(
                f"{label} is no manifest.",
                hint='a manifest is JSON such as {"files": [{"name": "a.csv", "size": 120}]}, or a name on each line',
            ) from None


class _Named(NamedTuple):
    """A file that a manifest names.

    Attributes:
        name: below the folder of the manifest.
        size: bytes, where it says so.
        there: it has to be there.
    """

    name: str
    size: int | None = None
    there: bool = True


def _told(one: Any) -> _Named:
    if isinstance(one, str):
        return _Named(one)
    size = one.get("size")
    return _Named(str(one["name"]), None if size is None else int(size))
