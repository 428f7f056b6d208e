"""What the SQLite and the PostgreSQL journal share: the queries, written once.

SQL here uses `?` for placeholders; PostgreSQL's journal rewrites them. What writes often is each journal's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock.core.events import Stored, decode_event
from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun
from penstock.core.ports import Journal
from penstock.journal.projections import RUN_COLUMNS, TASK_COLUMNS
from penstock.journal.rows import result_refs, run_of, task_run_of

EVENT_COLUMNS = "position, run_id, seq, type, version, at, body, data"
INSERT_EVENT = "INSERT INTO events (run_id, seq, type, version, at, body, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
INSERT_LOG = "INSERT INTO logs (run_id, key, at, level, logger, message) VALUES (?, ?, ?, ?, ?, ?)"
CURSOR = "SELECT position FROM cursors WHERE name = ?"
TABLES = ("runs", "task_runs", "events", "logs", "cursors")
_RUNS = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs"
_PAGE = 1000


def stored_of(row: Sequence[Any]) -> Stored:
    """A row of `events`."""
    position, run_id, seq, name, version, at, body, data = row
    return Stored(position, run_id, seq, decode_event(name, version, at, _bytes(body)), data)


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _some(items: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Slices that fit into one statement, with their placeholders."""
    for start in range(0, len(items), 500):
        some = items[start : start + 500]
        yield some, ", ".join("?" * len(some))


def log_row(line: LogLine) -> tuple[Any, ...]:
    """A log line as the parameters of INSERT_LOG."""
    return line.run_id, line.key, line.at, line.level, line.logger, line.message


def move_cursor_sql(name: str, expected: int, position: int) -> tuple[str, Sequence[Any]]:
    """The statement that moves a cursor; it changes one row, or none when the cursor was elsewhere."""
    sql = (
        "INSERT INTO cursors (name, position) SELECT CAST(? AS TEXT), CAST(? AS BIGINT) "
        "WHERE ? = 0 OR EXISTS (SELECT 1 FROM cursors WHERE name = ?) "
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE cursors.position = ?"
    )
    return sql, (name, position, expected, name, expected)


class SqlJournal(Journal):
    """Everything but `append` and `write_logs`, over two primitives."""

    @abstractmethod
    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query, as sequences."""

    @abstractmethod
    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute in one transaction; the row counts."""

    visible = "1 = 1"
    """What an event must fulfil so that none can still be committed before it."""

    kept = "1 = 1"
    """What tells an event from a mark that only the journal itself needs."""

    ref_test = "1 = 1"
    """What the body of an event fulfils that may hold a reference to the result store."""

    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE run_id = ? AND seq > ? AND {self.kept} "
            f"ORDER BY seq LIMIT {_PAGE}"
        )
        while True:
            rows = self._fetch(sql, (run_id, after))
            yield from map(stored_of, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][2]

    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """See `Journal.read`."""
        sql = (
            f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? AND {self.visible} AND {self.kept} "
            "ORDER BY position LIMIT ?"
        )
        return [stored_of(row) for row in self._fetch(sql, (after, limit))]

    def cursor(self, name: str) -> int:
        """See `Journal.cursor`."""
        rows = self._fetch(CURSOR, (name,))
        return int(rows[0][0]) if rows else 0

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""
        return self._write([move_cursor_sql(name, expected, position)])[0] == 1

    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """See `Journal.extend_leases`."""
        held: set[str] = set()
        for some, marks in _some(run_ids):
            mine = f"owner = ? AND id IN ({marks})"
            count = self._write([(f"UPDATE runs SET lease_until = ? WHERE {mine}", (until, owner, *some))])[0]
            if count == len(some):
                held.update(some)
            elif count:
                held.update(row[0] for row in self._fetch(f"SELECT id FROM runs WHERE {mine}", (owner, *some)))
        return held

    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """See `Journal.cancel_requested`."""
        found: set[str] = set()
        for some, marks in _some(run_ids):
            sql = f"SELECT id FROM runs WHERE cancel_requested AND id IN ({marks})"
            found.update(row[0] for row in self._fetch(sql, some))
        return found

    def _run_rows(self, sql: str, parameters: Sequence[Any]) -> list[Run]:
        return [run_of(dict(zip(RUN_COLUMNS, row, strict=True))) for row in self._fetch(sql, parameters)]

    def run(self, run_id: str) -> Run | None:
        """See `Journal.run`."""
        found = self._run_rows(f"{_RUNS} WHERE id = ?", (run_id,))
        return found[0] if found else None

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """See `Journal.find`."""
        exact = self.run(prefix)
        if exact is not None:
            return [exact]
        sql = (
            f"{_RUNS} WHERE id IN (SELECT id FROM runs WHERE id >= ? AND id < ? "
            "UNION SELECT id FROM runs WHERE substr(id, length(id) - ?) = ? UNION SELECT id FROM runs WHERE name = ?) "
            "ORDER BY id DESC LIMIT ?"
        )
        return self._run_rows(sql, (prefix, f"{prefix}\U0010ffff", len(prefix) - 1, prefix, prefix, limit))

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Journal.runs`. Each state is looked up by its index, and the pages are merged."""
        conditions: list[str] = ["1 = 1"]
        parameters: list[Any] = []
        if where.flow is not None:
            conditions.append("flow = ?")
            parameters.append(where.flow)
        if where.before is not None:
            conditions.append("id < ?")
            parameters.append(where.before)
        if where.parent_id is not None:
            conditions.append("parent_id = ?")
            parameters.append(where.parent_id)
        elif not where.children:
            conditions.append("parent_id IS NULL")
        page = f"SELECT * FROM ({_RUNS} WHERE {' AND '.join(conditions)} {{0}} ORDER BY id DESC LIMIT ?) AS page"
        states = dict.fromkeys(where.states)
        if not states:
            return self._run_rows(page.format(""), (*parameters, where.limit))
        pages = " UNION ALL ".join([page.format("AND state = ?")] * len(states))
        values = [value for state in states for value in (*parameters, state, where.limit)]
        return self._run_rows(f"{pages} ORDER BY id DESC LIMIT ?", (*values, where.limit))

    def flows(self) -> list[FlowSummary]:
        """See `Journal.flows`."""
        sql = (
            "SELECT r.flow, s.runs, r.id, r.state, r.created_at, r.entrypoint FROM runs r JOIN "
            "(SELECT flow, count(*) AS runs, max(id) AS last FROM runs WHERE parent_id IS NULL GROUP BY flow) s "
            "ON r.id = s.last ORDER BY r.flow"
        )
        return [FlowSummary(*row) for row in self._fetch(sql)]

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
            ("DELETE FROM events WHERE run_id = ?", (run_id,)),
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
                found.update(result_refs(decode_event(name, version, at, _bytes(body))))
            after = rows[-1][0]
        return found

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        counts = {
            table: self._fetch(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("runs", "task_runs", "events", "logs")
        }
        return {"kind": self.kind, "location": self.location, **counts}
