"""Old runs and events leave a journal in SQL: what is old, what belongs to it, and the short transactions it takes.

Whatever is removed here belongs to runs that have ended, which nobody appends to any more. So no lock is needed, and a
removal that is cut short is gone on with by whoever looks next: the row in `runs` is the last to go.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from penstock.core.events import Append
from penstock.core.ids import new_run_id
from penstock.core.model import Member, Run
from penstock.journal.access import SqlCore, slices
from penstock.journal.projections import RUN_COLUMNS
from penstock.journal.rows import run_of
from penstock.journal.search import bound_of
from penstock.journal.terms import REFS, ref_term

_ENDED = (
    f"SELECT {', '.join(RUN_COLUMNS)} FROM runs WHERE parent_id IS NULL AND state = ? AND id > ? AND id < ? "
    "AND ended_at < ? ORDER BY id LIMIT ?"
)
_FAMILIES = """
WITH RECURSIVE family(root, id, depth) AS (
  SELECT id, id, 0 FROM runs WHERE id IN ({})
  UNION ALL
  SELECT f.root, r.id, f.depth + 1 FROM family f JOIN runs r ON r.parent_id = f.id AND r.parent_id IS NOT NULL
) SELECT f.root, f.id, CASE WHEN r.ended_at IS NULL THEN 0 ELSE 1 END, (SELECT count(*) FROM logs WHERE run_id = f.id),
  (SELECT count(*) FROM task_runs WHERE run_id = f.id), coalesce(e.seq, 0), coalesce(e.position, 0)
