"""Rules on the values of one column, as expressions that are true where a row does not follow them.

A null is left out, as it is by Great Expectations; NaN is a value, which is within no bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core.extras import require
from penstock.quality.errors import RuleProblem
from penstock.quality.rules import Rule
from penstock.quality.rules.arguments import listed
from penstock.quality.running.plan import Plan
from penstock.quality.running.types import as_dates, as_kind, as_moments, family, is_moment, word

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

Compile = Callable[[Rule, Plan], Any]
_NUMBERS = {"integer": r"^[+-]?[0-9]+$", "boolean": r"(?i)^(true|false)$"}
_ISO_HINT = {"date": as_dates, "datetime": as_moments}


def _not_null(rule: Rule, plan: Plan) -> pl.Expr:
    return pl.col(rule.columns[0]).is_null()


def _null(rule: Rule, plan: Plan) -> pl.Expr:
    return pl.col(rule.columns[0]).is_not_null()


def _finite(rule: Rule, plan: Plan) -> pl.Expr:
    kind = plan.kind(rule.columns[0])
    if family(kind) != "number":
        raise RuleProblem(f"{rule.columns[0]} is {word(kind)}, and only numbers are finite")
    return ~pl.col(rule.columns[0]).is_finite() if kind.is_float() else pl.lit(False)


def _between(rule: Rule, plan: Plan) -> pl.Expr:
    return outside(rule, plan.kind(rule.columns[0]), pl.col(rule.columns[0]))


def outside(rule: Rule, kind: pl.DataType, values: pl.Expr) -> pl.Expr:
    """True where a value is not from min to max."""
    column, given = rule.columns[0], rule.arguments
    least, most = given.get("min"), given.get("max")
    if family(kind) == "text" and (is_moment(least) or is_moment(most)):
        kind = pl.Datetime("us", "UTC")
        moments = as_moments(values)
        return values.is_not_null() & (moments.is_null() | _beyond(given, kind, moments, column))
    beyond = _beyond(given, kind, values, column)
    return beyond | values.is_nan() if kind.is_float() else beyond


def _beyond(given: Any, kind: pl.DataType, values: pl.Expr, column: str) -> pl.Expr:
    found: list[pl.Expr] = []
    if given.get("min") is not None:
        least = pl.lit(as_kind(given["min"], kind, column))
        found.append(values <= least if given.get("strict_min") else values < least)
    if given.get("max") is not None:
        most = pl.lit(as_kind(given["max"], kind, column))
        found.append(values >= most if given.get("strict_max") else values > most)
    return found[0] if len(found) == 1 else found[0] | found[1]


def among(column: str, values: Any, kind: pl.DataType) -> pl.Expr:
    """True where a value is one of these. Values that a column of its type cannot hold are none of it."""
    fitting = []
    for value in listed(values):
        try:
            made = as_kind(value, kind, column) if value is not None else None
        except RuleProblem:
            continue
        if made is None or (isinstance(made, float) and not kind.is_float()):
            continue
        fitting.append(made)
    if not fitting:
        return pl.when(pl.col(column).is_not_null()).then(pl.lit(False))
    return pl.col(column).is_in(fitting)


def _in_set(rule: Rule, plan: Plan) -> pl.Expr:
    return ~among(rule.columns[0], rule.arguments["values"], plan.kind(rule.columns[0]))


def _not_in_set(rule: Rule, plan: Plan) -> pl.Expr:
    return among(rule.columns[0], rule.arguments["values"], plan.kind(rule.columns[0]))


def _text(rule: Rule, plan: Plan) -> pl.Expr:
    kind = plan.kind(rule.columns[0])
    if family(kind) != "text":
        raise RuleProblem(f"{rule.columns[0]} is {word(kind)}, and {rule.kind} is about text")
    text = pl.col(rule.columns[0])
    return text if kind == pl.String else text.cast(pl.String)


def _found(rule: Rule, plan: Plan, translate: Callable[[str], str]) -> list[pl.Expr]:
    text = _text(rule, plan)
    return [text.str.contains(translate(each)) for each in listed(rule.arguments["pattern"])]


def like_pattern(pattern: str) -> str:
    """A SQL pattern as a regular expression."""
    parts = (".*" if each == "%" else "." if each == "_" else re.escape(each) for each in pattern)
    return f"(?s)^{''.join(parts)}$"


def _same(pattern: str) -> str:
    return pattern


def _matching(translate: Callable[[str], str], wanted: bool) -> Compile:
    def compiled(rule: Rule, plan: Plan) -> pl.Expr:
        found = _found(rule, plan, translate)
        if not wanted:
            return pl.any_horizontal(found)
        every = rule.arguments.get("match_on") == "all"
        return ~(pl.all_horizontal(found) if every else pl.any_horizontal(found))

    return compiled


def _length(rule: Rule, plan: Plan) -> pl.Expr:
    kind, values = plan.kind(rule.columns[0]), pl.col(rule.columns[0])
    if family(kind) not in ("text", "list", "binary"):
        raise RuleProblem(f"{rule.columns[0]} is {word(kind)}, and has no length")
    if family(kind) == "list":
        lengths = values.arr.to_list().list.len() if type(kind).__name__ == "Array" else values.list.len()
    else:
        lengths = values.bin.size() if family(kind) == "binary" else values.cast(pl.String).str.len_chars()
    given = rule.arguments
    if given.get("equals") is not None:
        return lengths.ne(given["equals"])
    found = [lengths.lt(given["min"])] if given.get("min") is not None else []
    found += [lengths.gt(given["max"])] if given.get("max") is not None else []
    return pl.any_horizontal(found)


def _moving(up: bool) -> Compile:
    def compiled(rule: Rule, plan: Plan) -> pl.Expr:
        plan.kind(rule.columns[0])
        where = plan.where(rule)
        values = pl.col(rule.columns[0])
        looked_at = values if where is None else pl.when(where).then(values)
        before = looked_at.forward_fill().shift(1)
        if rule.arguments.get("strictly"):
            return values <= before if up else values >= before
        return values < before if up else values > before

    return compiled


def _date_format(rule: Rule, plan: Plan) -> pl.Expr:
    text, form = _text(rule, plan), rule.arguments["format"]
    directives = set(re.findall(r"%[-_0^#.:]?[0-9]?([A-Za-z%])", form))
    with_time, with_day = directives & set("HIMSTRXfpsc"), directives & set("YyCmBbdeDFjUWGVcs")
    kind = pl.Time if with_time and not with_day else pl.Datetime("us") if with_time else pl.Date
    if directives & set("zZ"):
        kind = pl.Datetime("us", "UTC")
    return text.is_not_null() & text.cast(pl.String).str.strptime(kind, form, strict=False).is_null()


def _parses_as(rule: Rule, plan: Plan) -> pl.Expr:
    wanted, column = rule.arguments["type"], rule.columns[0]
    kind, values = plan.kind(column), pl.col(rule.columns[0])
    if family(kind) != "text":
        same = {"integer": kind.is_integer(), "number": family(kind) == "number"}.get(wanted, family(kind) == wanted)
        if not same:
            raise RuleProblem(f"{column} is {word(kind)}, and {rule.kind} is about text")
        return pl.lit(False)
    values = values.cast(pl.String)
    if wanted in _NUMBERS:
        return ~values.str.contains(_NUMBERS[wanted])
    if wanted == "number":
        return values.is_not_null() & ~values.cast(pl.Float64, strict=False).is_finite().fill_null(False)
    return values.is_not_null() & _ISO_HINT[wanted](values).is_null()


def _each(rule: Rule, plan: Plan, good: Callable[[str], bool]) -> pl.Expr:
    """A look at every text by a Python function."""
    if family(plan.kind(rule.columns[0])) != "text":
        return pl.col(rule.columns[0]).is_not_null()

    def look(texts: pl.Series) -> pl.Series:
        return pl.Series([None if text is None else not good(text) for text in texts.to_list()], dtype=pl.Boolean)

    text = pl.col(rule.columns[0]).cast(pl.String)
    return text.map_batches(look, return_dtype=pl.Boolean, is_elementwise=True)


def _json(rule: Rule, plan: Plan) -> pl.Expr:
    def good(text: str) -> bool:
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    return _each(rule, plan, good)


def _json_schema(rule: Rule, plan: Plan) -> pl.Expr:
    jsonschema, referencing = require("jsonschema", "quality"), require("referencing", "quality")
    schema = rule.arguments["schema"]
    family_of_schema = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        family_of_schema.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise RuleProblem(f"this is no JSON schema: {error.message}") from None
    nothing_from_outside = referencing.Registry()
    validator = family_of_schema(schema, registry=nothing_from_outside)

    def good(text: str) -> bool:
        try:
            return bool(validator.is_valid(msgspec.json.decode(text)))
        except (msgspec.DecodeError, RecursionError):
            return False
        except referencing.exceptions.Unresolvable as error:
            raise RuleProblem(f"the schema refers to {error.ref}, which is not in it") from None

    return _each(rule, plan, good)


def _references(rule: Rule, plan: Plan) -> pl.Expr:
    column, table = rule.columns[0], rule.arguments["table"]
    to = rule.arguments.get("to", column)
    other = plan.table(table)
    kinds = other.collect_schema()
    if to not in kinds:
        raise RuleProblem(f"the table {table} has no column {to}")
    if family(kinds[to]) != family(plan.kind(column)):
        raise RuleProblem(f"{column} is {word(plan.kind(column))}, and {table}.{to} is {word(kinds[to])}")
    known = other.select(pl.col(to).drop_nulls().unique()).collect(engine="streaming").to_series()
    return ~pl.col(column).is_in(known.implode())


VALUES: dict[str, Compile] = {
    "not_null": _not_null,
    "null": _null,
    "finite": _finite,
    "between": _between,
    "in_set": _in_set,
    "not_in_set": _not_in_set,
    "matches": _matching(_same, True),
    "not_matches": _matching(_same, False),
    "like": _matching(like_pattern, True),
    "not_like": _matching(like_pattern, False),
    "length": _length,
    "increasing": _moving(True),
    "decreasing": _moving(False),
    "date_format": _date_format,
    "parses_as": _parses_as,
    "json": _json,
    "json_schema": _json_schema,
    "references": _references,
}
