"""Texts with facts in them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.test_automations_triggers import FACTS

from penstock.core.templates import FactMissing, fill, fill_text, paths_in, with_variables


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("no facts", "no facts"),
        ("{flow}", "etl"),
        ("{flow} failed {attempt} times", "etl failed 2 times"),
        ("{attempt}", 2),
        ("{tags}", ["nightly", "big"]),
        ("tags: {tags}", 'tags: ["nightly","big"]'),
        ("{tags.1}", "big"),
        ("{facts.rows}", 17),
        ("{late} {deployment}", "true null"),
        ("{{flow}}", "{flow}"),
        ("{{{flow}}}", "{etl}"),
        ({"a": ["{attempt}", {"b": "x{attempt}"}], "c": 5}, {"a": [2, {"b": "x2"}], "c": 5}),
    ],
)
def test_templates(value: Any, filled: Any) -> None:
    assert fill(value, FACTS) == filled


def test_a_fact_that_holds_braces_is_not_read_again() -> None:
    facts = {"a": "{b}", "b": "secret", "c": "{{b}}"}
    assert fill("{a} {c}", facts) == "{b} {{b}}"
    assert fill("{a}", facts) == "{b}"


def test_facts_that_are_not_there() -> None:
    with pytest.raises(FactMissing, match=r"run\.id"):
        fill("{run.id}", FACTS)
    assert fill_text("run {run.id}", FACTS, "?") == "run ?"
    with pytest.raises(FactMissing):
        fill("{flow.__class__}", FACTS)
    with pytest.raises(FactMissing):
        fill("{tags.7}", FACTS)


@pytest.mark.parametrize(
    "text", ["{", "a } b", "{a", "{a b}", "{a.}", "{.a}", "{0}", "{a[0]}", "{a!r}", "{a:>5}", "{}"]
)
def test_braces_that_mean_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"brace|lone|fact"):
        list(paths_in([{"x": text}]))


def test_variables() -> None:
    values = {"A": "1", "B_2": "${A}"}
    assert with_variables("x${A}y${B_2}$z${", values.__getitem__) == "x1y${A}$z${"
