"""A backfill while it is worked on: a bar that moves in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from penstock.cli.console import clean, colour, counted, fitting, glyph, say, text
from penstock.cli.display import Said
from penstock.cli.duty import line_of
from penstock.cli.live import Live, can_be_drawn_on
from penstock.cli.run_table import waiting_told
from penstock.cli.units import lasting
from penstock.core.events import now_us
from penstock.core.model import Backfill
from penstock.core.states import FINAL_WORDS
from penstock.orchestrator.worker import Told

_TELL_SECONDS = 5.0
_LONGEST_BAR = 40
_ORDER = ("Completed", "Failed", "Crashed", "Cancelled", "Running", "Retrying", "Paused", "Pending", "Scheduled")


def ended_of(counts: Counter[str]) -> int:
    """How many runs have ended."""
    return sum(counts[state] for state in FINAL_WORDS)


def counts_told(counts: Counter[str]) -> list[tuple[str, str]]:
    """`4 completed`, each with its state; what waits its turn goes without saying."""
    return [(state, f"{counts[state]:,} {state.lower()}") for state in _ORDER[:-1] if counts[state]]


def said_of(told: Told) -> tuple[str, str] | None:
    """The state to show and what to say of a run, where that is worth a line: completed runs only move the bar."""
    run = told.run
    if told.what == "taken" or (told.what == "ended" and run.state == "Completed"):
        return None
    state, line = line_of(told)
    if told.what == "ended":
        why = f"  {clean(run.message.splitlines()[0])}" if run.message else ""
        line = f"{clean(run.partition or run.name)}  {run.state.lower()}{why}"
    elif told.what == "paused":
        line = f"{clean(run.partition or run.name)}  {waiting_told(run, now_us())}"
    return state, line


class Bar(Live):
    """Draws the bar."""

    def __init__(self, made: Backfill) -> None:
        super().__init__()
        self._made = made
        self._began = now_us()
        self.counts: Counter[str] = Counter()

    def told(self, told: Told) -> None:
        """A run has ended, or something else became of it."""
        if (said := said_of(told)) is not None:
            self.put(text((f"{glyph(said[0])} ", colour(said[0])), fitting(said[1])))

    def drawn(self, columns: int, rows: int, moving: bool) -> Any:
        """The bar, and how many runs are in which state."""
        if not moving:
            return None
        done, all_ = ended_of(self.counts), self._made.partitions
        length = max(min(_LONGEST_BAR, columns - 40), 10)
        full = length * done // all_
        parts: list[Any] = [(fitting("━" * full), "green"), (fitting("─" * (length - full)), "bright_black")]
        parts += [f" {done:,}/{all_:,}"]
        for state, told in counts_told(self.counts):
            parts += [fitting(" · "), (told, colour(state))]
        parts.append((fitting(f" · {lasting(now_us() - self._began)}"), "bright_black"))
        line = text(*parts)
        line.truncate(columns, overflow="ellipsis")
        return line


class Lines:
    """Writes a line every few seconds, and one for each run that does not go well, to stderr."""

    def __init__(self, made: Backfill, quiet: bool) -> None:
        self._made = made
        self._quiet = quiet
        self._told_at = time.monotonic()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """How many runs are in each state."""
        return self._counts

    @counts.setter
    def counts(self, counts: Counter[str]) -> None:
        self._counts = counts
        if not self._quiet and time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            told = ", ".join(each for _, each in counts_told(counts))
            say(f"{ended_of(counts):,} of {self._made.partitions:,}: {told or 'none has begun'}")

    def start(self) -> None:
        """Say what is done."""
        if not self._quiet:
            made = self._made
            say(f"{made.id}: {counted(made.partitions, 'partition')} of {clean(made.flow)}, {made.slots} at once.")

    def told(self, told: Told) -> None:
        """A run has ended, or something else became of it."""
        if not self._quiet and (said := said_of(told)) is not None:
            say(f"{glyph(said[0])} {said[1]}")

    def said(self, line: Said) -> None:
        """Write a log line."""
        if not self._quiet:
            say(f"{line.level} {clean(line.message)}")

    def stop(self) -> None:
        """Nothing more to say."""


def show_of(made: Backfill, quiet: bool) -> Bar | Lines:
    """The show that fits where stdout goes."""
    return Bar(made) if not quiet and sys.stdout.isatty() and can_be_drawn_on() else Lines(made, quiet)
