"""What the events of transactions do to their tables; see `projections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.events import Event
from penstock.core.verdicts import ResultCached, TransactionDecided
from penstock.journal.projections import CACHE_COLUMNS, Projection, step_row

_json = msgspec.json.Encoder().encode


def _undone(run_id: str, e: TransactionDecided, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return [(run_id, step, "RolledBack") for step in e.undone]


def _cached(run_id: str, e: ResultCached, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    saved = _json(e.result).decode()
    return ((e.cache_key, e.task, run_id, e.step, e.at, e.cache_until, saved, data, e.result.ref),)


PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    TransactionDecided: (
        step_row("Running", ended=False),
        Projection("task_runs", "set", ("run_id", "key", "state_name"), _undone),
    ),
    ResultCached: (Projection("cache", "put", CACHE_COLUMNS, _cached),),
}
