"""Every combination of what runs can be listed by, and the statements that a journal makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest

from penstock.core.events import Append, Record
from penstock.core.model import RunFilter
from penstock.core.plans import RunsPurged
from penstock.journal.sql import SqlJournal
from penstock.testing.bulk import BEGIN, RARE, SECOND

RUNS = 2 * RARE
COMMON: dict[str, Any] = {
    "states": ("Failed", "Crashed"),
    "flow": "flow_1",
    "deployment": "deployment 7",
    "tags": ("prod",),
    "parameters": {"limit": "10"},
    "text": "api 50",
}
RARE_ONES: dict[str, Any] = {"tags": ("rare",), "parameters": {"rare": "yes"}, "flow": "rare", "text": "rar"}


def every_listing() -> Iterator[RunFilter]:
    """All combinations of the common conditions, each with one that is rare, and with bounds of time."""
    names = list(COMMON)
    for size in range(1, len(names) + 1):
        for some in combinations(names, size):
            where = {name: COMMON[name] for name in some}
            yield RunFilter(**where)
            yield RunFilter(**where, children=True, since=BEGIN + 100 * SECOND, until=BEGIN + (RUNS - 500) * SECOND)
    for name, value in RARE_ONES.items():
        yield RunFilter(**{name: value})
        for other in names:
            yield RunFilter(**{**{other: COMMON[other]}, name: value})


def statements_of(
    journal: SqlJournal, ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, Sequence[Any]]]:
    """The statements by which a journal answers."""
    seen: list[tuple[str, Sequence[Any]]] = []
    fetch = journal._fetch

    def noted(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        seen.append((sql, tuple(parameters)))
        return fetch(sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_fetch", noted)
        ask()
    assert seen
    return seen


def questions_of_retention(journal: SqlJournal, runs: int = RUNS) -> list[Callable[[], object]]:
    """What is asked for a page of old runs, and what it takes to remove them."""
    until = BEGIN + runs * SECOND // 2
    page = [run.id for run in journal.ended_before("Completed", until, limit=20)]
    assert len(page) == 20
    after = page[-1]
    told = Append("retention/runs", 0, [Record(RunsPurged(at=1, runs=20, before=until))])
    return [
        lambda: journal.ended_before("Completed", until, after, 20),
        lambda: journal.ended_before("Failed", until, limit=20),
        lambda: journal.families(page),
        lambda: journal.refs_of(page),
        lambda: journal.unused(["x", "y"]),
        journal.needed_from,
        lambda: journal.purged_partitions("flow_1"),
        lambda: journal.thin(page[0], 2),
        lambda: journal.forget([1, 2, 3]),
        lambda: journal.purge(page, told, ["promise/x/start"]),
    ]


def questions_at_a_glance(journal: SqlJournal) -> list[Callable[[], object]]:
    """What the API asks to tell how things are, and what streams ask on and on."""
    ids = [run.id for run in journal.runs(RunFilter(limit=30))]
    middle = journal.read(0, 1000)[-1].position
    return [
        lambda: journal.run_counts(BEGIN + (RUNS - 500) * SECOND, 200),
        lambda: journal.flows(20),
        lambda: journal.news(dict.fromkeys(ids, (1, 0))),
        lambda: journal.news(dict.fromkeys(ids, (99, 10**9))),
        lambda: journal.glance(None, ("RunFailed", "Happened"), 20, 500),
        lambda: journal.glance(middle, ("Happened",), 20, 500),
        lambda: journal.runs_of(ids),
        lambda: journal.run_keys(RunFilter(limit=300), bare=True),
        lambda: journal.run_keys(RunFilter(states=("Failed",), limit=100)),
        lambda: journal.run_keys(RunFilter(any_tags=("rare", "prod"), limit=100)),
        lambda: journal.runs(RunFilter(pool="gpu", states=("Running", "Scheduled"))),
    ]
