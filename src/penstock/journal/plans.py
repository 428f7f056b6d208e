"""Deployments, schedules, pools and workers in a journal in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.clock import now_us
from penstock.core.model import (
    Backfill,
    Claim,
    DueSchedule,
    Pool,
    Queue,
    Run,
    StoredAutomation,
    StoredDeployment,
    StoredSchedule,
    Worker,
)
from penstock.journal.access import SqlCore
from penstock.journal.claims import CLAIMABLE, Claiming, lanes_of
from penstock.journal.projections import RUN_COLUMNS
from penstock.journal.rows import run_of

_RUNS = f"SELECT {', '.join(RUN_COLUMNS)} FROM runs"
_dict = typed.json_decoder(dict[str, Any]).decode
_json = msgspec.json.Encoder().encode
_names = typed.json_decoder(tuple[str, ...]).decode


class SqlPlans(SqlCore):
    """What is planned, and who does it."""

    def claim(self, claim: Claim) -> list[Run]:
        """See `Journal.claim`."""
        if claim.limit <= 0:
            return []

        rows = self._exclusively("claims", lambda execute: Claiming(execute, claim, self._claims).rows())
        return [self._run_of(row) for row in rows]

    @staticmethod
    def _run_of(row: Sequence[Any]) -> Run:
        return run_of(dict(zip(RUN_COLUMNS, row, strict=True)))

    def next_due(self, pool: str, queues: Sequence[str] = ()) -> int | None:
        """See `Journal.next_due`."""
        wanted = set(queues)
        lanes = self._fetch(*lanes_of(pool))
        return min((due for queue, _, due in lanes if not wanted or queue in wanted), default=None)

    def lost_runs(self, now: int, limit: int = 100) -> list[Run]:
        """See `Journal.lost_runs`."""
        sql = f"{_RUNS} WHERE pool IS NOT NULL AND owner IS NOT NULL AND lease_until < ? ORDER BY lease_until LIMIT ?"
        return [self._run_of(row) for row in self._fetch(sql, (now, limit))]

    def held_runs(self, pool: str | None = None) -> list[Run]:
        """See `Journal.held_runs`."""
        where, values = ("pool = ?", (pool,)) if pool is not None else ("pool IS NOT NULL", ())
        rows = self._fetch(f"{_RUNS} WHERE {where} AND owner IS NOT NULL ORDER BY id", values)
        return [self._run_of(row) for row in rows]

    def due_schedules(self, now: int, limit: int = 1000) -> list[DueSchedule]:
        """See `Journal.due_schedules`."""
        sql = (
            "SELECT s.deployment, s.name, s.spec, s.fired_until, s.next_due, d.spec FROM schedules s "
            "JOIN deployments d ON d.name = s.deployment "
            "WHERE s.next_due IS NOT NULL AND s.next_due <= ? ORDER BY s.next_due LIMIT ?"
        )
        return [
            DueSchedule(
                deployment=row[0], name=row[1], spec=_dict(row[2]), fired_until=row[3], next_due=row[4],
                declared=_dict(row[5]),
            )
            for row in self._fetch(sql, (now, limit))
        ]  # fmt: skip

    def next_schedule(self) -> int | None:
        """See `Journal.next_schedule`."""
        found: int | None = self._fetch("SELECT min(next_due) FROM schedules WHERE next_due IS NOT NULL")[0][0]
        return found

    def deployments(self, name: str | None = None) -> list[StoredDeployment]:
        """See `Journal.deployments`."""
        one, values = ("WHERE {} = ?", (name,)) if name is not None else ("", ())
        schedules: dict[str, list[StoredSchedule]] = {}
        sql = f"SELECT deployment, name, spec, paused, fired_until, next_due FROM schedules {one.format('deployment')}"
        for row in self._fetch(f"{sql} ORDER BY deployment, name", values):
            schedules.setdefault(row[0], []).append(
                StoredSchedule(
                    deployment=row[0], name=row[1], spec=_dict(row[2]), paused=bool(row[3]), fired_until=row[4],
                    next_due=row[5],
                )
            )  # fmt: skip
        sql = "SELECT name, flow, spec, pool, queue, concurrency, paused, updated_at FROM deployments"
        return [
            StoredDeployment(
                name=row[0], flow=row[1], spec=_dict(row[2]), pool=row[3], queue=row[4], concurrency=row[5],
                paused=bool(row[6]), updated_at=row[7], schedules=tuple(schedules.get(row[0], ())),
            )
            for row in self._fetch(f"{sql} {one.format('name')} ORDER BY name", values)
        ]  # fmt: skip

    def pools(self, name: str | None = None) -> list[Pool]:
        """See `Journal.pools`."""
        named = {row[0]: row for row in self._fetch("SELECT name, slots, paused, description FROM pools")}
        queues: dict[str, list[Queue]] = {}
        for row in self._fetch("SELECT pool, name, priority, slots, paused FROM queues ORDER BY pool, priority, name"):
            queue = Queue(pool=row[0], name=row[1], priority=row[2], slots=row[3], paused=bool(row[4]))
            queues.setdefault(row[0], []).append(queue)
        due = f"SELECT pool, count(*) FROM runs WHERE pool IS NOT NULL AND {CLAIMABLE} AND due_at <= ? GROUP BY pool"
        held = (
            "SELECT pool, count(*) FROM runs WHERE pool IS NOT NULL AND owner IS NOT NULL AND lease_until >= ? "
            "GROUP BY pool"
        )
        waiting, running = (dict(self._fetch(sql, (now_us(),))) for sql in (due, held))
        found = sorted({*named, *queues, *waiting, *running})
        return [
            Pool(
                name=each,
                slots=named[each][1] if each in named else None,
                paused=bool(named[each][2]) if each in named else False,
                description=named[each][3] if each in named else None,
                queues=tuple(queues.get(each, ())),
                waiting=waiting.get(each, 0),
                running=running.get(each, 0),
            )
            for each in found
            if name is None or each == name
        ]

    def backfills(self, backfill_id: str | None = None, limit: int = 100) -> list[Backfill]:
        """See `Journal.backfills`."""
        where, values = ("WHERE id = ?", (backfill_id,)) if backfill_id is not None else ("", ())
        names = "id, flow, pool, slots, partitions, state, created_at, ended_at"
        rows = self._fetch(
            f"SELECT {names} FROM backfills {where} ORDER BY created_at DESC, id LIMIT ?", (*values, limit)
        )
        return [Backfill(**dict(zip(names.split(", "), row, strict=True))) for row in rows]

    def report_worker(self, worker: Worker) -> None:
        """See `Journal.report_worker`."""
        names = ("id", "pool", "queues", "slots", "running", "state", "started_at", "seen_at")
        sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        sql = (
            f"INSERT INTO workers ({', '.join(names)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            f"ON CONFLICT (id) DO UPDATE SET {sets}"
        )
        values = (
            worker.id, worker.pool, _json(worker.queues).decode(), worker.slots, worker.running, worker.state,
            worker.started_at, worker.seen_at,
        )  # fmt: skip
        self._write([(sql, values)])

    def forget_worker(self, worker_id: str) -> None:
        """See `Journal.forget_worker`."""
        self._write([("DELETE FROM workers WHERE id = ?", (worker_id,))])

    def workers(self, pool: str | None = None) -> list[Worker]:
        """See `Journal.workers`."""
        where, values = ("WHERE pool = ?", (pool,)) if pool is not None else ("", ())
        sql = "SELECT id, pool, queues, slots, running, state, started_at, seen_at FROM workers"
        return [
            Worker(
                id=row[0], pool=row[1], queues=_names(row[2]), slots=row[3], running=row[4], state=row[5],
                started_at=row[6], seen_at=row[7],
            )
            for row in self._fetch(f"{sql} {where} ORDER BY started_at, id", values)
        ]  # fmt: skip

    def automations(self, name: str | None = None) -> list[StoredAutomation]:
        """See `Journal.automations`."""
        where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
        rows = self._fetch(f"SELECT name, spec, paused, fired_at FROM automations {where} ORDER BY name", values)
        return [StoredAutomation(name=row[0], spec=_dict(row[1]), paused=bool(row[2]), fired_at=row[3]) for row in rows]
