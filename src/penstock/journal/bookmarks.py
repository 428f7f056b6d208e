"""Bookmarks in a journal in SQL."""

from __future__ import annotations

from penstock.core.events import now_us
from penstock.core.ports.bookmarks import Bookmark
from penstock.journal.connections import SqlConnections


class SqlBookmarks(SqlConnections):
    """A table beside the events: a row for each name, written over again and again."""

    def bookmark(self, name: str) -> Bookmark | None:
        """See `Journal.bookmark`."""
        rows = self._fetch("SELECT seq, saved_at, data FROM bookmarks WHERE name = ?", (name,))
        return Bookmark(rows[0][0], rows[0][1], bytes(rows[0][2])) if rows else None

    def keep_bookmark(self, name: str, expected: int, data: bytes) -> bool:
        """See `Journal.keep_bookmark`."""
        if expected:
            sql = "UPDATE bookmarks SET seq = ?, saved_at = ?, data = ? WHERE name = ? AND seq = ?"
            return self._write([(sql, (expected + 1, now_us(), data, name, expected))])[0] == 1
        sql = "INSERT INTO bookmarks (name, seq, saved_at, data) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING"
        return self._write([(sql, (name, 1, now_us(), data))])[0] == 1

    def drop_bookmark(self, name: str) -> bool:
        """See `Journal.drop_bookmark`."""
        return self._write([("DELETE FROM bookmarks WHERE name = ?", (name,))])[0] == 1
