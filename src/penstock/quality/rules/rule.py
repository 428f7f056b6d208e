"""A rule: one statement about data, that is so or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_SHOWN = 60


@dataclass(frozen=True)
class Rule:
    """One statement about data.

    Attributes:
        kind: what is stated: a name in `penstock.quality.rules.KINDS`.
        columns: about which columns.
        arguments: what else belongs to the statement, such as `min` and `max`.
        severity: what it means when it is not so. Only an `error` makes a validation fail.
        mostly: which fraction of the rows has to follow it.
        where: a SQL condition; the rule is about rows for which it is true.
        name: what it is called in reports; by default it is put together of kind and columns.
    """

    kind: str
    columns: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"
    mostly: float = 1.0
    where: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """Its name, or the statement itself."""
        return self.name or self.statement

    @property
    def statement(self) -> str:
        """Such as `between(amount, min=0, max=100) for 95 % where paid`."""
        inside = [*self.columns, *(f"{name}={short(value)}" for name, value in self.arguments.items())]
        told = f"{self.kind}({', '.join(inside)})"
        if self.mostly < 1:
            told += f" for {self.mostly * 100:g} %"
        return f"{told} where {self.where}" if self.where else told

    def as_config(self) -> dict[str, Any]:
        """The rule as a configuration has it; what is as by default is left out."""
        made: dict[str, Any] = {"rule": self.kind}
        if len(self.columns) == 1:
            made["column"] = self.columns[0]
        elif self.columns:
            made["columns"] = list(self.columns)
        made.update(self.arguments)
        if self.severity != "error":
            made["severity"] = self.severity
        if self.mostly < 1:
            made["mostly"] = self.mostly
        if self.where:
            made["where"] = self.where
        if self.name:
            made["name"] = self.name
        return made


def short(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = str(value) if hasattr(value, "isoformat") else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
