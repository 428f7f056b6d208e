"""Words of messages that depend on numbers."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, what: str, several: str | None = None) -> str:
    """`1 row`, `1,000 rows`; `several` where more than one is not called by an s at the end."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def mistakes_told(about: str, mistakes: Sequence[tuple[str, str] | str]) -> str:
    """`2 mistakes in the schedule:`, and a line for each: where it is and what it is, or only what it is."""
    lines = [each if isinstance(each, str) else f"{each[0]}: {each[1]}" for each in mistakes]
    told = "\n".join("  " + line.replace("\n", "\n    ") for line in lines)
    return f"{counted(len(lines), 'mistake')} in {about}:\n{told}"
