"""Leases, limits, cached results and artifacts in a journal in SQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.core import typed
from penstock.core.clock import now_us
from penstock.core.errors import LimitNotFound
from penstock.core.events import Saved
from penstock.core.model import Artifact, Cached, CacheFilter, Limit, Ticket
from penstock.journal.access import Execute, SqlCore, slices

_LIVE = (
    "EXISTS (SELECT 1 FROM runs "
    "WHERE runs.id = tickets.run_id AND runs.owner = tickets.owner AND runs.lease_until >= ?)"
)
_FRONT = f"SELECT id, occupy, {_LIVE} FROM tickets WHERE limit_name = ? ORDER BY id LIMIT ?"
_TICKETS = (
    "SELECT t.id, t.limit_name, t.run_id, t.owner, t.step, t.occupy, t.at, r.lease_until FROM tickets t "
    "LEFT JOIN runs r ON r.id = t.run_id AND r.owner = t.owner"
)
_CACHED = "key, task, run_id, step, created_at, expires_at, saved"
_PAGE = 500
_saved = typed.json_decoder(Saved).decode


class SqlSlots(SqlCore):
    """Who holds what, and what outlives its run."""

    def hold(self, name: str, owner: str, now: int, until: int) -> bool:
        """See `Journal.hold`."""
        sql = (
            "INSERT INTO leases (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET owner = excluded.owner, until = excluded.until WHERE leases.owner = excluded.owner OR leases.until < ?"
        )
        return self._write([(sql, (name, owner, until, now))])[0] == 1

    def holder(self, name: str) -> str | None:
        """See `Journal.holder`."""
        found = self._fetch("SELECT owner FROM leases WHERE name = ?", (name,))
        return found[0][0] if found else None

    def let_go(self, name: str, owner: str) -> None:
        """See `Journal.let_go`."""
        self._write([("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))])

    def queue_up(self, limit: str, run_id: str, owner: str, step: str | None, occupy: int, now: int) -> int:
        """See `Journal.queue_up`."""
        sql = "INSERT INTO tickets (limit_name, run_id, owner, step, occupy, at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"

        def work(execute: Execute) -> int:
            return int(execute(sql, (limit, run_id, owner, step, occupy, now))[0][0])

        return self._exclusively(f"limit/{limit}", work)

    def admitted(self, ticket: int, now: int, slots: int | None = None) -> bool | None:
        """See `Journal.admitted`. Every ticket takes a slot at least, so that only the first of them matter."""
        found = self._fetch(
            "SELECT t.limit_name, l.slots FROM tickets t LEFT JOIN limits l ON l.name = t.limit_name WHERE t.id = ?",
            (ticket,),
        )
        if not found:
            return None
        limit, declared = found[0]
        most = slots if declared is None else declared
        if most is None:
            return True
        front = (now, limit, most)
        holds, lost = _standing(ticket, most, self._fetch(_FRONT, front))
        if not lost:
            return holds

        def work(execute: Execute) -> bool:
            while True:
                holds, lost = _standing(ticket, most, execute(_FRONT, front))
                if not lost:
                    return holds
                execute(f"DELETE FROM tickets WHERE id IN ({', '.join('?' * len(lost))})", lost)

        holds = self._exclusively(f"limit/{limit}", work)
        self._wake()
        return holds

    def hand_back(self, tickets: Sequence[int]) -> int:
        """See `Journal.hand_back`."""
        if not tickets:
            return 0
        marks = ", ".join("?" * len(tickets))
        count = self._write([(f"DELETE FROM tickets WHERE id IN ({marks})", tuple(tickets))])[0]
        self._wake()
        return count

    def tickets(self, limit: str | None = None, owner: str | None = None, most: int = 1000) -> list[Ticket]:
        """See `Journal.tickets`."""
        given = {"t.limit_name = ?": limit, "t.owner = ?": owner}
        where = [condition for condition, value in given.items() if value is not None]
        values = [value for value in given.values() if value is not None]
        sql = f"{_TICKETS} WHERE {' AND '.join(where) or '1 = 1'} ORDER BY t.id LIMIT ?"
        return [Ticket(*row) for row in self._fetch(sql, (*values, most))]

    def reset_limit(self, limit: str) -> int:
        """See `Journal.reset_limit`."""
        count = self._write(
            [
                ("UPDATE limits SET turn = 0 WHERE name = ?", (limit,)),
                ("DELETE FROM tickets WHERE limit_name = ?", (limit,)),
            ]
        )[1]
        self._wake()
        return count

    def reserve(
        self,
        limit: str,
        amount: float,
        per_second: float | None,
        burst: int | None,
        now: int,
        latest: int | None = None,
    ) -> int:
        """See `Journal.reserve`. The generic cell rate algorithm: `turn` is when the limit will be idle again."""

        def work(execute: Execute) -> int:
            found = execute("SELECT per_second, burst, turn FROM limits WHERE name = ?", (limit,))
            declared, most, turn = found[0] if found else (None, 1, 0)
            rate = declared if declared is not None else per_second
            if not rate:
                raise LimitNotFound(
                    f"There is no rate limit {limit!r}.",
                    hint=f"give rate_limit a per_second=, or declare it: penstock limits set {limit} --per-second 10",
                )
            most = max(1, int(most) if declared is not None else burst or 1)
            step = 1_000_000 / rate
            start = max(turn, now)
            turn = math.ceil(start + amount * step)
            at = max(now, math.ceil(turn - step * max(most, amount)))
            if latest is not None and at > latest:
                return at
            execute(
                "INSERT INTO limits (name, slots, per_second, burst, declared, turn) VALUES (?, NULL, NULL, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET turn = excluded.turn",
                (limit, most, False, turn),
            )
            return at

        return self._exclusively(f"rate/{limit}", work)

    def limits(self, name: str | None = None, counted: bool = True) -> list[Limit]:
        """See `Journal.limits`."""
        where, values = ("AND name = ?", (name,)) if name is not None else ("", ())
        sql = f"SELECT name, slots, per_second, burst FROM limits WHERE declared {where} ORDER BY name"
        found = []
        for limit, slots, per_second, burst in self._fetch(sql, values):
            taken, waiting = self._counts(limit, slots) if counted else (0, 0)
            found.append(
                Limit(name=limit, slots=slots, per_second=per_second, burst=burst, taken=taken, waiting=waiting)
            )
        return found

    def _counts(self, limit: str, slots: int | None) -> tuple[int, int]:
        taken = waiting = 0
        rows = self._fetch(
            f"SELECT occupy FROM tickets WHERE limit_name = ? AND {_LIVE} ORDER BY id", (limit, now_us())
        )
        for (occupy,) in rows:
            if not waiting and (slots is None or taken + occupy <= slots):
                taken += occupy
            else:
                waiting += 1
        return taken, waiting

    def cached(self, key: str, now: int) -> Cached | None:
        """See `Journal.cached`."""
        sql = f"SELECT {_CACHED}, data FROM cache WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)"
        rows = self._fetch(sql, (key, now))
        return self._entry(rows[0]) if rows else None

    @staticmethod
    def _entry(row: Sequence[Any]) -> Cached:
        return Cached(
            key=row[0], task=row[1], run_id=row[2], step=row[3], created_at=row[4], expires_at=row[5],
            saved=_saved(row[6]), data=row[7] if len(row) > 7 else None,
        )  # fmt: skip

    def cache_entries(self, which: CacheFilter, after: str = "", limit: int = 100) -> list[Cached]:
        """See `Journal.cache_entries`."""
        found = []
        for where, values in _conditions(which):
            sql = f"SELECT {_CACHED} FROM cache WHERE key > ? {where} ORDER BY key LIMIT ?"
            found += [self._entry(row) for row in self._fetch(sql, (after, *values, limit))]
        return sorted(found, key=lambda entry: entry.key)[:limit]

    def forget_cached(self, which: CacheFilter) -> int:
        """See `Journal.forget_cached`."""
        count = 0
        for where, values in _conditions(which):
            after = ""
            while page := self._fetch(
                f"SELECT key FROM cache WHERE key > ? {where} ORDER BY key LIMIT {_PAGE}", (after, *values)
            ):
                keys = [key for (key,) in page]
                marks = ", ".join("?" * len(keys))
                count += self._write([(f"DELETE FROM cache WHERE key IN ({marks}) {where}", (*keys, *values))])[0]
                after = keys[-1]
        return count

    def artifacts(
        self,
        run_id: str | None = None,
        key: str | None = None,
        before: str | None = None,
        limit: int = 50,
        *,
        named: str | None = None,
        latest: bool = False,
        bare: bool = False,
    ) -> list[Artifact]:
        """See `Journal.artifacts`."""
        names = ["id", "kind", "run_id", "at", "key", "step", "description"]
        conditions: dict[str, tuple[Any, ...]] = {
            "run_id = ?": (run_id,),
            "key = ?": (key,),
            "id < ?": (before,),
            "(id = ? OR substr(id, length(id) - ?) = ?)": (named, len(named or "") - 1, named),
        }
        given = {condition: values for condition, values in conditions.items() if values[0] is not None}
        where = [*given] or ["1 = 1"]
        if latest:
            where.append("NOT EXISTS (SELECT 1 FROM artifacts n WHERE n.key = artifacts.key AND n.id > artifacts.id)")
        content = "length(data)" if bare else "data"
        sql = (
            f"SELECT {', '.join(names)}, {content} FROM artifacts WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
        )
        values = [value for some in given.values() for value in some]
        names.append("size" if bare else "data")
        return [Artifact(**dict(zip(names, row, strict=True))) for row in self._fetch(sql, (*values, limit))]


def _standing(ticket: int, slots: int, front: Sequence[Any]) -> tuple[bool, list[int]]:
    """Whether a ticket holds its slots, and which before it are of runs that are no more.

    One whose own run is thought dead at the moment holds nothing: anybody may remove it.
    """
    taken = 0
    lost: list[int] = []
    for other, occupy, live in front:
        if other > ticket:
            break
        taken += occupy
        if other == ticket:
            return bool(live) and taken <= slots, lost
        if not live:
            lost.append(other)
    return False, lost


def _conditions(which: CacheFilter) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What a filter adds to a WHERE, and its values; once for each slice of its keys."""
    given = {
        "task = ?": (which.task,),
        "created_at < ?": (which.made_before,),
        "expires_at <= ?": (which.expired_by,),
        "substr(key, 1, ?) = ?": (len(which.prefix or ""), which.prefix),
    }
    conditions = {condition: values for condition, values in given.items() if values[-1] is not None}
    where = "".join(f" AND {condition}" for condition in conditions)
    values = tuple(value for some in conditions.values() for value in some)
    if which.keys is None:
        yield where, values
        return
    for some, marks in slices(which.keys):
        yield f"{where} AND key IN ({marks})", (*values, *some)
