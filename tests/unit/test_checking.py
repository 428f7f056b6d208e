"""JSON values against JSON Schemas: the same verdict as pydantic's, for what its models allow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import hypothesis.strategies as st
import pydantic
import pytest
from hypothesis import example, given

from penstock.authoring.checking import described, mistakes_in


class Part(pydantic.BaseModel, extra="forbid"):
    name: Annotated[str, pydantic.Field(min_length=1, max_length=4, pattern="^[a-c]*$")]
    weight: Annotated[float, pydantic.Field(gt=0, le=10)] | None = None


class Thing(pydantic.BaseModel, extra="forbid"):
    kind: Literal["x", "y", 3]
    count: Annotated[int, pydantic.Field(ge=0, lt=5)] = 0
    parts: Annotated[list[Part], pydantic.Field(max_length=2)] = []
    pair: tuple[int, bool] = (1, True)
    sizes: dict[str, Annotated[int, pydantic.Field(multiple_of=2)]] = {}
    either: Part | int | None = None


SCHEMA = Thing.model_json_schema()

texts = st.sampled_from(["", "a", "abc", "x"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(-2, 12), st.sampled_from([0.5, 2.0, 11.5]), texts)
part = st.fixed_dictionaries({"name": leaves}, optional={"weight": leaves, "more": leaves})
things: Any = st.fixed_dictionaries(
    {"kind": st.sampled_from(["x", "y", 3, "z", None])},
    optional={
        "count": leaves,
        "parts": st.lists(st.one_of(part, leaves), max_size=3) | leaves,
        "pair": st.lists(leaves, min_size=1, max_size=3) | leaves,
        "sizes": st.dictionaries(st.sampled_from("ab"), leaves) | leaves,
        "either": part | leaves,
        "other": leaves,
    },
)


def plain(value: Any) -> Any:
    """With 2.0 as 2: an integer to JSON Schema, and in answers; a strict model looks at how it is written."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(things)
@example({"kind": "x", "count": 2.0, "pair": [2.0, True], "sizes": {"a": 2.0}, "either": 2.0})
def test_the_verdict_is_pydantics(value: Any) -> None:
    try:
        Thing.model_validate_json(pydantic.TypeAdapter(Any).dump_json(plain(value)), strict=True)
    except pydantic.ValidationError:
        fits = False
    else:
        fits = True
    assert (mistakes_in(value, SCHEMA) == []) == fits


@pytest.mark.parametrize(
    ("value", "schema", "told"),
    [
        (5, {"type": "string"}, "expected a string, got 5"),
        ("x", {"type": ["integer", "null"]}, 'expected an integer or null, got "x"'),
        (True, {"type": "integer"}, "expected an integer, got true"),
        (True, {"enum": [1, 2]}, "expected one of 1, 2, got true"),
        (1, {"const": True}, "expected true, got 1"),
        (3, {"type": "integer", "maximum": 2}, "expected at most 2, got 3"),
        ("2026-02-30", {"type": "string", "format": "date"}, "expected a date (such as 2026-01-31)"),
        ("x", {"type": "string", "format": "uuid"}, "expected a UUID"),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, 'expected an integer or a boolean, got "x"'),
        ([1, 1], {"type": "array", "uniqueItems": True}, "expected no item twice"),
        ({"a": 1}, {"type": "object", "properties": {}, "additionalProperties": False}, "no such field"),
        ("x" * 100, {"type": "null"}, "..."),
        (1, {"allOf": [{"minimum": 2}]}, "expected at least 2"),
        (1, False, "expected one of"),
    ],
)
def test_what_is_told(value: Any, schema: Any, told: str) -> None:
    ((where, what),) = mistakes_in(value, schema)
    assert where.startswith("answer")
    assert told in what


@pytest.mark.parametrize("schema", [True, {}, {"type": "marble"}, {"$ref": "#/$defs/Unknown"}, {"format": "path"}])
def test_what_is_not_understood_allows_anything(schema: Any) -> None:
    assert mistakes_in({"a": [1]}, schema) == []


def test_a_schema_that_refers_to_itself() -> None:
    class Tree(pydantic.BaseModel):
        value: int
        below: list[Tree] = []

    schema = Tree.model_json_schema()
    assert mistakes_in({"value": 1, "below": [{"value": 2, "below": []}]}, schema) == []
    assert mistakes_in({"value": 1, "below": [{"value": "2"}]}, schema) == [
        ("answer.below[0].value", 'expected an integer, got "2"')
    ]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "integer"}, "an integer"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "a string or null"),
        ({"enum": ["a", 1]}, 'one of "a", 1'),
        ({"const": 4}, "4"),
        ({"type": "string", "format": "date"}, "a date (such as 2026-01-31)"),
        ({}, "anything"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], told: str) -> None:
    assert described(schema, {}) == told
