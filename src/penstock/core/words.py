"""Words of messages that depend on numbers."""

from __future__ import annotations


def counted(number: int, what: str, several: str | None = None) -> str:
    """`1 row`, `1,000 rows`; `several` where more than one is not called by an s at the end."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"
