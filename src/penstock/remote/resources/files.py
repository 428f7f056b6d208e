"""Files that were sent in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.remote.answers import Part
from penstock.remote.calls import Call, K, Resource, asked, chunks, got, listing, operation, removed

_SECONDS = 600.0
"""How much longer than other requests a file may take."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file; `parameter` is what a run is given to get its path."""

    id: str
    name: str
    size: int
    sha256: str
    media_type: str
    tags: list[str] = []
    uploaded_at: str = ""
    uploaded_by: str | None = None
    parameter: dict[str, Any] = {}


class Files(Resource[K]):
    """Files that were sent in."""

    @operation
    def upload(
        self, content: Path | bytes, *, name: str | None = None, tags: Sequence[str] = (), key: str | None = None
    ) -> Call[File]:
        """Send a file in, piece by piece; bytes need a name."""
        shown = name if name is not None else content.name if isinstance(content, Path) else "file"
        return Call(
            method="POST",
            path=("files",),
            answer=File,
            query=asked({"name": shown, "tag": tags}),
            content=content,
            content_type="application/octet-stream",
            creates=True,
            key=key,
            seconds=_SECONDS,
        )

    @listing
    def list(self, *, tag: str | None = None, limit: int = 200) -> Call[File]:
        """Every file, the newest first."""
        return got(Part[File], "files", tag=tag, limit=limit)

    @operation
    def get(self, file_id: str) -> Call[File]:
        """What is known of a file."""
        return got(File, "files", file_id)

    @chunks
    def download(self, file_id: str) -> Call[bytes]:
        """What is in it, piece by piece; where that breaks off, it goes on there."""
        return Call(method="GET", path=("files", file_id, "content"), answer=bytes)

    @operation
    def delete(self, file_id: str) -> Call[None]:
        """Remove a file that no run uses."""
        return removed("files", file_id)
