"""A journal in memory: for tests, and for flows whose record nobody needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import SequenceConflict
from penstock.core.events import Record, Stored
from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun
from penstock.core.ports import Journal
from penstock.journal.projections import PROJECTIONS
from penstock.journal.rows import result_refs, run_of, task_run_of


class MemoryJournal(Journal):
    """Keeps everything in dictionaries; lost with the process."""

    kind = "memory"
    location = "memory"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: list[Stored] = []
        self._position = 0
        self._by_run: dict[str, list[Stored]] = {}
        self._rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {"runs": {}, "task_runs": {}}
        self._logs: list[LogLine] = []
        self._cursors: dict[str, int] = {}

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        with self._lock:
            mine = self._by_run.setdefault(run_id, [])
            last = mine[-1].seq if mine else 0
            if last != expected_seq:
                raise SequenceConflict(f"Run {run_id} is at record {last}, not {expected_seq}.")
            for offset, (event, data) in enumerate(records, start=1):
                self._position += 1
                stored = Stored(self._position, run_id, expected_seq + offset, event, data)
                mine.append(stored)
                self._records.append(stored)
                self._project(run_id, event)
            self.write_logs(logs)

    def _project(self, run_id: str, event: Any) -> None:
        projection = PROJECTIONS.get(type(event))
        if projection is None:
            return
        values = dict(zip(projection.columns, projection.values(run_id, event), strict=True))
        key = (run_id,) if projection.table == "runs" else (run_id, values["key"])
        rows = self._rows[projection.table]
        if projection.creates or key in rows:
            rows.setdefault(key, {}).update(values)

    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        with self._lock:
            mine = list(self._by_run.get(run_id, ()))
        return (stored for stored in mine if stored.seq > after)

    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """See `Journal.read`."""
        with self._lock:
            return [stored for stored in self._records if stored.position > after][:limit]

    def cursor(self, name: str) -> int:
        """See `Journal.cursor`."""
        return self._cursors.get(name, 0)

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""
        with self._lock:
            if self._cursors.get(name, 0) != expected:
                return False
            self._cursors[name] = position
            return True

    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """See `Journal.extend_leases`."""
        held = set()
        with self._lock:
            for run_id in run_ids:
                row = self._rows["runs"].get((run_id,))
                if row is not None and row["owner"] == owner:
                    row["lease_until"] = until
                    held.add(run_id)
        return held

    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """See `Journal.cancel_requested`."""
        rows = self._rows["runs"]
        with self._lock:
            return {run_id for run_id in run_ids if (run_id,) in rows and rows[(run_id,)]["cancel_requested"]}

    def run(self, run_id: str) -> Run | None:
        """See `Journal.run`."""
        with self._lock:
            row = self._rows["runs"].get((run_id,))
            return run_of(row) if row is not None else None

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """See `Journal.find`."""
        found = [r for r in self._all_runs() if r.id.startswith(prefix) or r.id.endswith(prefix) or r.name == prefix]
        return found[:limit]

    def _all_runs(self) -> list[Run]:
        with self._lock:
            return sorted(map(run_of, self._rows["runs"].values()), key=lambda run: run.id, reverse=True)

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Journal.runs`."""

        def fits(run: Run) -> bool:
            return (
                (not where.states or run.state in where.states)
                and (where.flow is None or run.flow == where.flow)
                and (where.before is None or run.id < where.before)
                and (where.parent_id is None or run.parent_id == where.parent_id)
                and (where.children or where.parent_id is not None or run.parent_id is None)
            )

        return [run for run in self._all_runs() if fits(run)][: where.limit]

    def flows(self) -> list[FlowSummary]:
        """See `Journal.flows`."""
        found: dict[str, list[Run]] = {}
        for run in self._all_runs():
            if run.parent_id is None:
                found.setdefault(run.flow, []).append(run)
        return [
            FlowSummary(name, len(runs), runs[0].id, runs[0].state, runs[0].created_at, runs[0].entrypoint)
            for name, runs in sorted(found.items())
        ]

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """See `Journal.task_runs`."""
        with self._lock:
            rows = [row for key, row in self._rows["task_runs"].items() if key[0] == run_id]
        return sorted(map(task_run_of, rows), key=lambda t: (t.parent or "", t.ordinal, t.key))

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """See `Journal.write_logs`."""
        with self._lock:
            for line in lines:
                self._logs.append(msgspec.structs.replace(line, id=len(self._logs) + 1))

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Journal.logs`."""
        with self._lock:
            found = [
                line
                for line in self._logs
                if line.run_id == run_id and line.id > after and (key is None or line.key == key)
            ]
        return found[:limit]

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`."""
        gone = set(run_ids)
        with self._lock:
            count = sum((run_id,) in self._rows["runs"] for run_id in gone)
            self._records = [stored for stored in self._records if stored.run_id not in gone]
            self._logs = [line for line in self._logs if line.run_id not in gone]
            for run_id in gone:
                self._by_run.pop(run_id, None)
            for rows in self._rows.values():
                for key in [key for key in rows if key[0] in gone]:
                    del rows[key]
        return count

    def refs(self) -> set[str]:
        """See `Journal.refs`."""
        with self._lock:
            return {ref for stored in self._records for ref in result_refs(stored.event)}

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        with self._lock:
            counts = {name: len(rows) for name, rows in self._rows.items()}
            return {"kind": self.kind, "location": self.location, **counts, "events": len(self._records)}

    def vacuum(self) -> None:
        """See `Journal.vacuum`."""

    def close(self) -> None:
        """See `Journal.close`."""
