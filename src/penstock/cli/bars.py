"""How far something has come: a bar that moves in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.cli.console import fitting, glyph, say, text
from penstock.cli.live import Live, can_be_drawn_on
from penstock.cli.units import lasting

if TYPE_CHECKING:
    from rich.text import Text

_TELL_SECONDS = 5.0
_LONGEST_BAR = 40
_MICROSECONDS = 1_000_000


class Bar(Live):
    """Draws the bar.

    Args:
        head: what is done.
    """

    def __init__(self, *head: str | tuple[str, str]) -> None:
        super().__init__()
        self._head = head
        self._began = time.monotonic()
        self._facts: Sequence[str] = ("reading",)
        self._fraction: float | None = None

    def tell(self, facts: Sequence[str], fraction: float | None) -> None:
        """It has come so far.

        Args:
            facts: figures.
            fraction: from 0 to 1; None where nobody knows.
        """
        self._facts, self._fraction = facts, fraction

    def drawn(self, columns: int, rows: int, moving: bool) -> Text | None:
        """What is done; then the bar, and the figures."""
        if not moving:
            return None
        head, line = text((fitting("● "), "cyan"), *self._head), text("  ")
        if self._fraction is not None:
            length = max(min(_LONGEST_BAR, columns - 60), 10)
            full = int(length * self._fraction)
            line.append_text(text((fitting("━" * full), "green"), (fitting("─" * (length - full)), "bright_black")))
            line.append(f" {self._fraction:.0%}  ")
        took = lasting(int((time.monotonic() - self._began) * _MICROSECONDS))
        line.append(fitting(" · ").join([*self._facts, took]))
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

    def tell(self, facts: Sequence[str], fraction: float | None) -> None:
        """It has come so far."""
        if not self._quiet and time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            say(f"{glyph('Running')} {', '.join(facts)}")

    def stop(self) -> None:
        """Nothing more to say."""


def show_of(*head: str | tuple[str, str], quiet: bool) -> Bar | Lines:
    """The show that fits where stdout goes."""
    return Bar(*head) if not quiet and sys.stdout.isatty() and can_be_drawn_on() else Lines(quiet)
