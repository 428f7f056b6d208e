"""What is removed at once, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from penstock.core.model import Member, Run
from penstock.core.plans import RunsPurged

MOST_ROWS = 2_000
"""So many rows are removed in one transaction, give or take."""
_MOST_RUNS = 100


class Purged(msgspec.Struct):
    """What was removed, or would be.

    Attributes:
        runs: those that nobody called from a flow.
        below: runs of subflows besides.
        results: files of the result store.
        events: of streams that are no runs.
        cached: cached results whose time was over.
        flows: how many runs of each flow ended in each state.
        shared: other journals use the result store too, so that nothing was removed there.
        kept: how many runs are old enough and stay, and why.
        first, last: the oldest and the newest of the runs.
    """

    runs: int = 0
    below: int = 0
    results: int = 0
    events: int = 0
    cached: int = 0
    shared: bool = False
    flows: dict[str, Counter[str]] = {}
    kept: Counter[str] = msgspec.field(default_factory=Counter)
    first: Run | None = None
    last: Run | None = None

    def count(self, run: Run) -> None:
        """One more run."""
        self.runs += 1
        self.flows.setdefault(run.flow, Counter())[run.state] += 1
        if self.first is None or run.id < self.first.id:
            self.first = run
        if self.last is None or run.id > self.last.id:
            self.last = run


class Batch:
    """Runs that are removed together.

    Attributes:
        ids: all of them.
        roots: those that nobody called from a flow.
    """

    def __init__(self, before: int) -> None:
        self.ids: list[str] = []
        self.roots: list[Run] = []
        self._before = before
        self._rows = 0

    def full(self, member: Member) -> bool:
        """Whether this one does not fit in any more."""
        rows = self._rows + min(member.rows, MOST_ROWS)
        return bool(self.ids) and (rows > MOST_ROWS or len(self.ids) >= _MOST_RUNS)

    def add(self, member: Member, run: Run) -> None:
        """One more of the family of a run."""
        self.ids.append(member.id)
        self._rows += min(member.rows, MOST_ROWS)
        if member.id == run.id:
            self.roots.append(run)

    def only(self, run_ids: Sequence[str]) -> None:
        """The others are gone."""
        self.ids = list(run_ids)
        self.roots = [run for run in self.roots if run.id in run_ids]

    def told(self, now: int, results: int, asked: bool) -> RunsPurged:
        """What stays of them."""
        flows: dict[str, Counter[str]] = {}
        partitions: dict[str, set[str]] = {}
        for run in self.roots:
            flows.setdefault(run.flow, Counter())[run.state] += 1
            if run.partition is not None and run.state == "Completed":
                partitions.setdefault(run.flow, set()).add(run.partition)
        ids = sorted(run.id for run in self.roots)
        return RunsPurged(
            at=now,
            runs=len(ids),
            before=self._before,
            below=len(self.ids) - len(ids),
            results=results,
            first=ids[0] if ids else None,
            last=ids[-1] if ids else None,
            flows={flow: dict(counts) for flow, counts in flows.items()},
            partitions={flow: tuple(sorted(found)) for flow, found in partitions.items()},
            asked=asked,
        )
