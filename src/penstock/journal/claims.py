"""How due runs are claimed: in their order, and never more than the limits leave room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from penstock.core.events import RunClaimed, encode_event
from penstock.core.model import Claim
from penstock.journal.access import Changed, Execute, slices
from penstock.journal.projections import RUN_COLUMNS

CLAIMABLE = "due_at IS NOT NULL AND owner IS NULL"
_DEFAULT_PRIORITY = 100

_FIRST = f"SELECT id FROM runs WHERE pool = ? AND {CLAIMABLE}"
# What waits in a pool: each queue and priority once, with what is due first in it, by hopping over the index.
LANES = f"""
WITH RECURSIVE lanes(queue, priority, due_at) AS (
  SELECT queue, priority, due_at FROM runs WHERE id = ({_FIRST} ORDER BY queue, priority, due_at, id LIMIT 1)
  UNION ALL
  SELECT r.queue, r.priority, r.due_at FROM lanes JOIN runs r ON r.id = coalesce(
    ({_FIRST} AND queue = lanes.queue AND priority > lanes.priority ORDER BY priority, due_at, id LIMIT 1),
    ({_FIRST} AND queue > lanes.queue ORDER BY queue, priority, due_at, id LIMIT 1)
  )
) SELECT queue, priority, due_at FROM lanes
"""


def lanes_of(pool: str) -> tuple[str, tuple[str, ...]]:
    """The query for what waits in a pool."""
    return LANES, (pool,) * LANES.count("?")


_TAKE = (
    "UPDATE runs SET state = 'Pending', state_name = 'Pending', message = NULL, owner = ?, lease_until = ?, "
    f"due_at = NULL, waiting = NULL WHERE id IN ({{}}) AND {CLAIMABLE} RETURNING {', '.join(RUN_COLUMNS)}"
)

Insert = Callable[[Sequence[str], int, str, int], "tuple[str, Sequence[Any]]"]
"""(runs, time, body, how many were inserted before) -> the statement that appends a RunClaimed to each of them."""


class _Lane(NamedTuple):
    """Due runs of one queue and one priority, in the order in which lanes come."""

    queue_priority: int
    priority: int
    due_at: int
    queue: str


class _Found(NamedTuple):
    """A run that could be claimed."""

    due_at: int
    id: str
    queue: str
    deployment: str | None


class Claiming:
    """One claim, inside its transaction."""

    def __init__(self, execute: Execute, claim: Claim, insert: Insert) -> None:
        self._execute = execute
        self._claim = claim
        self._insert = insert
        self._left = claim.limit
        self._of_queue: dict[str, int] = {}
        self._of_deployment: dict[str, int | None] = {}
        self._full: set[str] = set()
        self._counts: tuple[Counter[str], Counter[str], Counter[str]] | None = None
        self._body = encode_event(RunClaimed(at=claim.now, owner=claim.owner, lease_until=claim.lease_until)).decode()
        self._rows: list[Any] = []

    def rows(self) -> list[Any]:
        """Claim; the rows of the runs, in order."""
        pool = self._execute("SELECT slots, paused FROM pools WHERE name = ?", (self._claim.pool,))
        if pool and pool[0][1]:
            return []
        lanes = self._lanes()
        if lanes and pool and pool[0][0] is not None:
            self._left = min(self._left, pool[0][0] - self._live[0][self._claim.pool])
        for _, some in groupby(lanes, key=lambda lane: lane[:2]):
            self._take_from(list(some))
            if self._left <= 0:
                break
        return self._rows

    def _lanes(self) -> list[_Lane]:
        """Where something is due and there is room, in order."""
        claim = self._claim
        waiting = self._execute(*lanes_of(claim.pool))
        wanted = set(claim.queues) or {queue for queue, _, _ in waiting}
        sql = "SELECT name, priority, slots, paused FROM queues WHERE pool = ?"
        declared = {row[0]: row[1:] for row in self._execute(sql, (claim.pool,))} if waiting else {}
        lanes = []
        for queue, priority, due_at in waiting:
            if due_at > claim.now or queue not in wanted:
                continue
            queue_priority, slots, paused = declared.get(queue, (_DEFAULT_PRIORITY, None, False))
            if slots is not None and queue not in self._of_queue:
                self._of_queue[queue] = slots - self._live[1][queue]
            if not paused and self._of_queue.get(queue, 1) > 0:
                lanes.append(_Lane(queue_priority, priority, due_at, queue))
        return sorted(lanes)

    @property
    def _live(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """Runs whose lease holds: of each pool, each queue of this pool, and each deployment."""
        if self._counts is None:
            self._counts = (Counter(), Counter(), Counter())
            sql = (
                "SELECT pool, queue, deployment, count(*) FROM runs WHERE pool IS NOT NULL AND owner IS NOT NULL "
                "AND lease_until >= ? GROUP BY pool, queue, deployment"
            )
            for pool, queue, deployment, count in self._execute(sql, (self._claim.now,)):
                self._counts[0][pool] += count
                self._counts[1][queue] += count if pool == self._claim.pool else 0
                self._counts[2][deployment] += count
        return self._counts

    def _take_from(self, lanes: list[_Lane]) -> None:
        """Take what there is room for from lanes that are equal but for the time."""
        while lanes and self._left > 0:
            page = self._page(lanes[: self._left])
            self._learn({one.deployment for one in page if one.deployment is not None})
            taken = [one.id for one in page if self._room_for(one)]
            self._put(taken)
            if len(taken) == len(page) < self._left or not page:
                break
            lanes = [lane for lane in lanes if self._of_queue.get(lane.queue, 1) > 0]

    def _page(self, lanes: Sequence[_Lane]) -> list[_Found]:
        """The first runs of these lanes that are due."""
        marks = ", ".join("?" * len(self._full))
        but = f"AND (deployment IS NULL OR deployment NOT IN ({marks}))" if self._full else ""
        one = (
            f"SELECT * FROM (SELECT due_at, id, queue, deployment FROM runs WHERE pool = ? AND queue = ? "
            f"AND priority = ? AND {CLAIMABLE} AND due_at <= ? {but} ORDER BY due_at, id LIMIT ?) AS lane"
        )
        values: list[Any] = []
        for lane in lanes:
            values += (self._claim.pool, lane.queue, lane.priority, self._claim.now, *self._full, self._left)
        return sorted(_Found(*row) for row in self._execute(" UNION ALL ".join([one] * len(lanes)), values))

    def _learn(self, names: set[str]) -> None:
        """How many more runs of these deployments there is room for; None for any number."""
        for some, marks in slices(sorted(names - self._of_deployment.keys())):
            self._of_deployment.update(dict.fromkeys(some))
            sql = f"SELECT name, concurrency FROM deployments WHERE concurrency IS NOT NULL AND name IN ({marks})"
            for name, slots in self._execute(sql, some):
                self._of_deployment[name] = slots - self._live[2][name]

    def _room_for(self, found: _Found) -> bool:
        of_deployment = self._of_deployment.get(found.deployment) if found.deployment is not None else None
        if of_deployment is not None and of_deployment <= 0:
            self._full.add(str(found.deployment))
            return False
        if self._left <= 0 or self._of_queue.get(found.queue, 1) <= 0:
            return False
        self._left -= 1
        if found.queue in self._of_queue:
            self._of_queue[found.queue] -= 1
        if of_deployment is not None:
            self._of_deployment[str(found.deployment)] = of_deployment - 1
        return True

    def _put(self, run_ids: list[str]) -> None:
        """Append the events, then change the rows: in that order, as every append does.

        Raises:
            Changed: somebody else appended to one of these runs meanwhile.
        """
        for some, marks in slices(run_ids):
            self._execute(*self._insert(some, self._claim.now, self._body, len(self._rows)))
            rows = self._execute(_TAKE.format(marks), (self._claim.owner, self._claim.lease_until, *some))
            if len(rows) != len(some):
                raise Changed()
            order = {run_id: place for place, run_id in enumerate(some)}
            self._rows += sorted(rows, key=lambda row: order[row[0]])
