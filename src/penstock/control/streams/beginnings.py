"""Holds back what runs log until the start of the step that logs it is there to be told first.

A step's start is recorded a moment after it, and a line may be in the journal, or be read, before that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from penstock.core.events import RunEnded, Stored, TaskEvent
from penstock.core.model import LogLine

_PATIENCE_SECONDS = 0.5
"""So long is the start of a step waited for: that of one which began before anybody listened is not read here."""


class Beginnings:
    """Which steps have begun, of the runs that are read. For the one thread that reads."""

    def __init__(self) -> None:
        self._begun: dict[str, set[str]] = {}
        self._waits: dict[str, dict[str, float]] = {}
        self._over: set[str] = set()

    def only(self, runs: Collection[str]) -> None:
        """Forget the others."""
        for run_id in self._begun.keys() - runs:
            del self._begun[run_id], self._waits[run_id]
            self._over.discard(run_id)

    def told(
        self, run_id: str, records: Sequence[Stored], lines: Sequence[LogLine], now: float, *, full: bool = False
    ) -> tuple[Sequence[Stored], Sequence[LogLine]]:
        """What of a run can be told now; what is left out is to be read again.

        Args:
            run_id: the run.
            records: what is new of its records.
            lines: what is new of its lines.
            now: the time, of a clock that is never set.
            full: there is more of it than was read: nothing waits.
        """
        begun, waits = self._begun.setdefault(run_id, set()), self._waits.setdefault(run_id, {})
        begun.update(each.event.step.key for each in records if isinstance(each.event, TaskEvent))
        if any(isinstance(each.event, RunEnded) for each in records):
            self._over.add(run_id)
        early = []
        for place, line in enumerate(lines):
            if line.key is None or line.key in begun:
                continue
            if now - waits.setdefault(line.key, now) < _PATIENCE_SECONDS:
                early.append(place)
            else:
                begun.add(line.key)
        for key in waits.keys() & begun:
            del waits[key]
        if not early or full or run_id in self._over:
            return records, lines
        return _until(records, lines[early[0]].at), lines[: early[0]]


def _until(records: Sequence[Stored], end: int) -> Sequence[Stored]:
    """The first of these, none of them later."""
    later = next((place for place, each in enumerate(records) if each.event.at > end), len(records))
    return records[:later]
