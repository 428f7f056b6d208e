"""Parameters are bound, checked and converted by annotation, and every mistake is told at once."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import flow
from penstock.authoring.parameters import call_arguments, convert
from penstock.core.errors import ParameterBindError, ParameterError, ParameterTypeError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Gate:
    name: str
    width: float = 1.0
    tags: list[str] = dataclasses.field(default_factory=list)


class Place(TypedDict):
    city: str
    zip: NotRequired[int]


class Sluice(pydantic.BaseModel):
    level: int = pydantic.Field(ge=0)
    gates: list[str] = []


class Meter(msgspec.Struct):
    reading: int


def converted(value: Any, kind: Any) -> Any:
    mistakes: list[tuple[str, str]] = []
    result = convert(value, kind, "x", mistakes)
    assert not mistakes, mistakes
    return result


def mistakes_of(value: Any, kind: Any) -> list[tuple[str, str]]:
    mistakes: list[tuple[str, str]] = []
    convert(value, kind, "x", mistakes)
    return mistakes


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("3", int, 3),
        (3.0, int, 3),
        (True, int, 1),
        (3, float, 3.0),
        ("2.5", float, 2.5),
        ("true", bool, True),
        ("2026-02-28", datetime.date, datetime.date(2026, 2, 28)),
        ("2026-02-28T10:00:00Z", datetime.datetime, datetime.datetime(2026, 2, 28, 10, tzinfo=datetime.UTC)),
        ("1.10", decimal.Decimal, decimal.Decimal("1.10")),
        ("12345678-1234-5678-1234-567812345678", uuid.UUID, uuid.UUID("12345678-1234-5678-1234-567812345678")),
        ("a/b", pathlib.Path, pathlib.Path("a/b")),
        ("red", Colour, Colour.RED),
        ("BLUE", Colour, Colour.BLUE),
        (Colour.RED, Colour, Colour.RED),
        ("fast", Literal["fast", "slow"], "fast"),
        (None, int | None, None),
        ("7", int | None, 7),
        ("7", int | str, "7"),
        ("2026-01-01", datetime.date | str, "2026-01-01"),
        ((1, "2"), list[int], [1, 2]),
        (["1", 2], tuple[int, ...], (1, 2)),
        (["1", 2], tuple[int, str | int], (1, 2)),
        ([1, 1], set[int], {1}),
        (["a"], Sequence[str], ["a"]),
        ({"a": "1"}, dict[str, int], {"a": 1}),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ({"name": "north", "width": "2"}, Gate, Gate("north", 2.0)),
        ({"city": "Rome", "zip": "7"}, Place, {"city": "Rome", "zip": 7}),
        ({"reading": "4"}, Meter, Meter(4)),
        ({"level": "3", "gates": ["a"]}, Sluice, Sluice(level=3, gates=["a"])),
        ([{"name": "a"}], list[Gate], [Gate("a")]),
        ([Colour.RED, "blue"], list[Colour], [Colour.RED, Colour.BLUE]),
        ("5", Annotated[int, "a note"], 5),
        ("5", Annotated[int, pydantic.Field(gt=4)], 5),
    ],
)
def test_converts(value: Any, kind: Any, expected: Any) -> None:
    result = converted(value, kind)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "where"),
    [
        ("x", int, "x"),
        (1.5, int, "x"),
        (5, str, "x"),
        ("abc", list[str], "x"),
        ({"a": 1}, list[int], "x"),
        ("green", Colour, "x"),
        ("medium", Literal["fast", "slow"], "x"),
        ([1, "x"], list[int], "x[1]"),
        ([1], tuple[int, int], "x"),
        ({"a": "x"}, dict[str, int], "x['a']"),
        ({"width": 1}, Gate, "x.name"),
        ({"name": "n", "depth": 1}, Gate, "x.depth"),
        ({"zip": 1}, Place, "x.city"),
        ({"level": -1}, Sluice, "x.level"),
        ("4", Annotated[int, pydantic.Field(gt=4)], "x"),
        (3, Annotated[int, msgspec.Meta(gt=4)], "x"),
        (None, int, "x"),
        (object(), Gate, "x"),
    ],
)
def test_refuses(value: Any, kind: Any, where: str) -> None:
    assert [place for place, _ in mistakes_of(value, kind)] == [where]


def test_every_mistake_is_told_at_once_with_its_path() -> None:
    @flow
    def survey(gates: list[Gate], day: datetime.date, limit: int = 3) -> None: ...

    with pytest.raises(ParameterTypeError) as caught:
        survey([{"name": 1}, {"width": "wide"}], "yesterday", limit="many")  # type: ignore[list-item,arg-type]
    assert [where for where, _ in caught.value.mistakes] == [
        "gates[0].name",
        "gates[1].name",
        "gates[1].width",
        "day",
        "limit",
    ]
    assert "5 mistakes in the parameters of flow 'survey'" in str(caught.value)


def test_binding_mistakes_are_told_at_once() -> None:
    @flow
    def survey(a: int, b: int, *, c: int = 1) -> None: ...

    with pytest.raises(ParameterBindError) as caught:
        survey(1, a=2, d=4)  # type: ignore[call-arg,misc]
    assert dict(caught.value.mistakes) == {
        "a": "given twice: by position and by name",
        "d": "no such parameter (there are: a, b, c)",
        "b": "missing",
    }


def test_an_unprintable_value_is_still_reported() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert mistakes_of(Unprintable(), int) == [("x", "expected int, got <Unprintable> (Unprintable)")]


def test_values_of_the_right_type_are_passed_as_they_are() -> None:
    gate, meter = Gate("a"), Meter(1)
    assert converted(gate, Gate) is gate
    assert converted(meter, Meter) is meter
    marker = object()
    assert converted(marker, Any) is marker
    assert converted(marker, object) is marker


def test_all_kinds_of_parameters_arrive_as_they_were_given() -> None:
    seen: list[Any] = []

    @flow
    def packing(first: int, /, second: int = 2, *rest: int, key: int = 4, **others: int) -> None:
        seen.append((first, second, rest, key, others))

    packing("1", 2, "3", key="5", more="6")  # type: ignore[arg-type]
    assert seen == [(1, 2, (3,), 5, {"more": 6})]


def test_unresolvable_annotations_are_not_checked() -> None:
    @flow
    def odd(value: NoSuchType) -> Any:  # type: ignore[name-defined]  # noqa: F821
        return value

    assert odd("anything") == "anything"


def test_validation_can_be_left_out() -> None:
    @flow(validate_parameters=False)
    def free(value: int) -> Any:
        return value

    assert free("x") == "x"  # type: ignore[arg-type]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_value_either_converts_or_is_a_mistake(value: Any) -> None:
    for kind in (int, str, list[int], dict[str, int], Gate, Place, Sluice, int | None, Colour, tuple[int, str]):
        mistakes: list[tuple[str, str]] = []
        result = convert(value, kind, "x", mistakes)
        if not mistakes:
            again: list[tuple[str, str]] = []
            assert convert(result, kind, "x", again) == result
            assert not again


def test_arguments_and_parameters_are_two_ways_of_saying_the_same() -> None:
    @flow
    def all_kinds(a: int, b: int = 2, *rest: int, c: int, **more: int) -> None: ...

    parameters = all_kinds.parameters((1, 2, 3), {"c": 4, "d": 5})
    assert parameters == {"a": 1, "b": 2, "rest": (3,), "c": 4, "more": {"d": 5}}
    assert call_arguments(all_kinds.signature, parameters) == ((1, 2, 3), {"c": 4, "d": 5})


def test_the_error_is_a_value_error_and_survives_a_pickle() -> None:
    import pickle

    error = ParameterTypeError("flow 'f'", [("a", "missing")])
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(error, ValueError)
    assert isinstance(copy, ParameterError)
    assert (str(copy), copy.mistakes) == (str(error), error.mistakes)
