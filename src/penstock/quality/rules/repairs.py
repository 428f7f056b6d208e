"""The kinds of repairs there are, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.quality.rules import arguments as a
from penstock.quality.rules.arguments import Argument
from penstock.quality.rules.kinds import MANY, Kind
from penstock.quality.rules.rule import short

CAST_TO = ("integer", "number", "text", "boolean", "date", "datetime")
_INVALID = Argument("invalid", a.one_of("keep", "null"))


@dataclass(frozen=True)
class Repair:
    """One thing that is mended before rows are checked.

    Attributes:
        kind: a name in `REPAIRS`.
        columns: of which columns; empty for all that it can be done to.
        arguments: what else belongs to it.
    """

    kind: str
    columns: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Such as `clip(amount, min=0)`."""
        inside = [*self.columns, *(f"{name}={short(value)}" for name, value in self.arguments.items())]
        return f"{self.kind}({', '.join(inside)})"

    def as_config(self) -> dict[str, Any]:
        """As a configuration has it."""
        made: dict[str, Any] = {"repair": self.kind}
        if self.columns:
            made["columns"] = list(self.columns)
        return {**made, **self.arguments}


def pairs_of(values: Any) -> list[tuple[Any, Any]]:
    """What is replaced by what."""
    return list(values.items()) if isinstance(values, Mapping) else [(old, new) for old, new in values]


def _mapped(value: Any) -> str | None:
    if isinstance(value, Mapping) and value and all(a.values([each]) is None for each in value.values()):
        return None
    return None if isinstance(value, list | tuple) and value and a.pairs(value) is None else "such as {old: new}"


def _any_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _once(given: Mapping[str, Any]) -> str | None:
    """A value that takes another one's place is not replaced itself, so that mapping twice changes nothing more."""
    found = dict(pairs_of(given["values"]))
    for old, new in found.items():
        if new in found and found[new] != new:
            return (
                f"{short(old)} becomes {short(new)}, which becomes {short(found[new])}: write the last value for each"
            )
    return None


def _bounds(given: Mapping[str, Any]) -> str | None:
    least, most = given.get("min"), given.get("max")
    if least is None and most is None:
        return "needs min or max"
    return "min is greater than max" if least is not None and most is not None and least > most else None


def _one_fill(given: Mapping[str, Any]) -> str | None:
    return None if (given.get("value") is None) != (given.get("how") is None) else "needs value or how, one of them"


_ALL = (
    Kind("trim", "no space before and after text", "row", (0, MANY), (Argument("empty_to_null", a.truth),)),
    Kind("case", "text in one case", "row", (1, MANY), (Argument("to", a.one_of("lower", "upper"), True),)),
    Kind("replace", "what a regular expression finds is replaced", "row", (1, MANY),
         (Argument("pattern", a.pattern, True), Argument("by", _any_text, True))),
    Kind("map", "values become others", "row", (1, MANY), (Argument("values", _mapped, True),), _once),
    Kind("cast", "values of another type; where one cannot be, the column stays, or (invalid: null) the value is lost",
         "row", (1, MANY), (Argument("to", a.one_of(*CAST_TO), True), _INVALID)),
    Kind("parse_dates", "text becomes dates or moments, by the first strftime format that fits", "row", (1, MANY),
         (Argument("formats", a.texts, True), _INVALID)),
    Kind("fill", "a value where there is none", "row", (1, MANY),
         (Argument("value", a.bound), Argument("how", a.one_of("forward", "backward", "mean", "median"))), _one_fill),
    Kind("clip", "numbers below min become min, and above max max", "row", (1, MANY),
         (Argument("min", a.number), Argument("max", a.number)), _bounds),
    Kind("drop_duplicates", "of rows that are the same in these columns one stays", "row", (0, MANY),
         (Argument("keep", a.one_of("first", "last")),)),
)  # fmt: skip
REPAIRS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
