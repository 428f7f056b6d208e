"""Files that were sent in, in a journal in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.uploads import StoredFile
from penstock.journal.access import SqlCore
from penstock.journal.upload_projections import FILE_COLUMNS


class SqlUploads(SqlCore):
    """A table projected from their events."""

    def files(
        self,
        file_id: str | Sequence[str] | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        tags: Sequence[str] | None = None,
    ) -> list[StoredFile]:
        """See `Journal.files`."""
        tests: list[str] = ["1 = 1"]
        values: list[str] = []
        if file_id is not None:
            ids = [file_id] if isinstance(file_id, str) else list(file_id)
            tests.append(f"id IN ({', '.join('?' * len(ids))})" if ids else "1 = 0")
            values += ids
        if before is not None:
            tests.append("id < ?")
            values.append(before)
        if tags is not None:  # LIKE would take large letters for small ones in SQLite
            bears = " OR ".join(["replace(tags, ?, '') <> tags"] * len(tags)) or "1 = 0"
            tests.append(f"({bears})")
            values += [f"\n{tag}\n" for tag in tags]
        sql = f"SELECT {', '.join(FILE_COLUMNS)} FROM files WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT ?"
        return [_file(row) for row in self._fetch(sql, (*values, limit))]


def _file(row: Sequence[Any]) -> StoredFile:
    found = dict(zip(FILE_COLUMNS, row, strict=True))
    return StoredFile(**{**found, "tags": tuple(tag for tag in found["tags"].split("\n") if tag)})
