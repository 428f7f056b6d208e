"""Workflows in a journal in SQL."""

from __future__ import annotations

from typing import Any

from penstock.core import typed
from penstock.core.workflows import StoredWorkflow, WorkflowFilter
from penstock.journal.access import SqlCore

_dict = typed.json_decoder(dict[str, Any]).decode
_ACTIVE = "NOT coalesce(d.paused, TRUE)"
_FROM = "FROM workflows w LEFT JOIN deployments d ON d.name = w.name"
_NEXT_DUE = "(SELECT min(s.next_due) FROM schedules s WHERE s.deployment = w.name)"


class SqlWorkflows(SqlCore):
    """A projection of the events of workflows. Whether one is active, its deployment knows."""

    def workflows(self, where: WorkflowFilter) -> list[StoredWorkflow]:
        """See `Journal.workflows`."""
        conditions, values = _conditions(where)
        sql = (
            f"SELECT w.name, w.version, w.spec, w.created_at, w.updated_at, {_ACTIVE}, {_NEXT_DUE} {_FROM} "
            f"WHERE {' AND '.join(('w.name > ?', *conditions))} ORDER BY w.name LIMIT ? OFFSET ?"
        )
        return [
            StoredWorkflow(
                name=row[0], version=row[1], spec=_dict(row[2]), created_at=row[3], updated_at=row[4],
                active=bool(row[5]), next_due=row[6],
            )
            for row in self._fetch(sql, (where.after, *values, where.limit, where.skip))
        ]  # fmt: skip

    def count_workflows(self, where: WorkflowFilter) -> int:
        """See `Journal.count_workflows`."""
        conditions, values = _conditions(where)
        sql = f"SELECT count(*) {_FROM} WHERE {' AND '.join(conditions) or '1 = 1'}"
        return int(self._fetch(sql, tuple(values))[0][0])


def _conditions(where: WorkflowFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    if where.name is not None:
        conditions.append("w.name = ?")
        values.append(where.name)
    if where.tag is not None:  # LIKE would take large letters for small ones in SQLite
        conditions.append("replace(w.tags, ?, '') <> w.tags")
        values.append(f"\n{where.tag}\n")
    if where.any_tags is not None:
        bears = " OR ".join(["replace(w.tags, ?, '') <> w.tags"] * len(where.any_tags)) or "1 = 0"
        conditions.append(f"({bears})")
        values += [f"\n{tag}\n" for tag in where.any_tags]
    if where.text:
        conditions.append("replace(lower(w.name), ?, '') <> lower(w.name)")
        values.append(where.text.lower())
    if where.active is not None:
        conditions.append(_ACTIVE if where.active else f"NOT ({_ACTIVE})")
    return conditions, values
