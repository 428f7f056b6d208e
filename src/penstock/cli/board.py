"""What a worker does, at the bottom of the terminal: what runs, and what is due next. What has ended scrolls away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.cli.console import clean, colour, counted, fitting, glyph, text
from penstock.cli.duty import Tally, label, line_of
from penstock.cli.live import Live
from penstock.cli.plans import following, instant_told, next_told
from penstock.cli.units import clock, lasting
from penstock.core.errors import PenstockError
from penstock.core.events import now_us
from penstock.core.model import Run, StoredDeployment
from penstock.orchestrator.scheduler import Scheduler
from penstock.orchestrator.worker import PoolWorker, Told

if TYPE_CHECKING:
    from rich.text import Text

_TICK_SECONDS = 0.5
_LOOK_SECONDS = 2.0
_DIM = "bright_black"


class Board(Live):
    """Draws what a worker has in hand.

    Args:
        title: what it is.
        deployments: gives those it is about.
    """

    def __init__(self, title: str, deployments: Callable[[], list[StoredDeployment]]) -> None:
        super().__init__(_TICK_SECONDS)
        self._title = title
        self._find = deployments
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Run, int]] = {}
        self._tally = Tally()
        self._deployments: list[StoredDeployment] = []
        self._looked = self._took = 0.0
        self._began = now_us()
        self._worker: PoolWorker
        self._scheduler: Scheduler | None = None

    def start(self, worker: PoolWorker | None = None, scheduler: Scheduler | None = None) -> None:
        """Begin to draw."""
        assert worker is not None
        self._worker, self._scheduler = worker, scheduler
        self._look()
        super().start()

    def told(self, told: Told) -> None:
        """Take in what happened to a run."""
        run, (state, line) = told.run, line_of(told)
        with self._lock:
            if told.what == "taken":
                self._running[run.id] = (run, now_us())
                return
            self._running.pop(run.id, None)
            self._tally.take(told)
        self.put(text((f"{clock(now_us())}  ", _DIM), (f"{glyph(state)} ", colour(state)), fitting(line)))

    def drawn(self, columns: int, rows: int, moving: bool) -> Text | None:
        """The board; of it stays how many runs there were."""
        if not moving:
            return text((f"Stopped: {self._tally}.", "bold"))
        now = now_us()
        if time.monotonic() - self._looked >= max(_LOOK_SECONDS, 50 * self._took) or self._passed(now):
            self._look()
        with self._lock:
            running = list(self._running.values())
            counts = dict(self._tally.counts)
        lines = [self._head(len(running), counts, now)]
        room = max(rows - 2, 1)
        lines += self._runs(running, max(room - 1, 1) if len(running) < room else room, now)
        lines += self._due(rows - len(lines) - 1, now)
        left = self._worker.seconds_left
        if left is None:
            told = "Ctrl-C stops, when the runs under way have ended"
        else:
            told = f"stopping: {counted(len(running), 'run')} under way, {left:.0f} s left; once more: at once"
        lines.append(text((told, _DIM if left is None else "yellow")))
        for line in lines:
            line.truncate(columns, overflow="ellipsis")
        return text(*[part for line in lines[: max(rows, 1)] for part in (line, "\n")][:-1])

    def _look(self) -> None:
        began = time.monotonic()
        with contextlib.suppress(PenstockError):  # the worker says that the journal is out of reach
            self._deployments = self._find()
        self._looked = time.monotonic()
        self._took = self._looked - began

    def _passed(self, now: int) -> bool:
        dues = [schedule.next_due for each in self._deployments if (schedule := following(each)) is not None]
        recently = time.monotonic() - self._looked < max(_TICK_SECONDS, 50 * self._took)
        return not recently and any(due is not None and due <= now for due in dues)

    def _head(self, running: int, counts: dict[str, int], now: int) -> Text:
        parts: list[Any] = [(self._title, "bold"), fitting("  ·  "), f"{running} running"]
        for state, count in sorted(counts.items()):
            parts += [fitting(" · "), (f"{count:,} {state.lower()}", colour(state))]
        parts.append((fitting(f"  ·  up {lasting(now - self._began)}"), _DIM))
        if self._scheduler is not None and not self._scheduler.leads:
            parts.append((fitting("  ·  another process schedules"), _DIM))
        return text(*parts)

    def _runs(self, running: list[tuple[Run, int]], room: int, now: int) -> list[Text]:
        shown = running if len(running) <= room else running[: room - 1]
        lines = [
            text(
                (f"  {glyph('Running')} ", colour("Running")),
                fitting(label(run)),
                (f"  {lasting(now - since)}", _DIM),
            )
            for run, since in shown
        ]
        if len(shown) < len(running):
            lines.append(text((f"    and {len(running) - len(shown):,} more", _DIM)))
        return lines

    def _due(self, room: int, now: int) -> list[Text]:
        def order(stored: StoredDeployment) -> tuple[bool, int]:
            schedule = following(stored)
            due = schedule.next_due if schedule is not None and not stored.paused else None
            return due is None, due or 0

        found = sorted(self._deployments, key=order)
        shown = found if len(found) <= room else found[: max(room - 1, 0)]
        longest = max((len(clean(each.name)) for each in shown), default=0)
        lines = []
        for each in shown:
            schedule = following(each)
            at = instant_told(schedule) if schedule is not None and not each.paused else ""
            told = f"{clean(each.name).ljust(longest)}  {next_told(each, now):<15}"
            lines.append(text((f"  {glyph('Scheduled')} ", _DIM), told, (f"  {at}", _DIM)))
        if len(shown) < len(found) and room > 0:
            lines.append(text((f"    and {counted(len(found) - len(shown), 'other deployment')}", _DIM)))
        return lines
