"""Data on its way: a bar that moves in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from penstock.cli.console import counted, fitting, glyph, say, text
from penstock.cli.live import Live, can_be_drawn_on
from penstock.cli.units import lasting, size
from penstock.data import Progress

_TELL_SECONDS = 5.0
_LONGEST_BAR = 40
_MICROSECONDS = 1_000_000


def facts_of(progress: Progress) -> list[str]:
    """Rows, bytes, speed, and how long it will take."""
    counts = progress.counts
    facts = [counted(counts.read, "row")]
    if progress.bytes_read:
        facts.append(size(progress.bytes_read))
    if progress.seconds and not progress.done:
        facts.append(f"{progress.rows_per_second:,.0f} rows/s")
    if counts.rejected:
        facts.append(f"{counts.rejected:,} rejected")
    left = progress.seconds_left
    if left is not None and not progress.done:
        facts.append(f"{lasting(int(left * _MICROSECONDS))} left")
    return facts


class Bar(Live):
    """Draws the bar."""

    def __init__(self, source: str, sink: str) -> None:
        super().__init__()
        self._names = (source, sink)
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def tell(self, progress: Progress) -> None:
        """A batch has landed."""
        self._progress = progress

    def drawn(self, columns: int, rows: int, moving: bool) -> Any:
        """Where from and where to; then the bar, and how far it has come."""
        if not moving:
            return None
        source, sink = self._names
        head = text((fitting("● "), "cyan"), source, (fitting(" → "), "bright_black"), sink)
        line = text(("  ", ""))
        progress = self._progress
        fraction = progress.fraction if progress is not None else None
        if fraction is not None:
            length = max(min(_LONGEST_BAR, columns - 50), 10)
            full = int(length * fraction)
            line.append_text(text((fitting("━" * full), "green"), (fitting("─" * (length - full)), "bright_black")))
            line.append(f" {fraction:.0%}  ")
        facts = facts_of(progress) if progress is not None else ["reading"]
        facts.append(lasting(int((time.monotonic() - self._began) * _MICROSECONDS)))
        line.append(fitting(" · ").join(facts))
        for each in (head, line):
            each.truncate(columns, overflow="ellipsis")
        return text(head, "\n", line)


class Lines:
    """Writes a line every few seconds to stderr."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._told_at = time.monotonic()

    def start(self) -> None:
        """Nothing to say yet."""

    def tell(self, progress: Progress) -> None:
        """A batch has landed."""
        if not self._quiet and not progress.done and time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            say(f"{glyph('Running')} {', '.join(facts_of(progress))}")

    def stop(self) -> None:
        """Nothing more to say."""


def show_of(source: str, sink: str, quiet: bool) -> Bar | Lines:
    """The show that fits where stdout goes."""
    return Bar(source, sink) if not quiet and sys.stdout.isatty() and can_be_drawn_on() else Lines(quiet)
