"""Webhooks and their deliveries in a journal in SQL."""

from __future__ import annotations

from typing import Any

from penstock.core import typed
from penstock.core.webhooks import StoredDelivery, StoredWebhook
from penstock.journal.access import SqlCore
from penstock.journal.webhook_projections import DELIVERY_COLUMNS

_dict = typed.json_decoder(dict[str, Any]).decode


class SqlWebhooks(SqlCore):
    """Both are tables projected from events; the requests themselves are in the events."""

    def webhooks(self, name: str | None = None) -> list[StoredWebhook]:
        """See `Journal.webhooks`."""
        where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
        rows = self._fetch(f"SELECT name, spec, updated_at FROM webhooks {where} ORDER BY name", values)
        return [StoredWebhook(name=row[0], spec=_dict(row[1]), declared_at=row[2]) for row in rows]

    def deliveries(
        self,
        hook: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        named: str | None = None,
    ) -> list[StoredDelivery]:
        """See `Journal.deliveries`."""
        asked = {"hook = ?": hook, "status = ?": status, "id < ?": before}
        given = {test: value for test, value in asked.items() if value is not None}
        values: list[Any] = list(given.values())
        tests = list(given)
        if named is not None:
            tests.append("(id LIKE ? ESCAPE '!' OR delivery = ?)")
            values += ["%" + "".join(f"!{c}" if c in "%_!" else c for c in named), named]
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        sql = f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM deliveries {where} ORDER BY id DESC LIMIT ?"
        found = [dict(zip(DELIVERY_COLUMNS, row, strict=True)) for row in self._fetch(sql, (*values, limit))]
        return [StoredDelivery(**{**row, "verified": bool(row["verified"])}) for row in found]
