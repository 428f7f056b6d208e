"""Data on its way, in figures."""

from __future__ import annotations

from penstock.cli.console import counted
from penstock.cli.units import lasting, size
from penstock.data import Progress

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
