"""How far transactions are apart, when they are committed, and how far they have come."""

from __future__ import annotations

from enum import StrEnum


class IsolationLevel(StrEnum):
    """Whether two that need the same key at once wait for each other (SERIALIZABLE) or not (READ_COMMITTED)."""

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class CommitMode(StrEnum):
    """Committed step by step (EAGER), at the end of the outermost block (LAZY), or rolled back there (OFF)."""

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class TransactionState(StrEnum):
    """How far a transaction has come."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"
