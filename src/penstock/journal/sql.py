"""What the SQLite and the PostgreSQL journal share: the queries, written once.

SQL here uses `?` for placeholders; a dialect may rewrite them. Only `append` differs enough to be each journal's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock.core.events import Stored, decode_event, now_us
from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun
from penstock.core.ports import Journal
from penstock.journal.projections import RUN_COLUMNS, TASK_COLUMNS
from penstock.journal.rows import result_refs, run_of, task_run_of

EVENT_COLUMNS = "position, run_id, seq, type, version, at, body, data"
INSERT_EVENT = "INSERT INTO events (run_id, seq, type, version, at, body, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
INSERT_LOG = "INSERT INTO logs (run_id, key, at, level, logger, message) VALUES (?, ?, ?, ?, ?, ?)"
_RUNS = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs"  # noqa: S608
_PAGE = 5000


def stored_of(row: Sequence[Any]) -> Stored:
    """A row of `events`."""
    position, run_id, seq, name, version, at, body, data = row
    event = decode_event(name, version, at, bytes(body) if not isinstance(body, str) else body.encode())
    return Stored(position, run_id, seq, event, bytes(data) if data is not None else None)


def log_row(line: LogLine) -> tuple[Any, ...]:
    """A log line as the parameters of INSERT_LOG."""
    return line.run_id, line.key, line.at, line.level, line.logger, line.message


class SqlJournal(Journal):
    """Everything but `append`, over three primitives."""

    @abstractmethod
    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query, as sequences."""

    @abstractmethod
    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute in one transaction; the row counts."""

    @abstractmethod
    def _write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute one statement for many rows in one transaction."""

    visible = "1 = 1"
    """What an event must fulfil so that none can still be committed before it."""

    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT {_PAGE}"  # noqa: S608
        while True:
            rows = self._fetch(sql, (run_id, after))
            yield from map(stored_of, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][2]

    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """See `Journal.read`."""
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? AND {self.visible} ORDER BY position LIMIT ?"  # noqa: S608
        return [stored_of(row) for row in self._fetch(sql, (after, limit))]

    def cursor(self, name: str) -> int:
        """See `Journal.cursor`."""
        rows = self._fetch("SELECT position FROM cursors WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""
        ensure = "INSERT INTO cursors (name, position) VALUES (?, 0) ON CONFLICT (name) DO NOTHING"
        move = "UPDATE cursors SET position = ? WHERE name = ? AND position = ?"
        return self._write([(ensure, (name,)), (move, (position, name, expected))])[1] == 1

    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """See `Journal.extend_leases`."""
        sql = "UPDATE runs SET lease_until = ? WHERE id = ? AND owner = ?"
        ids = list(run_ids)
        counts = self._write([(sql, (until, run_id, owner)) for run_id in ids])
        return {run_id for run_id, count in zip(ids, counts, strict=True) if count}

    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """See `Journal.cancel_requested`."""
        found: set[str] = set()
        for start in range(0, len(run_ids), 500):
            some = run_ids[start : start + 500]
            marks = ", ".join("?" * len(some))
            sql = f"SELECT id FROM runs WHERE cancel_requested AND id IN ({marks})"  # noqa: S608
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
        literal = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        sql = f"{_RUNS} WHERE id LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' OR name = ? ORDER BY id DESC LIMIT ?"
        return self._run_rows(sql, (f"{literal}%", f"%{literal}", prefix, limit))

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Journal.runs`."""
        conditions, parameters = ["1 = 1"], []
        if where.states:
            conditions.append(f"state IN ({', '.join('?' * len(where.states))})")
            parameters.extend(where.states)
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
        sql = f"{_RUNS} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        return self._run_rows(sql, (*parameters, where.limit))

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
            f"SELECT {', '.join(TASK_COLUMNS)} FROM task_runs WHERE run_id = ? "  # noqa: S608
            "ORDER BY coalesce(parent, ''), ordinal, key"
        )
        return [task_run_of(dict(zip(TASK_COLUMNS, row, strict=True))) for row in self._fetch(sql, (run_id,))]

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """See `Journal.write_logs`."""
        if lines:
            self._write_many(INSERT_LOG, [log_row(line) for line in lines])

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Journal.logs`."""
        only = "AND key = ? " if key is not None else ""
        sql = (
            f"SELECT run_id, key, at, level, logger, message, id FROM logs WHERE run_id = ? AND id > ? {only}"  # noqa: S608
            "ORDER BY id LIMIT ?"
        )
        parameters = (run_id, after, key, limit) if key is not None else (run_id, after, limit)
        return [LogLine(*row) for row in self._fetch(sql, parameters)]

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`.

        When the newest event of all goes, a tombstone takes its place, so that positions never go back.
        """
        count = 0
        for run_id in run_ids:
            newest = self._fetch("SELECT run_id FROM events ORDER BY position DESC LIMIT 1")
            statements: list[tuple[str, Sequence[Any]]] = []
            if newest and newest[0][0] == run_id:
                statements.append((INSERT_EVENT, ("", now_us(), "RunDeleted", 1, now_us(), b'{"at":0}', None)))
            statements += [
                ("DELETE FROM logs WHERE run_id = ?", (run_id,)),
                ("DELETE FROM task_runs WHERE run_id = ?", (run_id,)),
                ("DELETE FROM events WHERE run_id = ?", (run_id,)),
                ("DELETE FROM runs WHERE id = ?", (run_id,)),
            ]
            count += self._write(statements)[-1]
        return count

    def refs(self) -> set[str]:
        """See `Journal.refs`."""
        found: set[str] = set()
        after = 0
        sql = f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? ORDER BY position LIMIT {_PAGE}"  # noqa: S608
        while rows := self._fetch(sql, (after,)):
            for row in rows:
                found.update(result_refs(stored_of(row).event))
            after = rows[-1][0]
        return found

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        counts = {
            table: self._fetch(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
            for table in ("runs", "task_runs", "events", "logs")
        }
        return {"kind": self.kind, "location": self.location, **counts}
