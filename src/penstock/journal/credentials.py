"""Who may do what, and who did what, in a journal in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.access import Credential
from penstock.core.audit import STREAM, AuditFilter
from penstock.core.events import Append, Stored
from penstock.journal.access import slices
from penstock.journal.retention import SqlRetention
from penstock.journal.rows import EVENT_COLUMNS, stored_of

_COLUMNS = ("name", "owner", "data", "seq", "until")
_MAKE = (
    "INSERT INTO credentials (name, owner, data, seq, until) VALUES (?, ?, ?, 1, CAST(? AS BIGINT)) "
    "ON CONFLICT (name) DO NOTHING"
)
_CHANGE = (
    "UPDATE credentials SET owner = ?, data = ?, seq = seq + 1, until = CAST(? AS BIGINT) WHERE name = ? AND seq = ?"
)


class SqlCredentials(SqlRetention):
    """A table beside the events for what is kept of accounts, and one that entries of the audit are found by."""

    def credentials(
        self, names: Sequence[str] = (), *, kind: str | None = None, owner: str | None = None
    ) -> list[Credential]:
        """See `Journal.credentials`."""
        tests: list[str] = []
        values: list[Any] = []
        if kind is not None:  # `0` is the character after the slash
            tests.append("name >= ? AND name < ?")
            values += [f"{kind}/", f"{kind}0"]
        if owner is not None:
            tests.append("owner = ?")
            values.append(owner)
        found: list[Any] = []
        parts = [(f"name IN ({marks})", some) for some, marks in slices(names)] if names else [("1 = 1", ())]
        for test, some in parts:
            where = " AND ".join([test, *tests])
            sql = f"SELECT {', '.join(_COLUMNS)} FROM credentials WHERE {where} ORDER BY name"
            found += self._fetch(sql, (*some, *values))
        return [Credential(name=row[0], owner=row[1], data=bytes(row[2]), seq=row[3], until=row[4]) for row in found]

    def keep_credentials(self, told: Append, kept: Sequence[Credential], dropped: Sequence[Credential] = ()) -> None:
        """See `Journal.keep_credentials`."""
        statements: list[tuple[str, Sequence[Any]]] = []
        for each in kept:
            if each.seq:
                statements.append((_CHANGE, (each.owner, each.data, each.until, each.name, each.seq)))
            else:
                statements.append((_MAKE, (each.name, each.owner, each.data, each.until)))
        drop = "DELETE FROM credentials WHERE name = ? AND seq = ?"
        statements += [(drop, (each.name, each.seq)) for each in dropped]
        self._append_with([told], statements, exact=True)
        if any(each.until is not None for each in kept):
            at = told.records[0].event.at
            self._write([("DELETE FROM credentials WHERE until < ?", (at,))])

    def audit(self, where: AuditFilter) -> list[Stored]:
        """See `Journal.audit`."""
        asked = {
            "a.who = ?": where.who,
            "a.deed = ?": where.action,
            "a.target = ?": where.target,
            "a.at >= ?": where.since,
            "a.at < ?": where.until,
            "a.number < ?": where.before,
        }
        given = {test: value for test, value in asked.items() if value is not None}
        tests = " AND ".join(["e.stream = ?", "e.seq = a.number", *given])
        columns = ", ".join(f"e.{column}" for column in EVENT_COLUMNS.split(", "))
        sql = f"SELECT {columns} FROM audit a, events e WHERE {tests} ORDER BY a.number DESC LIMIT ?"
        return [stored_of(row) for row in self._fetch(sql, (STREAM, *given.values(), where.limit))]
