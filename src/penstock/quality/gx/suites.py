"""Suites of Great Expectations, read and written: the JSON that its `ExpectationSuite` has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.quality.errors import BadRules
from penstock.quality.gx.expectations import EXPECTATIONS, Expectation, NotTranslated, rule_of
from penstock.quality.rules import Rule
from penstock.quality.rules.documents import read_document

_SEVERITIES = {"error": "critical", "warning": "warning", "info": "info"}
_FOLDED = {"quantiles": ("quantiles", "value_ranges"), "chi_square": ("weights",), "kl_divergence": ("weights", "bins")}


class Imported(NamedTuple):
    """A suite as rules.

    Attributes:
        rules: one for each expectation that has one.
        left_out: the other expectations, each with the reason.
    """

    rules: tuple[Rule, ...]
    left_out: tuple[tuple[str, str], ...]


def import_suite(suite: Mapping[str, Any] | str | Path) -> Imported:
    """The rules of a suite: a mapping, JSON text, or the path of a JSON file.

    Raises:
        BadRules: it is no suite.
    """
    rules: list[Rule] = []
    left_out: list[tuple[str, str]] = []
    for entry in entries_of(suite):
        name = name_of(entry)
        try:
            rules.append(rule_of(name, arguments_of(entry)))
        except NotTranslated as problem:
            left_out.append((name, str(problem)))
        except BadRules as problem:
            left_out.append((name, "; ".join(what for _, what in problem.mistakes)))
    return Imported(tuple(rules), tuple(left_out))


def entries_of(suite: Mapping[str, Any] | str | Path) -> list[Mapping[str, Any]]:
    """The expectations of a suite, as they are written.

    Raises:
        BadRules: it is no suite.
    """
    document = suite if isinstance(suite, Mapping) else read_document(suite)
    entries = document.get("expectations") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise BadRules([("the suite", "has no list of expectations")])
    return entries


def name_of(entry: Mapping[str, Any]) -> str:
    """What an expectation is called; older releases have another word for it."""
    return str(entry.get("type") or entry.get("expectation_type"))


def arguments_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of an expectation, its severity among them."""
    arguments = {**(entry.get("kwargs") or {})}
    if entry.get("severity") is not None:
        arguments["severity"] = entry["severity"]
    return arguments


def export_suite(rules: Iterable[Rule], name: str = "rules") -> tuple[dict[str, Any], list[tuple[Rule, str]]]:
    """A suite of rules, and the rules that it has no expectation for, each with the reason."""
    expectations: list[dict[str, Any]] = []
    left_out: list[tuple[Rule, str]] = []
    for rule in rules:
        try:
            expectations.append(expectation_of(rule))
        except NotTranslated as problem:
            left_out.append((rule, str(problem)))
    return {"name": name, "expectations": expectations, "meta": {}}, left_out


def expectation_of(rule: Rule) -> dict[str, Any]:
    """The expectation of the same meaning.

    Raises:
        NotTranslated: there is none.
    """
    if rule.where:
        raise NotTranslated("a condition in SQL")
    for name, made in EXPECTATIONS.items():
        if made.rule == rule.kind and (kwargs := _kwargs(rule, name, made)) is not None:
            if rule.mostly < 1:
                kwargs["mostly"] = rule.mostly
            return {"type": name, "kwargs": kwargs, "meta": {}, "severity": _SEVERITIES[rule.severity]}
    raise NotTranslated(f"there is no expectation for {rule.kind} with these arguments")


def _kwargs(rule: Rule, name: str, made: Expectation) -> dict[str, Any] | None:
    """The arguments of an expectation; None where it cannot say what the rule says."""
    if made.rule in ("type", "ks_test"):  # GX names types as each engine does, and parameters in its own words
        return None
    given = dict(rule.arguments)
    for argument, value in made.fixed.items():
        if given.pop(argument, None) != value:
            return None
    names = {ours: theirs for theirs, ours in made.arguments.items()}
    if not set(given) <= set(names):
        return None
    single = {"regex", "like_pattern"} & set(made.arguments)
    if single:
        if isinstance(given["pattern"], list):
            if len(given["pattern"]) > 1:
                return None
            given["pattern"] = given["pattern"][0]
    elif {"regex_list", "like_pattern_list"} & set(made.arguments) and isinstance(given["pattern"], str):
        given["pattern"] = [given["pattern"]]
    kwargs: dict[str, Any] = {names[argument]: value for argument, value in given.items()}
    kwargs.update(_columns(rule, made))
    return _folded(rule, kwargs)


def _columns(rule: Rule, made: Expectation) -> dict[str, Any]:
    if made.columns in (("column_list",), ("column_set",)):
        return {made.columns[0]: list(rule.columns)}
    return dict(zip(made.columns, rule.columns, strict=False))


def _folded(rule: Rule, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments that GX has in one."""
    if rule.kind not in _FOLDED:
        return kwargs
    inside = {name: kwargs.pop(name) for name in _FOLDED[rule.kind] if name in kwargs}
    if rule.kind == "quantiles":
        return {**kwargs, "quantile_ranges": inside}
    weights = inside["weights"]
    if isinstance(weights, Mapping):
        inside = {"values": list(weights), "weights": list(weights.values())}
    return {**kwargs, "partition_object": inside}
