"""Where somebody is who reads something on and on, and what they know by then."""

from __future__ import annotations

from typing import NamedTuple


class Bookmark(NamedTuple):
    """What is kept under a name.

    Attributes:
        seq: how often it was kept, from 1.
        saved_at: when (microseconds since 1970).
        data: bytes that only their owner understands.
    """

    seq: int
    saved_at: int
    data: bytes
