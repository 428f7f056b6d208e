"""What goes wrong with rules, and the error of data that does not follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, DataError
from penstock.core.words import counted

if TYPE_CHECKING:
    from penstock.quality.report import ValidationReport


class BadRules(ConfigurationError, ValueError):
    """Rules that cannot be (lists every mistake)."""

    code = "bad-rules"

    def __init__(self, mistakes: list[tuple[str, str]], *, hint: str | None = None) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {where}: {what}".replace("\n", "\n    ") for where, what in mistakes)
        super().__init__(f"{counted(len(mistakes), 'mistake')} in the rules:\n{lines}", hint=hint)


class DataValidationError(DataError, ValueError):
    """Data does not follow its rules.

    Attributes:
        report: what was found.
    """

    code = "data-validation"

    def __init__(self, report: ValidationReport) -> None:
        self.report = report
        told = "\n".join(f"  {each.told()}" for each in report.broken)
        super().__init__(f"{report.summary()}\n{told}" if told else report.summary())


class RuleProblem(Exception):
    """A rule cannot be checked against this data; its text says why. It becomes the verdict `error`."""
