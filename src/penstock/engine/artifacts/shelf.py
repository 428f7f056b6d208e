"""Artifacts of a run on their way to the journal: they ride on the run's next commit.

Progress is told as often as somebody likes, and recorded once a second at most; the last of it always is, with the end
of its step or of the run.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence

from penstock.core.events import ArtifactSaved, Record, RunEnded, TaskEnded

_PROGRESS_SECONDS = 1.0


class Shelf:
    """What one run has made and not recorded yet.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Record] = deque()
        self._later: dict[str, tuple[ArtifactSaved, bytes, str | None]] = {}
        self._queued: dict[str, float] = {}
        self._progress: dict[str, ArtifactSaved] = {}
        self.size = 0

    def put(self, event: ArtifactSaved, data: bytes) -> None:
        """Record this with the next commit."""
        with self._lock:
            self.size += len(data)
            self._queue.append(Record(event, data))
            self._note(event)

    def note(self, event: ArtifactSaved) -> None:
        """This is on record."""
        with self._lock:
            self._note(event)

    def _note(self, event: ArtifactSaved) -> None:
        if event.kind == "progress":
            self._progress[event.id] = event
            self._queued[event.id] = time.monotonic()

    def progress(self, artifact_id: str) -> ArtifactSaved | None:
        """What was last said of a progress artifact of this run."""
        return self._progress.get(artifact_id)

    def move(self, event: ArtifactSaved, data: bytes, step: str | None) -> None:
        """Record this progress, which a step has made, soon; unless there is a newer one by then."""
        with self._lock:
            self._progress[event.id] = event
            self._later[event.id] = event, data, step

    def waits(self) -> bool:
        """Whether there is something to record now."""
        return bool(self._queue) or any(map(self._due, list(self._later)))

    def _due(self, artifact_id: str) -> bool:
        return time.monotonic() - self._queued.get(artifact_id, -math.inf) >= _PROGRESS_SECONDS

    def hurry(self) -> None:
        """Somebody wants to see it: everything is to be recorded now."""
        with self._lock:
            self._queued.clear()

    def take(self, records: Sequence[Record]) -> list[Record]:
        """What goes into the same commit, before these records."""
        with self._lock:
            if self._later:
                self._queue.extend(self._ripe(records))
            taken = [*self._queue]
            self._queue.clear()
            self.size = 0
            return taken

    def _ripe(self, records: Sequence[Record]) -> list[Record]:
        ended = {event.step.key for event, _ in records if isinstance(event, TaskEnded)}
        over = any(isinstance(event, RunEnded) for event, _ in records)
        ripe = [
            artifact_id
            for artifact_id, (_, _, step) in self._later.items()
            if over or step in ended or self._due(artifact_id)
        ]
        for artifact_id in ripe:
            self._queued[artifact_id] = time.monotonic()
        return [Record(*self._later.pop(artifact_id)[:2]) for artifact_id in ripe]

    def put_back(self, records: Sequence[Record]) -> None:
        """These were not recorded after all."""
        with self._lock:
            self._queue.extendleft(reversed(records))
