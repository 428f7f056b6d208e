"""How far the reading of logs has come."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.processing.logs.report import LogReport


@dataclass(frozen=True)
class Progress:
    """How far the reading has come.

    Attributes:
        bytes_total: of all files; None where nobody knows.
    """

    lines: int
    malformed: int
    bytes_read: int
    bytes_total: int | None
    seconds: float

    @classmethod
    def of(cls, report: LogReport, size: int | None) -> Progress:
        """How far a report has come, of so many bytes."""
        return cls(report.lines, report.malformed, report.bytes_read, size, report.seconds)

    @property
    def fraction(self) -> float | None:
        """Of all bytes."""
        return min(self.bytes_read / self.bytes_total, 1.0) if self.bytes_total else None

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes_read / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """As it has gone so far."""
        if self.bytes_total is None or not self.rate:
            return None
        return max(self.bytes_total - self.bytes_read, 0) / self.rate
