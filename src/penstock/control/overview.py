"""How things are, at a glance: cheap also where there are a million runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from penstock.core.clock import iso
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.core.states import FINAL_WORDS, StateType
from penstock.orchestrator.records import flow_record

MOST = 10_000
_HOUR = 3_600_000_000


def flows(journal: Journal, tags: tuple[str, ...] | None) -> list[dict[str, Any]]:
    """Every flow that has runs; for those who see only some runs, the flows of the newest of these."""
    if tags is None:
        return [flow_record(each) for each in journal.flows(MOST)]
    found: dict[str, dict[str, Any]] = {}
    for run in journal.runs(RunFilter(any_tags=tags, limit=1_000)):
        known = found.setdefault(
            run.flow,
            {"flow": run.flow, "runs": 0, "last_run_id": run.id, "last_state": run.state,
             "last_created_at": iso(run.created_at), "entrypoint": run.entrypoint},
        )  # fmt: skip
        known["runs"] += 1
    return sorted(found.values(), key=lambda each: str(each["flow"]))


def summary(journal: Journal, tags: tuple[str, ...] | None, hours: float, now: int) -> dict[str, Any]:
    """How many runs are in each state, what waits in the pools, and who works."""
    since = now - int(hours * _HOUR)
    return {
        "at": iso(now),
        "hours": hours,
        "runs": journal.run_counts(since, MOST) if tags is None else _counted(journal, tags, since),
        "most": MOST if tags is None else _MOST_SEEN,
        "pools": [
            {"name": each.name, "slots": each.slots, "paused": each.paused, "waiting": each.waiting,
             "running": each.running}
            for each in (journal.pools() if tags is None else ())
        ],
        "workers": [
            {"id": each.id, "pool": each.pool, "slots": each.slots, "running": each.running, "state": each.state,
             "started_at": iso(each.started_at), "seen_at": iso(each.seen_at)}
            for each in (journal.workers() if tags is None else ())
        ],
    }  # fmt: skip


_MOST_SEEN = 1_000


def _counted(journal: Journal, tags: tuple[str, ...], since: int) -> dict[str, int]:
    """The same for those who see only some runs: of the newest of each kind."""
    words = [kind.word for kind in StateType]
    open_ = tuple(word for word in words if word not in FINAL_WORDS)
    found = Counter(run.state for run in journal.runs(RunFilter(any_tags=tags, states=open_, limit=_MOST_SEEN)))
    ended = RunFilter(any_tags=tags, states=tuple(FINAL_WORDS), since=since, limit=_MOST_SEEN)
    found.update(run.state for run in journal.runs(ended))
    return {word: found[word] for word in words}
