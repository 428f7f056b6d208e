"""What goes wrong with rules, and the error of data that does not follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, DataError, Mistaken

if TYPE_CHECKING:
    from penstock.quality.report import ValidationReport


class BadRules(Mistaken, ConfigurationError):
    """Rules that cannot be (lists every mistake)."""

    code = "bad-rules"

    def __init__(self, mistakes: list[tuple[str, str]], *, hint: str | None = None) -> None:
        super().__init__("the rules", mistakes, hint=hint)


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
