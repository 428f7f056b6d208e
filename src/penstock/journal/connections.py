"""Saved connections in a journal in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.events import Append
from penstock.core.sealed import SealedConnection
from penstock.journal.retention import SqlRetention

_COLUMNS = ("name", "type", "key", "sealed", "seq", "saved_at")


class SqlConnections(SqlRetention):
    """A table beside the events: what is sealed is in none of them."""

    def connections(self, name: str | None = None) -> list[SealedConnection]:
        """See `Journal.connections`."""
        where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
        rows = self._fetch(f"SELECT {', '.join(_COLUMNS)} FROM connections {where} ORDER BY name", values)
        return [SealedConnection(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def keep_connection(self, told: Append, kept: SealedConnection, also: Sequence[Append] = ()) -> None:
        """See `Journal.keep_connection`."""
        names, rest = ", ".join(_COLUMNS), ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS[1:])
        sql = (
            f"INSERT INTO connections ({names}) VALUES (?, ?, ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT)) "
            f"ON CONFLICT (name) DO UPDATE SET {rest}"
        )
        self._replacing([told, *also], [(sql, tuple(getattr(kept, column) for column in _COLUMNS))])

    def drop_connection(self, told: Append, name: str, also: Sequence[Append] = ()) -> None:
        """See `Journal.drop_connection`."""
        self._replacing([told, *also], [("DELETE FROM connections WHERE name = ?", (name,))])

    def _replacing(self, told: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Append, and change the table; what was in it is overwritten as far as the database can do that."""
        self._append_with(told, statements)
