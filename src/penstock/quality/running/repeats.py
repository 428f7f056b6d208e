"""Uniqueness: proved while the data streams by; where something comes twice, it is counted exactly afterwards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.running.distinct import Distinct, Repeated
from penstock.quality.running.firsts import ROW
from penstock.quality.running.pairs import missing
from penstock.quality.running.plan import Check, Judged, Plan, Values, enough
from penstock.quality.running.types import family, word

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

GROUPS = 2_000_000
"""How many different values are counted at a time."""
_PHYSICAL = ("date", "datetime", "time", "duration")
_SHOWN = 20


def unique_check(rule: Rule, plan: Plan) -> Check:
    """A rule that nothing comes twice; rows with a value that does, all of them, do not follow it."""
    comparable_values(rule, plan)
    ignored, where = missing(rule), plan.where(rule)
    looked_at = pl.lit(True)
    if ignored is not None:
        looked_at = ~ignored if where is None else ~ignored & where
    elif where is not None:
        looked_at = where
    distinct = Distinct()
    key, is_value = _key(rule, plan)
    keys = pl.when(looked_at).then(key) if where is not None or len(rule.columns) > 1 else key
    taken = keys.map_batches(distinct, return_dtype=pl.Boolean, is_elementwise=True).sum()
    names = {"rows": plan.rows(rule), "taken": plan.value(f"unique {id(distinct)}", taken)}
    failed = f"failed {id(distinct)}"
    check = Check(rule, partial(_judged, rule, names, failed), shown=rule.columns)
    check.after = partial(_count, check, distinct, key, is_value, looked_at, names["taken"], failed)
    return check


def comparable_values(rule: Rule, plan: Plan) -> list[pl.Expr]:
    """The columns, so that values which are the same compare equal.

    Raises:
        RuleProblem: values of one are not compared.
    """
    for column in rule.columns:
        if family(plan.kind(column)) in ("struct", "object"):
            raise RuleProblem(f"{column} is {word(plan.kind(column))}, whose values are not compared")
    return [_plain(column, plan) for column in rule.columns]


def _key(rule: Rule, plan: Plan) -> tuple[pl.Expr, bool]:
    """A whole number of 64 bits that is the same for the same values, and whether it is the value itself.

    It is null for a null in a single column.
    """
    if len(rule.columns) > 1:
        return pl.struct(comparable_values(rule, plan)).hash(), False
    kind, values = plan.kind(rule.columns[0]), _plain(rule.columns[0], plan)
    if kind.is_unsigned_integer() and type(kind).__name__ != "UInt128":
        return values.cast(pl.UInt64), True
    if kind.is_signed_integer() and type(kind).__name__ != "Int128":
        return values.cast(pl.Int64), True
    if family(kind) in _PHYSICAL:
        return values.to_physical().cast(pl.Int64), True
    return pl.when(values.is_not_null()).then(values.hash()), False


def _plain(column: str, plan: Plan) -> pl.Expr:
    """Categories are numbered differently from piece to piece, and so are taken as text; 0.0 and -0.0 are one."""
    kind = plan.kind(column)
    if type(kind).__name__ in ("Categorical", "Enum"):
        return pl.col(column).cast(pl.String)
    return pl.col(column) + 0.0 if kind.is_float() else pl.col(column)


def _judged(rule: Rule, names: dict[str, str], failed: str, values: Values) -> Judged:
    rows, checked, wrong = values[names["rows"]], values[names["taken"]], values[failed]
    return Judged(enough(rule, checked, wrong), checked, wrong, rows - checked)


def _count(
    check: Check, distinct: Distinct, key: pl.Expr, is_value: bool, looked_at: pl.Expr, taken: str, failed: str,
    frame: pl.LazyFrame, values: Values,
) -> None:  # fmt: skip
    """What is left to do when the data has streamed by."""
    try:
        found = distinct.repeated()
        whole = distinct.seen == values[taken]
    finally:
        distinct.close()
    values[failed] = 0
    if whole and not found.rows:
        return
    if whole and is_value:
        values[failed] = found.rows
        check.failing = looked_at & key.is_in(pl.Series(found.some).implode())
        return
    columns = list(check.rule.columns)
    shown: list[tuple[Any, ...]] = []  # first row, and values: those that come twice first of all
    for part in _parts(frame.with_row_index(ROW).filter(looked_at), key, found if whole else None, values[taken]):
        groups = part.group_by(columns).agg(pl.len().alias("\0rows"), pl.col(ROW).min()).filter(pl.col("\0rows") > 1)
        top = pl.struct([ROW, *columns]).bottom_k_by(ROW, _SHOWN).implode().alias("\0top")
        told = groups.select(pl.col("\0rows").sum(), top).collect(engine="streaming").row(0)
        values[failed] += told[0] or 0
        shown += [(each[ROW], *(each[column] for column in columns)) for each in told[1] or ()]
    first = sorted(shown, key=lambda each: int(each[0]))[:_SHOWN]
    check.failing = looked_at & _one_of(columns, [each[1:] for each in first])


def _parts(frame: pl.LazyFrame, key: pl.Expr, found: Repeated | None, rows: int) -> list[pl.LazyFrame]:
    """The rows that may have a value that comes twice, in parts with so few different values that they fit memory."""
    if found is not None and found.keys == len(found.some):
        return [frame.filter(key.is_in(pl.Series(found.some).implode()))]
    parts = -(-(found.distinct if found is not None else rows) // GROUPS)
    if parts <= 1:
        return [frame]
    return [frame.filter(key.hash() % parts == part) for part in range(parts)]


def _one_of(columns: list[str], rows: list[tuple[Any, ...]]) -> pl.Expr:
    if not rows:
        return pl.lit(False)
    each = (
        pl.all_horizontal(
            [pl.col(column).eq_missing(pl.lit(value)) for column, value in zip(columns, row, strict=True)]
        )
        for row in rows
    )
    return pl.any_horizontal(list(each))
