"""What automations remember, and what their firings owe, in a journal in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core import typed
from penstock.core.model import OwedAction, RememberedGroup
from penstock.journal.access import SqlCore

_dict = typed.json_decoder(dict[str, Any]).decode


class SqlAutomations(SqlCore):
    """Both are tables projected from the events of automations."""

    def remembered(self, automation: str | None = None) -> list[RememberedGroup]:
        """See `Journal.remembered`."""
        where, values = ("WHERE automation = ?", (automation,)) if automation is not None else ("", ())
        rows = self._fetch(f"SELECT automation, grp, state FROM automation_groups {where}", values)
        return [RememberedGroup(automation=row[0], group=row[1], state=_dict(row[2])) for row in rows]

    def owed_actions(
        self, now: int, outside: bool, limit: int = 100, but_of: Sequence[str] = (), lane: str | None = None
    ) -> list[OwedAction]:
        """See `Journal.owed_actions`."""
        but = f"AND lane NOT IN ({', '.join('?' * len(but_of))}) " if but_of else ""
        only = "AND lane = ? " if lane is not None else ""
        values = (outside, now, *but_of, *([lane] if lane is not None else []), limit)
        sql = (
            "SELECT firing, action, automation, due_at, attempt, under_way, lane, content FROM owed_actions "
            f"WHERE outside = ? AND due_at <= ? {but}{only}ORDER BY due_at, position, action LIMIT ?"
        )
        return [
            OwedAction(
                firing=row[0],
                action=row[1],
                automation=row[2],
                due_at=row[3],
                attempt=row[4],
                under_way=bool(row[5]),
                lane=row[6],
                **_body(row[7]),
            )
            for row in self._fetch(sql, values)
        ]


def _body(text: str) -> dict[str, Any]:
    body = _dict(text)
    body["chain"] = tuple(body["chain"])
    return body
