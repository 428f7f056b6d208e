"""The kinds of rules there are, and what each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from penstock.quality.rules import arguments as a
from penstock.quality.rules.arguments import Argument

Level = Literal["schema", "row", "whole"]
"""Of a rule: whether it asks for names and types, for every row, or for one value of all rows."""

MANY = 100_000
_ROW_NULLS = ("all_values_are_missing", "any_value_is_missing", "never")
TYPES = (
    "integer", "float", "decimal", "number", "text", "boolean", "date", "datetime", "time", "duration", "binary",
    "list", "struct", "null", "categorical",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)  # fmt: skip
DISTRIBUTIONS = ("norm", "uniform", "expon", "beta", "gamma", "chi2", "lognorm", "t")


class Kind(NamedTuple):
    """A kind of rule.

    Attributes:
        name: as it is written.
        about: what it states.
        level: what it asks for.
        columns: how many columns it is about: at least, at most.
        arguments: what else it takes.
        check: what is wrong with arguments that are each right.
    """

    name: str
    about: str
    level: Level
    columns: tuple[int, int]
    arguments: tuple[Argument, ...] = ()
    check: Callable[[Mapping[str, Any]], str | None] | None = None


def _in_order(given: Mapping[str, Any]) -> str | None:
    least, most = given.get("min"), given.get("max")
    if least is None or most is None:
        return None
    try:
        return "min is greater than max" if least > most else None
    except TypeError:
        return "min and max are not of one type"


def _some(*names: str) -> Callable[[Mapping[str, Any]], str | None]:
    def check(given: Mapping[str, Any]) -> str | None:
        if all(given.get(name) is None for name in names):
            return f"needs {' or '.join(names)}"
        return _in_order(given)

    return check


def _one_count(given: Mapping[str, Any]) -> str | None:
    if given.get("equals") is not None and (given.get("min") is not None or given.get("max") is not None):
        return "has equals, and min or max too: one of them is enough"
    return _in_order(given)


def _some_count(given: Mapping[str, Any]) -> str | None:
    return _some("equals", "min", "max")(given) or _one_count(given)


def _as_many_ranges(given: Mapping[str, Any]) -> str | None:
    return None if len(given["quantiles"]) == len(given["ranges"]) else "needs one range for each quantile"


def _known_format(given: Mapping[str, Any]) -> str | None:
    now = datetime(2026, 1, 31)
    try:
        datetime.strptime(now.strftime(given["format"]), given["format"])
    except ValueError as error:
        return f"{given['format']!r} is no format of dates: {error}"
    return None


def _known_types(given: Mapping[str, Any]) -> str | None:
    unknown = [each for each in a.listed(given["types"]) if each not in TYPES]
    return f"there is no type {', '.join(unknown)}; there are: {', '.join(TYPES)}" if unknown else None


def _by_value(given: Mapping[str, Any]) -> str | None:
    return None if isinstance(given["weights"], Mapping) else "needs weights by value"


def _as_many_bins(given: Mapping[str, Any]) -> str | None:
    if "bins" not in given:
        return _by_value(given)
    good = not isinstance(given["weights"], Mapping) and len(given["weights"]) == len(given["bins"]) - 1
    return None if good else "needs a list of weights, one for each range between two bins"


_STRICT = (Argument("strict_min", a.truth), Argument("strict_max", a.truth))
_COUNTS = (Argument("equals", a.whole), Argument("min", a.whole), Argument("max", a.whole))
_VALUES = (Argument("values", a.values, True),)
_NULLS = (Argument("ignore_row_if", a.one_of(*_ROW_NULLS)),)
_PAIR_NULLS = (Argument("ignore_row_if", a.one_of("both_values_are_missing", "either_value_is_missing", "neither")),)
_P = Argument("p_value", a.number)
_PATTERNS = (Argument("pattern", a.pattern, True), Argument("match_on", a.one_of("any", "all")))


def _statistic(name: str, about: str, accepts: a.Accepts = a.number) -> Kind:
    limits = (Argument("min", accepts), Argument("max", accepts))
    return Kind(name, about, "whole", (1, 1), (*limits, *_STRICT), _some("min", "max"))


_SCHEMA = (
    Kind("column_exists", "there is such a column", "schema", (1, 1), (Argument("position", a.whole),)),
    Kind(
        "columns_match",
        "these are the columns; with exact: false there may be more, with ordered: true their order counts",
        "schema",
        (0, MANY),
        (Argument("exact", a.truth), Argument("ordered", a.truth)),
    ),
    Kind("column_count", "so many columns", "schema", (0, 0), _COUNTS, _one_count),
    Kind(
        "type", "values are of one of these types", "schema", (1, 1), (Argument("types", a.texts, True),), _known_types
    ),
)
_VALUE = (
    Kind("not_null", "there is a value", "row", (1, 1)),
    Kind("null", "there is no value", "row", (1, 1)),
    Kind("finite", "neither NaN nor infinite", "row", (1, 1)),
    Kind(
        "between",
        "from min to max",
        "row",
        (1, 1),
        (Argument("min", a.bound), Argument("max", a.bound), *_STRICT),
        _some("min", "max"),
    ),
    Kind("in_set", "one of these values", "row", (1, 1), _VALUES),
    Kind("not_in_set", "none of these values", "row", (1, 1), _VALUES),
    Kind("matches", "a regular expression is found in it (^ and $ for all of it)", "row", (1, 1), _PATTERNS),
    Kind("not_matches", "no regular expression of these is found in it", "row", (1, 1), _PATTERNS[:1]),
    Kind("like", "a SQL pattern (% and _) fits", "row", (1, 1), _PATTERNS),
    Kind("not_like", "no SQL pattern of these fits", "row", (1, 1), _PATTERNS[:1]),
    Kind("length", "so many characters, or elements of a list", "row", (1, 1), _COUNTS, _some_count),
    Kind("unique", "no value comes twice", "row", (1, 1)),
    Kind("increasing", "not less than the value before", "row", (1, 1), (Argument("strictly", a.truth),)),
    Kind("decreasing", "not more than the value before", "row", (1, 1), (Argument("strictly", a.truth),)),
    Kind(
        "date_format",
        "a date in this strftime format",
        "row",
        (1, 1),
        (Argument("format", a.text, True),),
        _known_format,
    ),
    Kind(
        "parses_as",
        "text that reads as one",
        "row",
        (1, 1),
        (Argument("type", a.one_of("integer", "number", "date", "datetime", "boolean"), True),),
    ),
    Kind("json", "text that is JSON", "row", (1, 1)),
    Kind("json_schema", "JSON that follows a schema", "row", (1, 1), (Argument("schema", a.mapping, True),)),
    Kind(
        "references",
        "the value is in a column of another table",
        "row",
        (1, 1),
        (Argument("table", a.text, True), Argument("to", a.text)),
    ),
)
_ROW = (
    Kind("equal", "both columns have the same value", "row", (2, 2), _PAIR_NULLS),
    Kind(
        "greater",
        "the first column's value is greater than the second's",
        "row",
        (2, 2),
        (Argument("or_equal", a.truth), *_PAIR_NULLS),
    ),
    Kind(
        "pair_in_set",
        "both values are one of these pairs",
        "row",
        (2, 2),
        (Argument("values", a.pairs, True), *_PAIR_NULLS),
    ),
    Kind("unique_together", "no combination of values comes twice", "row", (2, MANY), _NULLS),
    Kind("unique_within_row", "no value comes twice in a row", "row", (2, MANY), _NULLS),
    Kind("sum_equals", "the columns add up to a total", "row", (2, MANY), (Argument("total", a.number, True), *_NULLS)),
    Kind("expression", "a SQL condition is true", "row", (0, 0), (Argument("sql", a.condition, True),)),
)
_WHOLE = (
    Kind("row_count", "so many rows", "whole", (0, 0), _COUNTS, _one_count),
    Kind("row_count_equals", "as many rows as another table", "whole", (0, 0), (Argument("table", a.text, True),)),
    _statistic("minimum", "the least value", a.bound),
    _statistic("maximum", "the greatest value", a.bound),
    _statistic("mean", "the mean"),
    _statistic("median", "the median"),
    _statistic("stdev", "the standard deviation of a sample"),
    _statistic("sum", "the sum"),
    _statistic("distinct_count", "how many different values"),
    _statistic("distinct_fraction", "different values by values"),
    _statistic("null_fraction", "rows without a value by rows"),
    Kind(
        "quantiles",
        "quantiles within ranges",
        "whole",
        (1, 1),
        (
            Argument("quantiles", a.fractions, True),
            Argument("ranges", a.ranges, True),
            Argument("interpolation", a.one_of("nearest", "lower", "higher", "midpoint", "linear")),
        ),
        _as_many_ranges,
    ),
    Kind("distinct_in_set", "every value is one of these", "whole", (1, 1), _VALUES),
    Kind("distinct_contains", "each of these values comes", "whole", (1, 1), _VALUES),
    Kind("distinct_equals", "these values come, and no others", "whole", (1, 1), _VALUES),
    Kind(
        "most_common_in_set",
        "the most common value is one of these",
        "whole",
        (1, 1),
        (*_VALUES, Argument("ties", a.truth)),
    ),
    Kind(
        "ks_test",
        "Kolmogorov and Smirnov do not deny that values come from a distribution of SciPy",
        "whole",
        (1, 1),
        (Argument("distribution", a.one_of(*DISTRIBUTIONS), True), Argument("params", a.parameters), _P),
    ),
    Kind(
        "chi_square",
        "Pearson does not deny that values come as often as these weights say",
        "whole",
        (1, 1),
        (Argument("weights", a.weights, True), _P),
        _by_value,
    ),
    Kind(
        "kl_divergence",
        "at most so many nats from these weights, of values or of ranges of numbers",
        "whole",
        (1, 1),
        (Argument("weights", a.weights, True), Argument("bins", a.increasing), Argument("max", a.number, True)),
        _as_many_bins,
    ),
    Kind("fresh", "the latest moment is not older than this", "whole", (1, 1), (Argument("max_age", a.age, True),)),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in (*_SCHEMA, *_VALUE, *_ROW, *_WHOLE)}
