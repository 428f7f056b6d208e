"""Expectations of Great Expectations as rules.

An expectation is a name such as `expect_column_values_to_be_between` and keyword arguments; most have a rule of the
same meaning, null handling and `mostly` included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.quality.errors import BadRules
from penstock.quality.rules import Rule, read_configuration

_COMMON = frozenset({"mostly", "row_condition", "condition_parser", "meta", "notes", "severity"})
_ABOUT_RUNNING = frozenset({"result_format", "catch_exceptions", "include_config", "allow_cross_type_comparisons"})
_PANDAS_TYPES = {
    "int": "integer", "int64": "integer", "int32": "int32", "Int64Dtype": "integer", "float": "float",
    "float64": "float64", "str": "text", "string": "text", "bool": "boolean", "boolean": "boolean",
    "datetime64": "datetime", "datetime64[ns]": "datetime", "Timestamp": "datetime", "timedelta": "duration",
    "INTEGER": "integer", "BIGINT": "int64", "FLOAT": "float", "DOUBLE_PRECISION": "float", "DOUBLE": "float",
    "TEXT": "text", "VARCHAR": "text", "STRING": "text", "BOOLEAN": "boolean", "BOOL": "boolean",
    "TIMESTAMP": "datetime", "DATETIME": "datetime", "DATE": "date", "NUMERIC": "number",
    "IntegerType": "integer", "LongType": "integer", "FloatType": "float", "DoubleType": "float",
    "StringType": "text", "BooleanType": "boolean", "TimestampType": "datetime", "DateType": "date",
}  # fmt: skip
_COMPARED = re.compile(r"^\s*\(?\s*([A-Za-z_]\w*)\s*(==|!=|<=|>=|<|>)\s*(-?\d+(?:\.\d+)?|\"[^\"]*\"|'[^']*')\s*\)?\s*$")


class NotTranslated(ValueError):
    """An expectation that no rule stands for; its text says why."""


class Expectation(NamedTuple):
    """How an expectation becomes a rule.

    Attributes:
        rule: the kind of rule.
        columns: the keyword arguments that name columns.
        arguments: the names of its keyword arguments, and of those of the rule.
        fixed: arguments of the rule that are always the same.
    """

    rule: str
    columns: tuple[str, ...] = ("column",)
    arguments: Mapping[str, str] = {}
    fixed: Mapping[str, Any] = {}


_PAIR = ("column_A", "column_B")
_LIST = ("column_list",)
_RANGE = {"min_value": "min", "max_value": "max"}
_STRICT = {**_RANGE, "strict_min": "strict_min", "strict_max": "strict_max"}
_IGNORE = {"ignore_row_if": "ignore_row_if"}
_SET = {"value_set": "values"}


def _aggregate(rule: str) -> Expectation:
    return Expectation(rule, ("column",), _STRICT)


EXPECTATIONS: dict[str, Expectation] = {
    "expect_column_to_exist": Expectation("column_exists", ("column",), {"column_index": "position"}),
    "expect_table_columns_to_match_set": Expectation("columns_match", ("column_set",), {"exact_match": "exact"}),
    "expect_table_columns_to_match_ordered_list": Expectation("columns_match", _LIST, {}, {"ordered": True}),
    "expect_table_column_count_to_be_between": Expectation("column_count", (), _RANGE),
    "expect_table_column_count_to_equal": Expectation("column_count", (), {"value": "equals"}),
    "expect_table_row_count_to_be_between": Expectation("row_count", (), _RANGE),
    "expect_table_row_count_to_equal": Expectation("row_count", (), {"value": "equals"}),
    "expect_table_row_count_to_equal_other_table": Expectation("row_count_equals", (), {"other_table_name": "table"}),
    "expect_column_values_to_be_of_type": Expectation("type", ("column",), {"type_": "types"}),
    "expect_column_values_to_be_in_type_list": Expectation("type", ("column",), {"type_list": "types"}),
    "expect_column_values_to_not_be_null": Expectation("not_null"),
    "expect_column_values_to_be_null": Expectation("null"),
    "expect_column_values_to_be_between": Expectation("between", ("column",), _STRICT),
    "expect_column_values_to_be_in_set": Expectation("in_set", ("column",), _SET),
    "expect_column_values_to_not_be_in_set": Expectation("not_in_set", ("column",), _SET),
    "expect_column_values_to_match_regex": Expectation("matches", ("column",), {"regex": "pattern"}),
    "expect_column_values_to_not_match_regex": Expectation("not_matches", ("column",), {"regex": "pattern"}),
    "expect_column_values_to_match_regex_list": Expectation(
        "matches", ("column",), {"regex_list": "pattern", "match_on": "match_on"}
    ),
    "expect_column_values_to_not_match_regex_list": Expectation("not_matches", ("column",), {"regex_list": "pattern"}),
    "expect_column_values_to_match_like_pattern": Expectation("like", ("column",), {"like_pattern": "pattern"}),
    "expect_column_values_to_not_match_like_pattern": Expectation("not_like", ("column",), {"like_pattern": "pattern"}),
    "expect_column_values_to_match_like_pattern_list": Expectation(
        "like", ("column",), {"like_pattern_list": "pattern", "match_on": "match_on"}
    ),
    "expect_column_values_to_not_match_like_pattern_list": Expectation(
        "not_like", ("column",), {"like_pattern_list": "pattern"}
    ),
    "expect_column_value_lengths_to_be_between": Expectation("length", ("column",), _RANGE),
    "expect_column_value_lengths_to_equal": Expectation("length", ("column",), {"value": "equals"}),
    "expect_column_values_to_be_unique": Expectation("unique"),
    "expect_column_values_to_be_increasing": Expectation("increasing", ("column",), {"strictly": "strictly"}),
    "expect_column_values_to_be_decreasing": Expectation("decreasing", ("column",), {"strictly": "strictly"}),
    "expect_column_values_to_match_strftime_format": Expectation(
        "date_format", ("column",), {"strftime_format": "format"}
    ),
    "expect_column_values_to_be_json_parseable": Expectation("json"),
    "expect_column_values_to_match_json_schema": Expectation("json_schema", ("column",), {"json_schema": "schema"}),
    "expect_column_pair_values_to_be_equal": Expectation("equal", _PAIR, _IGNORE),
    "expect_column_pair_values_a_to_be_greater_than_b": Expectation(
        "greater", _PAIR, {**_IGNORE, "or_equal": "or_equal"}
    ),
    "expect_column_pair_values_to_be_in_set": Expectation(
        "pair_in_set", _PAIR, {**_IGNORE, "value_pairs_set": "values"}
    ),
    "expect_compound_columns_to_be_unique": Expectation("unique_together", _LIST, _IGNORE),
    "expect_select_column_values_to_be_unique_within_record": Expectation("unique_within_row", _LIST, _IGNORE),
    "expect_multicolumn_sum_to_equal": Expectation("sum_equals", _LIST, {**_IGNORE, "sum_total": "total"}),
    "expect_column_min_to_be_between": _aggregate("minimum"),
    "expect_column_max_to_be_between": _aggregate("maximum"),
    "expect_column_mean_to_be_between": _aggregate("mean"),
    "expect_column_median_to_be_between": _aggregate("median"),
    "expect_column_stdev_to_be_between": _aggregate("stdev"),
    "expect_column_sum_to_be_between": _aggregate("sum"),
    "expect_column_unique_value_count_to_be_between": _aggregate("distinct_count"),
    "expect_column_proportion_of_unique_values_to_be_between": _aggregate("distinct_fraction"),
    "expect_column_quantile_values_to_be_between": Expectation(
        "quantiles", ("column",), {"quantiles": "quantiles", "value_ranges": "ranges"}, {"interpolation": "nearest"}
    ),
    "expect_column_distinct_values_to_be_in_set": Expectation("distinct_in_set", ("column",), _SET),
    "expect_column_distinct_values_to_contain_set": Expectation("distinct_contains", ("column",), _SET),
    "expect_column_distinct_values_to_equal_set": Expectation("distinct_equals", ("column",), _SET),
    "expect_column_most_common_value_to_be_in_set": Expectation(
        "most_common_in_set", ("column",), {**_SET, "ties_okay": "ties"}
    ),
    "expect_column_chisquare_test_p_value_to_be_greater_than": Expectation(
        "chi_square", ("column",), {"weights": "weights", "p": "p_value"}
    ),
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": Expectation(
        "ks_test", ("column",), {"distribution": "distribution", "params": "params", "p_value": "p_value"}
    ),
    "expect_column_kl_divergence_to_be_less_than": Expectation(
        "kl_divergence", ("column",), {"weights": "weights", "bins": "bins", "threshold": "max"}
    ),
}
_BOOTSTRAPPED = "a test on random samples of the data; `ks_test` takes all of it"
NOT_YET: dict[str, str] = {
    "test_expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": _BOOTSTRAPPED,
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": _BOOTSTRAPPED,
    "expect_column_pair_cramers_phi_value_to_be_less_than": "a measure of two columns, which no rule has yet",
    "unexpected_rows_expectation": "a query over the whole table; the rule `expression` takes a condition on a row",
}


def rule_of(expectation: str, arguments: Mapping[str, Any]) -> Rule:
    """The rule that means the same.

    Raises:
        NotTranslated: there is none.
        BadRules: the arguments cannot be.
    """
    made = EXPECTATIONS.get(expectation)
    if made is None:
        raise NotTranslated(NOT_YET.get(expectation, f"there is no rule for {expectation}"))
    given = {name: value for name, value in arguments.items() if name not in _ABOUT_RUNNING}
    if any(isinstance(value, dict) and "$PARAMETER" in value for value in given.values()):
        raise NotTranslated("parameters that are computed when the suite runs")
    _unfold(expectation, given)
    entry: dict[str, Any] = {"rule": made.rule, **made.fixed}
    columns = [given.pop(name) for name in made.columns if name in given]
    if columns:
        entry["columns"] = columns[0] if isinstance(columns[0], list | None) else columns
    entry["where"] = _condition(given)
    for name in ("mostly", "severity"):
        if given.get(name) is not None:
            entry[name] = given[name] if name == "mostly" else _SEVERITIES.get(given[name], "error")
    for name, value in given.items():
        if name in made.arguments:
            entry[made.arguments[name]] = _types(value) if made.rule == "type" else value
        elif name not in _COMMON and value is not None:
            raise NotTranslated(f"{expectation} with {name}")
    _no_columns(entry)
    rules = read_configuration([entry]).rules
    if len(rules) != 1:
        raise BadRules([(expectation, "is about one column")])
    return rules[0]


_SEVERITIES = {"critical": "error", "warning": "warning", "info": "info"}


def _no_columns(entry: dict[str, Any]) -> None:
    """No set of columns is an empty one."""
    if entry["rule"] == "columns_match" and entry.get("columns") is None:
        entry["columns"] = []


def _types(value: Any) -> Any:
    names = value if isinstance(value, list) else [value]
    unknown = [name for name in names if name not in _PANDAS_TYPES]
    if len(unknown) == len(names):
        raise NotTranslated(f"the type {', '.join(map(str, unknown))}")
    return [_PANDAS_TYPES[name] for name in names if name not in unknown]


def _condition(given: dict[str, Any]) -> str | None:
    """A pandas condition as SQL: comparisons of a column with a value, joined by `&`. Nothing is not 6, there."""
    text = given.pop("row_condition", None)
    parser = given.pop("condition_parser", None)
    if not text:
        return None
    if parser != "pandas":
        raise NotTranslated(f"a condition for the parser {parser}")
    parts = []
    for part in text.split("&"):
        found = _COMPARED.match(part)
        if found is None:
            raise NotTranslated(f"the condition {text}")
        value = "'" + found[3][1:-1].replace("'", "''") + "'" if found[3][0] in "\"'" else found[3]
        different = found[2] == "!="
        compared = f'"{found[1]}" {"=" if found[2] == "==" else "<>" if different else found[2]} {value}'
        parts.append(f'({compared} OR "{found[1]}" IS NULL)' if different else compared)
    return " AND ".join(parts)


def _unfold(expectation: str, given: dict[str, Any]) -> None:
    """Arguments that hold several, taken out of them."""
    given.update(given.pop("quantile_ranges", None) or {})
    partition = given.pop("partition_object", None)
    if partition is not None:
        weights = partition.get("weights", [])
        given["weights"] = dict(zip(partition["values"], weights, strict=True)) if "values" in partition else weights
        if "bins" in partition and expectation.startswith("expect_column_kl"):
            given["bins"] = partition["bins"]
    if isinstance(given.get("params"), dict):
        names = {"mean": "loc", "std_dev": "scale", "alpha": "a", "beta": "b"}
        if given.get("distribution") == "uniform":  # what it calls max is the width
            names |= {"min": "loc", "max": "scale"}
        given["params"] = {names.get(name, name): value for name, value in given["params"].items()}
