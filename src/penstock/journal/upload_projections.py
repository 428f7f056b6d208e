"""What events of files do to their table; see `projections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.events import Event
from penstock.core.uploads import FileDeleted, FileUploaded
from penstock.journal.projections import Projection

FILE_COLUMNS = ("id", "name", "size", "digest", "media_type", "tags", "at", "uploaded_by")


def _uploaded(stream: str, e: FileUploaded, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    tags = "".join(f"\n{tag}\n" for tag in e.tags)
    return ((e.id, e.name, e.size, e.digest, e.media_type, tags, e.at, e.by),)


PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    FileUploaded: (Projection("files", "put", FILE_COLUMNS, _uploaded),),
    FileDeleted: (Projection("files", "drop", ("id",), lambda s, e, d: ((e.id,),)),),
}