FROM family f JOIN runs r ON r.id = f.id
LEFT JOIN events e ON e.stream = f.id AND e.seq = (SELECT max(seq) FROM events WHERE stream = f.id)
ORDER BY f.root, f.depth DESC, f.id
"""
_HAS_ENDED = "EXISTS (SELECT 1 FROM runs WHERE id = ? AND ended_at IS NOT NULL)"
# From the end on, and the beginning stays: what is left of a run is always a beginning of it.
_THINNED = (
    "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE run_id = ? ORDER BY id DESC LIMIT ?)",
    "DELETE FROM artifacts WHERE id IN (SELECT id FROM artifacts WHERE run_id = ? ORDER BY id DESC LIMIT ?)",
    "DELETE FROM task_runs WHERE run_id = ? AND key IN (SELECT key FROM task_runs WHERE run_id = ? LIMIT ?)",
    "DELETE FROM terms WHERE run_id = ? AND term IN (SELECT term FROM terms WHERE run_id = ? LIMIT ?)",
    "DELETE FROM events WHERE position IN (SELECT position FROM events WHERE stream = ? AND seq > 1 "
    "AND position < (SELECT max(position) FROM events) ORDER BY seq DESC LIMIT ?)",
)
_IDENTITY = "journal"
_WHOLE = "(stream >= 'action/' AND stream < 'action0') OR (stream >= 'event/' AND stream < 'event0')"
"""Streams that end some time: nobody minds when they begin anew."""


class SqlRetention(SqlCore):
    """What is old, and how it leaves."""

    @abstractmethod
    def _append_with(
        self, items: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]], *, exact: bool = False
    ) -> None:
        """Append, and execute these, in one transaction.

        Args:
            items: what to append.
            statements: what to execute.
            exact: each of them changes one row.

        Raises:
            SequenceConflict: nothing was done.
        """

    def ended_before(self, state: str, until: int, after: str = "", limit: int = 100) -> list[Run]:
        """See `Journal.ended_before`. A run is made before it ends, so that the time is a bound of the ids as well."""
        rows = self._fetch(_ENDED, (state, after, bound_of(until), until, limit))
        return [run_of(dict(zip(RUN_COLUMNS, row, strict=True))) for row in rows]

    def families(self, run_ids: Sequence[str]) -> dict[str, list[Member]]:
        """See `Journal.families`."""
        found: dict[str, list[Member]] = {}
        for some, marks in slices(run_ids):
            for root, run_id, ended, lines, steps, events, position in self._fetch(_FAMILIES.format(marks), some):
                member = Member(run_id, bool(ended), lines + steps + events, position)
                found.setdefault(root, []).append(member)
        return found

    def needed_from(self) -> dict[str, int]:
        """See `Journal.needed_from`."""
        found = {name: position + 1 for name, position in self._fetch("SELECT name, position FROM cursors")}
        owed = self._fetch("SELECT min(position) FROM owed_actions")[0][0]
        return found if owed is None else {**found, "actions": owed}

    def thin(self, run_id: str, rows: int) -> int:
        """See `Journal.thin`."""
        for sql in _THINNED:
            values = (run_id,) * (sql.count("?") - 1)
            count = self._write([(f"{sql} AND {_HAS_ENDED}", (*values, rows, run_id))])[0]
            if count:
                return count
        return 0

    def purge(self, run_ids: Sequence[str], told: Append, streams: Sequence[str] = (), needed: int = 1 << 62) -> None:
        """See `Journal.purge`. What is told comes first: so the newest of all positions is never one that goes."""
        statements: list[tuple[str, Sequence[Any]]] = []
        at = told.records[0].event.at
        for some, marks in slices(run_ids):
            of_run = f"WHERE run_id IN ({marks})"
            tables = ("logs", "artifacts", "task_runs", "terms", "tickets")
            statements += [(f"DELETE FROM {table} {of_run}", some) for table in tables]
            expired = f"DELETE FROM cache {of_run} AND (expires_at IS NULL OR expires_at <= ?)"
            statements += [(expired, (*some, at)), (f"DELETE FROM events WHERE stream IN ({marks})", some)]
        for some, marks in slices(streams):
            statements.append((f"DELETE FROM events WHERE stream IN ({marks}) AND position < ?", (*some, needed)))
        for some, marks in slices(run_ids):
            statements.append((f"DELETE FROM runs WHERE id IN ({marks})", some))
        self._append_with([told], statements)

    def identity(self) -> str:
        """See `Journal.identity`. It is drawn when it is first asked for, and kept as a lease that never ends."""
        sql = "SELECT owner FROM leases WHERE name = ?"
        while not (found := self._fetch(sql, (_IDENTITY,))):
            drawn = "INSERT INTO leases (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
            self._write([(drawn, (_IDENTITY, new_run_id(), 1 << 62))])
        return str(found[0][0])

    def refs_of(self, run_ids: Sequence[str]) -> set[str]:
        """See `Journal.refs_of`."""
        found: set[str] = set()
        for some, marks in slices(run_ids):
            sql = f"SELECT term FROM terms WHERE run_id IN ({marks}) AND term >= ? AND term < ?"
            found.update(row[0][len(REFS[0]) :] for row in self._fetch(sql, (*some, *REFS)))
        return found

    def unused(self, refs: Sequence[str]) -> set[str]:
        """See `Journal.unused`."""
        found = set(refs)
        for some, marks in slices(list(found)):
            terms = tuple(ref_term(ref) for ref in some)
            used = self._fetch(f"SELECT term FROM terms WHERE term IN ({marks})", terms)
            found -= {row[0][len(REFS[0]) :] for row in used}
            cached = self._fetch(f"SELECT ref FROM cache WHERE ref IS NOT NULL AND ref IN ({marks})", some)
            found -= {row[0] for row in cached}
        return found

    def forget(self, positions: Sequence[int]) -> int:
        """See `Journal.forget`."""
        last = "seq < (SELECT max(seq) FROM events later WHERE later.stream = events.stream)"
        count = 0
        for start in range(0, len(positions), 500):
            some = positions[start : start + 500]
            marks = ", ".join("?" * len(some))
            doomed = (
                f"FROM events WHERE position IN ({marks}) AND ({last} OR {_WHOLE}) "
                "AND position < (SELECT max(position) FROM events)"
            )
            listed = f"DELETE FROM deliveries WHERE stream IN (SELECT stream {doomed} AND type = 'WebhookReceived')"
            count += self._write([(listed, tuple(some)), (f"DELETE {doomed}", tuple(some))])[1]
        return count

    def purged_partitions(self, flow: str) -> set[str]:
        """See `Journal.purged_partitions`."""
        return {row[0] for row in self._fetch("SELECT partition FROM partitions WHERE flow = ?", (flow,))}
