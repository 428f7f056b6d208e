"""Repairs carried out. Each of them, done again, changes nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.errors import RuleProblem
from penstock.quality.report import Mended, RepairResult
from penstock.quality.rules import Repair
from penstock.quality.rules.arguments import listed
from penstock.quality.rules.repairs import pairs_of
from penstock.quality.rules.rule import short
from penstock.quality.running.types import as_dates, as_kind, as_moments, family, word
from penstock.quality.running.words import first_line

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_SAMPLES = 5
_TIMES = ("%H", "%I", "%M", "%S", "%T", "%R", "%X", "%c", "%s", "%f")
Expression = Callable[[Repair, str, Any], Any]


class Mending(NamedTuple):
    """What came of repairs.

    Attributes:
        frame: the rows that are left.
        rows: for each of them its place among those that were given; None where all are left.
        results: what each repair did.
    """

    frame: pl.DataFrame
    rows: pl.Series | None
    results: list[RepairResult]


def mended(frame: pl.DataFrame, repairs: Sequence[Repair]) -> Mending:
    """Carry out repairs, one after the other. One that cannot be done does nothing, and says why."""
    done = Mending(frame, None, [])
    for repair in repairs:
        if repair.kind == "drop_duplicates":
            done = _without_duplicates(done, repair)
            continue
        for column in repair.columns or _texts(done.frame):
            made, result = _column(done, repair, column)
            done = Mending(made, done.rows, [*done.results, result])
    return done


def _texts(frame: pl.DataFrame) -> list[str]:
    return [name for name, kind in frame.schema.items() if kind == pl.String]


def _without_duplicates(done: Mending, repair: Repair) -> Mending:
    frame, rows = done.frame, done.rows
    columns = list(repair.columns or frame.columns)
    told = partial(RepairResult, repair=repair.title)
    if not columns or not frame.height:
        return Mending(frame, rows, [*done.results, told()])
    try:
        same = pl.struct([_comparable(name, frame) for name in columns])
        first = same.is_last_distinct() if repair.arguments.get("keep") == "last" else same.is_first_distinct()
        keep = frame.select(first).to_series()
    except (RuleProblem, pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        return Mending(frame, rows, [*done.results, told(reason=first_line(problem))])
    places = pl.Series(range(frame.height), dtype=pl.Int64) if rows is None else rows
    removed = frame.height - int(keep.sum())
    return Mending(frame.filter(keep), places.filter(keep), [*done.results, told(removed=removed)])


def _comparable(name: str, frame: pl.DataFrame) -> pl.Expr:
    if name not in frame.columns:
        raise RuleProblem(f"there is no column {name}")
    if family(frame.schema[name]) == "object":
        raise RuleProblem(f"{name} is {word(frame.schema[name])}, whose values are not compared")
    return pl.col(name) + 0.0 if frame.schema[name].is_float() else pl.col(name)


def _column(done: Mending, repair: Repair, column: str) -> tuple[pl.DataFrame, RepairResult]:
    frame, told = done.frame, partial(RepairResult, repair=repair.title, column=column)
    try:
        if column not in frame.columns:
            raise RuleProblem(f"there is no column {column}")
        before = frame[column]
        after = frame.select(_EXPRESSIONS[repair.kind](repair, column, before.dtype)).to_series().alias(column)
        _refuse(repair, before, after)
    except (RuleProblem, pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        return frame, told(reason=first_line(problem))
    other_kind = after.dtype != before.dtype
    changed = before.is_not_null() | after.is_not_null() if other_kind else after.ne_missing(before)
    some = changed.arg_true().head(_SAMPLES).to_list()
    samples = [Mended(row if done.rows is None else done.rows[row], before[row], after[row]) for row in some]
    return frame.with_columns(after), told(
        changed=int(changed.sum()),
        nulls_before=before.null_count(),
        nulls_after=after.null_count(),
        samples=tuple(samples),
    )


def _refuse(repair: Repair, before: pl.Series, after: pl.Series) -> None:
    """See that nothing is lost that should not be, and that doing it again would change nothing.

    Raises:
        RuleProblem: it is so.
    """
    if repair.kind in ("cast", "parse_dates") and repair.arguments.get("invalid", "keep") == "keep":
        lost = before.is_not_null() & after.is_null()
        if lost.any():
            first = before.filter(lost)[0]
            raise RuleProblem(f"{int(lost.sum()):,} values cannot be, such as {short(first)}")
    if repair.kind == "replace":
        again = pl.DataFrame({"x": after}).select(_replace(repair, "x", after.dtype)).to_series()
        changed = again.ne_missing(after)
        if changed.any():
            told = f"{short(after.filter(changed)[0])} would become {short(again.filter(changed)[0])}"
            raise RuleProblem(f"doing it again would change more ({told}); let the pattern find all of it at once")


def _text(column: str, kind: Any) -> pl.Expr:
    if family(kind) not in ("text", "null"):
        raise RuleProblem(f"{column} is {word(kind)}, and no text")
    return pl.col(column).cast(pl.String)


def _trim(repair: Repair, column: str, kind: Any) -> pl.Expr:
    made = _text(column, kind).str.strip_chars()
    return pl.when(made != "").then(made) if repair.arguments.get("empty_to_null") else made


def _case(repair: Repair, column: str, kind: Any) -> pl.Expr:
    text = _text(column, kind).str
    return text.to_lowercase() if repair.arguments["to"] == "lower" else text.to_uppercase()


def _replace(repair: Repair, column: str, kind: Any) -> pl.Expr:
    made = _text(column, kind)
    for pattern in listed(repair.arguments["pattern"]):
        made = made.str.replace_all(pattern, repair.arguments["by"])
    return made


def _map(repair: Repair, column: str, kind: Any) -> pl.Expr:
    pairs = [(_of_column(old, kind, column), _of_column(new, kind, column)) for old, new in
             pairs_of(repair.arguments["values"])]  # fmt: skip
    olds, news = (pl.Series([pair[place] for pair in pairs], dtype=kind) for place in (0, 1))
    return pl.col(column).replace(olds, news)


def _of_column(value: Any, kind: Any, column: str) -> Any:
    """A value; the names in TOML and JSON are text, whatever the column has."""
    if value is None:
        return None
    if isinstance(value, str) and family(kind) == "number":
        try:
            value = float(value)
        except ValueError:
            raise RuleProblem(f"{column} is {word(kind)}, and {short(value)} is no number") from None
    return as_kind(value, kind, column)


def _cast(repair: Repair, column: str, kind: Any) -> pl.Expr:
    to, values, group = repair.arguments["to"], pl.col(column), family(kind)
    if (to == "integer" and kind.is_integer()) or to == group or (to == "number" and group == "number"):
        return values
    if to == "text":
        return values.cast(pl.String)
    if to in ("date", "datetime"):
        if group == "datetime":
            return pl.when(values.dt.date().cast(kind) == values).then(values.dt.date())
        if group == "date":
            return values.cast(pl.Datetime("us", "UTC"))
        return as_dates(_text(column, kind)) if to == "date" else as_moments(_text(column, kind))
    if to == "boolean":
        return _truth(values, column, kind)
    if group not in ("number", "text", "boolean", "null"):
        raise RuleProblem(f"{column} is {word(kind)}, and no number")
    number = values.cast(pl.Float64 if to == "number" else pl.Int64, strict=False)
    if to == "integer" and group == "number":
        return pl.when(number.cast(kind, strict=False) == values).then(number)
    return number


def _truth(values: pl.Expr, column: str, kind: Any) -> pl.Expr:
    if family(kind) == "number":
        return pl.when(values == 1).then(pl.lit(True)).when(values == 0).then(pl.lit(False))
    text = _text(column, kind).str.to_lowercase()
    return pl.when(text == "true").then(pl.lit(True)).when(text == "false").then(pl.lit(False))


def _parse_dates(repair: Repair, column: str, kind: Any) -> pl.Expr:
    if family(kind) in ("date", "datetime"):
        return pl.col(column)
    text, formats = _text(column, kind), listed(repair.arguments["formats"])
    if not any(sign in each for each in formats for sign in _TIMES):
        return pl.coalesce([text.str.to_date(each, strict=False) for each in formats])
    zoned = any("%z" in each or "%#z" in each for each in formats)
    return pl.coalesce([_moments(text, each, zoned) for each in formats])


def _moments(text: pl.Expr, pattern: str, zoned: bool) -> pl.Expr:
    if not any(sign in pattern for sign in _TIMES):
        made = text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    elif "%z" in pattern or "%#z" in pattern:
        return text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False)
    else:
        made = text.str.to_datetime(pattern, time_unit="us", strict=False)
    return made.dt.replace_time_zone("UTC") if zoned else made


def _fill(repair: Repair, column: str, kind: Any) -> pl.Expr:
    values, how = pl.col(column), repair.arguments.get("how")
    if how is None:
        return values.fill_null(pl.lit(as_kind(repair.arguments["value"], kind, column)))
    if how in ("forward", "backward"):
        return values.fill_null(strategy=how)
    if family(kind) != "number":
        raise RuleProblem(f"{column} is {word(kind)}, and only numbers have a {how}")
    known = values.drop_nulls().drop_nans() if kind.is_float() else values.drop_nulls()
    return values.fill_null(known.mean() if how == "mean" else known.median())


def _clip(repair: Repair, column: str, kind: Any) -> pl.Expr:
    if family(kind) != "number":
        raise RuleProblem(f"{column} is {word(kind)}, and no number")
    values = pl.col(column)
    number = values.is_not_nan() if kind.is_float() else pl.lit(True)
    made = values
    for name, beyond in (("min", values.lt), ("max", values.gt)):
        if repair.arguments.get(name) is not None:
            bound = as_kind(repair.arguments[name], kind, column)
            made = pl.when(number & beyond(bound)).then(pl.lit(bound)).otherwise(made)
    return made


_EXPRESSIONS: dict[str, Expression] = {
    "trim": _trim,
    "case": _case,
    "replace": _replace,
    "map": _map,
    "cast": _cast,
    "parse_dates": _parse_dates,
    "fill": _fill,
    "clip": _clip,
}
