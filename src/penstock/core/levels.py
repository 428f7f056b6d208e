"""The levels of log lines, by their names."""

from __future__ import annotations

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_NAMES = {level: name for name, level in LEVELS.items()}


def level_name(level: int) -> str:
    """`INFO`, `WARNING`, or the number of a level without a name."""
    return _NAMES.get(level, str(level))
