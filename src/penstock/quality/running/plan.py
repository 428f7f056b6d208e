"""What has to be computed of the data: every value once, however many rules ask for it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.rules.rule import short
from penstock.quality.running.firsts import ROW, First

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

Values = dict[str, Any]


class Judged(NamedTuple):
    """What a rule says of the data.

    Attributes:
        passed: whether the data follows it.
        checked: rows that were looked at.
        failed: rows that do not follow it.
        nulls: rows that were left out, for they have no value.
        observed: what is there, of rules on one value of all rows.
        reason: why it failed, where counts do not say it.
    """

    passed: bool
    checked: int | None = None
    failed: int | None = None
    nulls: int | None = None
    observed: Any = None
    reason: str = ""


@dataclass
class Check:
    """A rule made ready for the data.

    Attributes:
        rule: which one.
        judge: makes a verdict of what was computed.
        failing: true for rows that do not follow it, to look for some of them afterwards.
        shown: the columns that are shown of those rows.
        after: what is left to do when the data has been read once; it adds to what was computed.
        first: keeps the rows to show while the data is read.
    """

    rule: Rule
    judge: Callable[[Values], Judged]
    failing: pl.Expr | None = None
    shown: tuple[str, ...] = ()
    after: Callable[[pl.LazyFrame, Values], None] | None = None
    first: First | None = None


class Plan:
    """Gathers what rules need.

    Attributes:
        schema: the columns and their types.
        tables: other tables, by name.
        now: for freshness.
        keys: columns that tell rows apart.
        samples: how many rows are shown that do not follow a rule.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        tables: Mapping[str, pl.LazyFrame],
        now: datetime,
        keys: Sequence[str] = (),
        samples: int = 0,
    ) -> None:
        self.schema = schema
        self.tables = tables
        self.now = now
        self.keys = [key for key in keys if key in schema]
        self.samples = samples
        self._firsts: dict[str, First] = {}
        self._asked: dict[str, tuple[str, pl.Expr]] = {}
        self._conditions: dict[str, pl.Expr] = {}

    def asked(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """One row with all values."""
        numbered = frame.with_row_index(ROW) if self._firsts else frame
        return numbered.select(expression.alias(name) for name, expression in self._asked.values())

    def value(self, what: str, expression: pl.Expr) -> str:
        """Ask for a value; the name under which it will be found. The same `what` is computed once."""
        if what not in self._asked:
            self._asked[what] = (f"v{len(self._asked)}", expression)
        return self._asked[what][0]

    def failed(self, what: str, failing: pl.Expr, shown: Sequence[str]) -> tuple[str, First | None]:
        """Ask how many rows do not follow a rule, and for the first of them; None where nothing can be kept."""
        if self.samples and what not in self._firsts and failing.meta.root_names():
            self._firsts[what] = First(failing, self.keys, shown, self.samples)
        first = self._firsts.get(what)
        return self.value(what, (failing if first is None else first.failing).sum()), first

    def kind(self, column: str) -> pl.DataType:
        """The type of a column.

        Raises:
            RuleProblem: there is none.
        """
        if column not in self.schema:
            close = difflib.get_close_matches(column, list(self.schema), 1)
            raise RuleProblem(f"there is no column {column}" + (f"; did you mean {close[0]}?" if close else ""))
        return self.schema[column]

    def table(self, name: str) -> pl.LazyFrame:
        """Another table.

        Raises:
            RuleProblem: it was not given.
        """
        if name not in self.tables:
            raise RuleProblem(f"the table {name} was not given: validate_dataset(frame, tables={{{name!r}: ...}})")
        return self.tables[name]

    def condition(self, sql: str) -> pl.Expr:
        """A SQL condition.

        Raises:
            RuleProblem: it is none, or names a column that is not there.
        """
        if sql not in self._conditions:
            condition = sql_condition(sql)
            kinds = {column: self.kind(column) for column in condition.meta.root_names()}
            _try(sql, condition, kinds)
            self._conditions[sql] = condition
        return self._conditions[sql]

    def where(self, rule: Rule) -> pl.Expr | None:
        """The rows that a rule is about; None for all."""
        return self.condition(rule.where) if rule.where else None

    def rows(self, rule: Rule) -> str:
        """How many rows a rule is about."""
        where = self.where(rule)
        return self.value(f"rows {rule.where}", pl.len() if where is None else where.sum())

    def nulls(self, column: str, rule: Rule) -> str:
        """How many of them have no value in a column."""
        where = self.where(rule)
        values = pl.col(column)
        counted = values.null_count() if where is None else (values.is_null() & where).sum()
        return self.value(f"nulls {column!r} {rule.where}", counted)


def sql_condition(sql: str) -> pl.Expr:
    """A SQL condition as an expression.

    Raises:
        RuleProblem: it is none.
    """
    try:
        return pl.sql_expr(sql)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise RuleProblem(f"{short(sql)} is no SQL condition: {str(error).strip()}") from None


def _try(sql: str, condition: pl.Expr, kinds: Mapping[str, pl.DataType]) -> None:
    """Look at what a condition makes of two rows of nothing.

    Raises:
        RuleProblem: no truth for each of them.
    """
    try:
        made = pl.DataFrame(schema=kinds).clear(2).select(condition).to_series()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise RuleProblem(f"{short(sql)} cannot be asked of this data: {str(error).strip()}") from None
    if made.dtype != pl.Boolean:
        raise RuleProblem(f"{short(sql)} is no condition, for it is neither true nor false")
    if len(made) != 2:
        raise RuleProblem(f"{short(sql)} is not about each row")


def enough(rule: Rule, checked: int, failed: int) -> bool:
    """Whether mostly all rows follow it."""
    return failed == 0 or (checked - failed) / checked >= rule.mostly
