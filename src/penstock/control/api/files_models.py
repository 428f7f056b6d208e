"""What goes over the wire of files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from penstock.core.clock import iso
from penstock.core.uploads import MARK, StoredFile


class FileOut(BaseModel):
    """A file. `parameter` is what a run is given for it: it finds a path there."""

    id: str
    name: str
    size: int
    sha256: str
    media_type: str
    tags: list[str]
    uploaded_at: str
    uploaded_by: str | None
    parameter: dict[str, Any]

    @classmethod
    def of(cls, stored: StoredFile) -> FileOut:
        """The answer for a file of the journal."""
        return cls(
            id=stored.id,
            name=stored.name,
            size=stored.size,
            sha256=stored.digest,
            media_type=stored.media_type,
            tags=list(stored.tags),
            uploaded_at=iso(stored.at) or "",
            uploaded_by=stored.uploaded_by,
            parameter={MARK: stored.id},
        )
