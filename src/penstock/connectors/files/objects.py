"""Objects in S3, Azure, Google Cloud, or in memory (for tests), through obstore."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit, urlunsplit

from penstock.connectors.files.storage import Entry, Storage, pattern_of
from penstock.core.errors import SourceUnavailable
from penstock.core.extras import require
from penstock.core.ports.data import Place

WHOLE = 8 << 20
_NANO = 1_000_000_000


class Objects(Storage):
    """The objects of a bucket whose keys match.

    Args:
        url: `s3://bucket/orders/*.csv`; without a pattern, every object below it.
        options: what obstore knows of the store: `endpoint`, `region`, `access_key_id`, ...; never shown.
        store: one that exists already; the URL then only names it.
    """

    slack = 86_400 * _NANO  # a large object counts from when its upload began
    atomic = True

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, store: Any = None) -> None:
        parts = urlsplit(url)
        self._bucket = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        path = parts.path.lstrip("/")
        magic = any(sign in path for sign in "*?[")
        self._pattern = path if magic else f"{path.rstrip('/')}/**".lstrip("/")
        plain = path.partition("*")[0].partition("?")[0].partition("[")[0]
        self._prefix = plain.rpartition("/")[0] if magic else path.rstrip("/")
        self.base = f"{self._prefix}/" if self._prefix else ""
        self._exact = None if magic or path.endswith("/") or not path else path
        self._match = pattern_of(self._pattern)
        self._obstore = require("obstore", "data")
        self._errors = require("obstore.exceptions", "data")
        self._store = store if store is not None else self._connected(dict(options or {}))

    def _connected(self, options: dict[str, Any]) -> Any:
        try:
            return require("obstore.store", "data").from_url(self._bucket, **options)
        except (self._errors.BaseError, ValueError, TypeError) as error:
            raise SourceUnavailable(f"{self._bucket}: {_first_line(error)}") from None

    @property
    def place(self) -> Place:
        """See `Storage.place`."""
        return Place(self._bucket, self._exact or self._pattern)

    def matches(self, name: str) -> bool:
        """See `Storage.matches`."""
        return name == self._exact or self._match.fullmatch(name) is not None

    def entries(self) -> Iterator[Entry]:
        """See `Storage.entries`."""
        if self._exact and (one := self.entry(self._exact)) is not None:
            yield one
            return
        try:
            for page in self._obstore.list(self._store, self._prefix or None):
                for found in page:
                    if self.matches(found["path"]):
                        yield _entry(found)
        except (self._errors.BaseError, OSError) as error:
            raise self._unavailable("", error) from None

    def entry(self, name: str) -> Entry | None:
        """See `Storage.entry`."""
        try:
            return _entry(self._obstore.head(self._store, name))
        except FileNotFoundError:
            return None
        except (self._errors.BaseError, OSError) as error:
            raise self._unavailable(name, error) from None

    def open(self, entry: Entry) -> BinaryIO:
        """See `Storage.open`."""
        try:
            if entry.size <= WHOLE:
                got = self._obstore.get(self._store, entry.name)
                if not entry.same_content(_entry(got.meta)):
                    raise FileNotFoundError(entry.name)  # this content is gone
                return io.BytesIO(bytes(got.bytes()))
            return cast(BinaryIO, _Reading(self, self._obstore.open_reader(self._store, entry.name), entry.name))
        except FileNotFoundError:
            raise
        except (self._errors.BaseError, OSError) as error:
            raise self._unavailable(entry.name, error) from None

    def label(self, name: str) -> str:
        """See `Storage.label`."""
        return f"{self._bucket}/{name}"

    def _unavailable(self, name: str, error: Exception) -> SourceUnavailable:
        return SourceUnavailable(f"{self.label(name)}: {_first_line(error)}")


class _Reading(io.RawIOBase):
    """A large object, piece by piece; its errors are ours."""

    def __init__(self, storage: Objects, reader: Any, name: str) -> None:
        self._storage, self._reader, self._name = storage, reader, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._reader.read(None if size < 0 else size))
        except (self._storage._errors.BaseError, OSError) as error:
            raise self._storage._unavailable(self._name, error) from None

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())


def _entry(found: Any) -> Entry:
    modified = int(found["last_modified"].timestamp() * 1_000_000) * 1000
    return Entry(found["path"], found["size"], modified, tag=found["e_tag"] or "", arrived=modified)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
