"""A journal in memory: for tests, and for flows whose record nobody needs."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from penstock.core.errors import SequenceConflict
from penstock.core.events import Event, Record, Stored
from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun
from penstock.core.ports import Journal
from penstock.journal.projections import KEYS, PROJECTIONS, Projection
from penstock.journal.rows import result_refs, run_of, task_run_of
from penstock.journal.text import encodable, encodable_event


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
        self._logs: dict[str, list[LogLine]] = {}
        self._line = 0
        self._cursors: dict[str, int] = {}

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        with self._lock:
            last = self._last(run_id)
            if last != expected_seq:
                raise SequenceConflict(f"Run {run_id} is at record {last}, not {expected_seq}.")
            changes = [self._change(run_id, event) for event, _ in records]
            mine = self._by_run.setdefault(run_id, [])
            for offset, (event, data) in enumerate(records, start=1):
                self._position += 1
                stored = Stored(self._position, run_id, expected_seq + offset, event, data)
                mine.append(stored)
                self._records.append(stored)
            for projection, values in filter(None, changes):
                rows = self._rows[projection.table]
                key = tuple(values[name] for name in KEYS[projection.table])
                if projection.creates or key in rows:
                    rows.setdefault(key, {}).update(values)
            self.write_logs(logs)

    def _last(self, run_id: str) -> int:
        mine = self._by_run.get(run_id)
        return mine[-1].seq if mine else 0

    @staticmethod
    def _change(run_id: str, event: Event) -> tuple[Projection, dict[str, Any]] | None:
        """What an event does to the tables; worked out for all of an append before any of it is done."""
        projection = PROJECTIONS.get(type(event))
        if projection is None:
            return None
        try:
            values = projection.values(run_id, event)
        except UnicodeEncodeError:
            values = projection.values(run_id, encodable_event(event))
        return projection, dict(zip(projection.columns, values, strict=True))

    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        with self._lock:
            mine = self._by_run.get(run_id, ())
            return iter(mine[bisect_right(mine, after, key=attrgetter("seq")) :])

    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """See `Journal.read`."""
        with self._lock:
            start = bisect_right(self._records, after, key=attrgetter("position"))
            return self._records[start : start + limit]

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
        exact = self.run(prefix)
        if exact is not None:
            return [exact]
        names = (prefix, encodable(prefix))
        found = [r for r in self._all_runs() if r.id.startswith(prefix) or r.id.endswith(prefix) or r.name in names]
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
                self._line += 1
                self._logs.setdefault(line.run_id, []).append(msgspec.structs.replace(line, id=self._line))

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Journal.logs`."""
        with self._lock:
            lines = self._logs.get(run_id, ())
            found = lines[bisect_right(lines, after, key=attrgetter("id")) :]
        return [line for line in found if key is None or line.key == key][:limit]

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`."""
        gone = set(run_ids)
        with self._lock:
            count = sum((run_id,) in self._rows["runs"] for run_id in gone)
            self._records = [stored for stored in self._records if stored.run_id not in gone]
            for run_id in gone:
                self._by_run.pop(run_id, None)
                self._logs.pop(run_id, None)
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
            logs = sum(map(len, self._logs.values()))
            return {"kind": self.kind, "location": self.location, **counts, "events": len(self._records), "logs": logs}

    def vacuum(self) -> None:
        """See `Journal.vacuum`."""

    def close(self) -> None:
        """See `Journal.close`."""
