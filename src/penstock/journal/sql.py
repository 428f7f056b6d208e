"""What the SQLite and the PostgreSQL journal share: the queries, written once.

SQL here uses `?` for placeholders; PostgreSQL's journal rewrites them. What writes often is each journal's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.core.events import Stored, decode_event
from penstock.core.model import LogLine, TaskRun
from penstock.core.ports import Joined
from penstock.journal.access import slices
from penstock.journal.automations import SqlAutomations
from penstock.journal.credentials import SqlCredentials
from penstock.journal.datasets import SqlDatasets
from penstock.journal.news import SqlNews
from penstock.journal.plans import SqlPlans
from penstock.journal.projections import TASK_COLUMNS
from penstock.journal.rows import EVENT_COLUMNS, bytes_of, result_refs, saved_of, stored_of, task_run_of
from penstock.journal.search import SqlSearch
from penstock.journal.slots import SqlSlots
from penstock.journal.uploads import SqlUploads
from penstock.journal.webhooks import SqlWebhooks
from penstock.journal.workflows import SqlWorkflows

INSERT_EVENT = "INSERT INTO events (stream, seq, type, version, at, body, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
INSERT_LOG = "INSERT INTO logs (run_id, key, at, level, logger, message) VALUES (?, ?, ?, ?, ?, ?)"
CURSOR = "SELECT position FROM cursors WHERE name = ?"
TABLES = (
    "runs", "task_runs", "events", "logs", "cursors", "terms", "deployments", "schedules", "pools", "queues", "workers",
    "leases", "limits", "tickets", "cache", "artifacts", "automations", "automation_groups", "owed_actions",
    "backfills", "partitions", "connections", "bookmarks", "workflows", "datasets", "webhooks", "deliveries",
    "files", "credentials", "audit",
)  # fmt: skip
_PAGE = 1000


def log_row(line: LogLine) -> tuple[Any, ...]:
    """A log line as the parameters of INSERT_LOG."""
    return line.run_id, line.key, line.at, line.level, line.logger, line.message


def move_cursor_sql(name: str, expected: int, position: int) -> tuple[str, Sequence[Any]]:
    """The statement that moves a cursor; it changes one row, or none when the cursor was elsewhere."""
    sql = (
        "INSERT INTO cursors (name, position) SELECT CAST(? AS TEXT), CAST(? AS BIGINT) "
        "WHERE CAST(? AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM cursors WHERE name = ?) "
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE cursors.position = ?"
    )
    return sql, (name, position, expected, name, expected)


def _of_types(types: Sequence[str]) -> str:
    return f"AND type IN ({', '.join('?' * len(types))})" if types else ""


class SqlJournal(
    SqlSearch,
    SqlNews,
    SqlPlans,
    SqlSlots,
    SqlAutomations,
    SqlDatasets,
    SqlWebhooks,
    SqlUploads,
    SqlWorkflows,
    SqlCredentials,
):
    """Everything but `append`, `commit` and `write_logs`, over the primitives of `SqlCore`."""

    visible = "1 = 1"
    """What an event must fulfil so that none can still be committed before it."""

    moment_sql = (
        "SELECT coalesce(max(position), 0) || '-' || "
        "coalesce((SELECT seq FROM bookmarks WHERE name = 'journal/deleted'), 0) FROM events"
    )
    """Tells a state of the journal from any other. Where there is one writer at a time, the last position does, and how
    often runs were deleted: they take their events along."""

    ref_test = "1 = 1"
    """What the body of an event fulfils that may hold a reference to the result store."""

    def load(self, stream: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE stream = ? AND seq > ? AND {self.kept} "
            f"ORDER BY seq LIMIT {_PAGE}"
        )
        while True:
            rows = self._fetch(sql, (stream, after))
            yield from map(stored_of, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][2]

    def read(self, after: int, limit: int = 1000, types: Sequence[str] = ()) -> list[Stored]:
        """See `Journal.read`."""
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? AND {self.visible} AND {self.kept} "
            f"{_of_types(types)} ORDER BY position LIMIT ?"
        )
        return [stored_of(row) for row in self._fetch(sql, (after, *types, limit))]

    def read_back(self, before: int | None = None, limit: int = 1000, types: Sequence[str] = ()) -> list[Stored]:
        """See `Journal.read_back`."""
        where, values = ("position < ?", (before,)) if before is not None else ("1 = 1", ())
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE {where} AND {self.kept} "
            f"{_of_types(types)} ORDER BY position DESC LIMIT ?"
        )
        return [stored_of(row) for row in self._fetch(sql, (*values, *types, limit))]

    def settled(self) -> bool:
        """See `Journal.settled`."""
        return not self._fetch(f"SELECT 1 FROM events WHERE NOT ({self.visible}) LIMIT 1")

    def last_seq(self, stream: str) -> int:
        """See `Journal.last_seq`."""
        rows = self._fetch(
            f"SELECT seq FROM events WHERE stream = ? AND {self.kept} ORDER BY seq DESC LIMIT 1", (stream,)
        )
        return int(rows[0][0]) if rows else 0

    def head(self) -> int:
        """See `Journal.head`."""
        sql = f"SELECT position FROM events WHERE {self.visible} AND {self.kept} ORDER BY position DESC LIMIT 1"
        rows = self._fetch(sql)
        return int(rows[0][0]) if rows else 0

    def moment(self) -> str:
        """See `Journal.moment`."""
        return str(self._fetch(self.moment_sql)[0][0])

    def cursor(self, name: str) -> int:
        """See `Journal.cursor`."""
        rows = self._fetch(CURSOR, (name,))
        return int(rows[0][0]) if rows else 0

    def join(self) -> Joined:
        """See `Journal.join`. A file has one writer at a time, so that a step would keep every other one waiting."""
        raise ConfigurationError(
            "journal_transaction() needs the journal in PostgreSQL, in the database that is written to.",
            hint="set PENSTOCK_DATABASE_URL to it; or write so that doing it twice does no harm: a step's id "
            "(penstock.runtime.task_run.id) is the same whenever it is executed again",
        )

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""
        return self._write([move_cursor_sql(name, expected, position)])[0] == 1

    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """See `Journal.extend_leases`."""
        held: set[str] = set()
        for some, marks in slices(run_ids):
            mine = f"owner = ? AND id IN ({marks})"
            count = self._write([(f"UPDATE runs SET lease_until = ? WHERE {mine}", (until, owner, *some))])[0]
            if count == len(some):
                held.update(some)
            elif count:
                held.update(row[0] for row in self._fetch(f"SELECT id FROM runs WHERE {mine}", (owner, *some)))
        return held

    def requested(self, run_ids: Sequence[str]) -> dict[str, str]:
        """See `Journal.requested`."""
        found: dict[str, str] = {}
        for some, marks in slices(run_ids):
            asked = f"(cancel_requested OR pause_requested) AND id IN ({marks})"
            rows = self._fetch(f"SELECT id, cancel_requested FROM runs WHERE {asked}", some)
            found.update((run_id, "cancel" if cancel else "pause") for run_id, cancel in rows)
        return found

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """See `Journal.task_runs`."""
        sql = (
            f"SELECT {', '.join(TASK_COLUMNS)} FROM task_runs WHERE run_id = ? "
            "ORDER BY coalesce(parent, ''), ordinal, key"
        )
        return [task_run_of(dict(zip(TASK_COLUMNS, row, strict=True))) for row in self._fetch(sql, (run_id,))]

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Journal.logs`."""
        only = "AND key = ? " if key is not None else ""
        sql = (
            f"SELECT run_id, key, at, level, logger, message, id FROM logs WHERE run_id = ? AND id > ? {only}"
            "ORDER BY id LIMIT ?"
        )
        parameters = (run_id, after, key, limit) if key is not None else (run_id, after, limit)
        return [LogLine(*row) for row in self._fetch(sql, parameters)]

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`."""
        return sum(self._write(self._delete_statements(run_id))[-1] for run_id in dict.fromkeys(run_ids))

    def _delete_statements(self, run_id: str) -> list[tuple[str, Sequence[Any]]]:
        return [
            ("DELETE FROM logs WHERE run_id = ?", (run_id,)),
            ("DELETE FROM task_runs WHERE run_id = ?", (run_id,)),
            ("DELETE FROM events WHERE stream = ?", (run_id,)),
            ("DELETE FROM terms WHERE run_id = ?", (run_id,)),
            ("DELETE FROM artifacts WHERE run_id = ?", (run_id,)),
            ("DELETE FROM tickets WHERE run_id = ?", (run_id,)),
            ("DELETE FROM runs WHERE id = ?", (run_id,)),
        ]

    def refs(self) -> set[str]:
        """See `Journal.refs`."""
        found: set[str] = set()
        after = 0
        sql = (
            f"SELECT position, type, version, at, body FROM events WHERE position > ? AND {self.ref_test} "
            f"ORDER BY position LIMIT {_PAGE}"
        )
        while rows := self._fetch(sql, (after,)):
            for _, name, version, at, body in rows:
                found.update(result_refs(decode_event(name, version, at, bytes_of(body))))
            after = rows[-1][0]
        return found | self._cached_refs()

    def _cached_refs(self) -> set[str]:
        """What the cache refers to, also where the run that made it is gone."""
        found: set[str] = set()
        key = ""
        sql = f"SELECT key, saved FROM cache WHERE key > ? AND saved LIKE '%\"ref\"%' ORDER BY key LIMIT {_PAGE}"
        while rows := self._fetch(sql, (key,)):
            found.update(ref for _, saved in rows if (ref := saved_of(saved).ref))
            key = rows[-1][0]
        return found

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        counts = {
            table: self._fetch(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("runs", "task_runs", "events", "logs")
        }
        return {"kind": self.kind, "location": self.location, **counts}
