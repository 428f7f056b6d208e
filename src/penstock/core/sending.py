"""Why something could not be sent: whether it is worth another attempt, and when."""

from __future__ import annotations


class Hopeless(Exception):
    """Trying again would not help."""


class Unanswered(Exception):
    """It may be another time.

    Attributes:
        after_seconds: whoever was asked wants to be left alone for so long.
    """

    def __init__(self, told: str, after_seconds: float | None = None) -> None:
        super().__init__(told)
        self.after_seconds = after_seconds
