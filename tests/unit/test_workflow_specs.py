"""Workflows as data: every mistake with its place, and texts that come back as they were."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadWorkflow
from penstock.core.workflow_texts import LARGEST, Format, of_text, to_text
from penstock.core.workflows import WorkflowSpec, as_data, filled, of_data, read, task_and_path


def task(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "python_callable": "shop.tasks:work", **more}


def workflow(*tasks: Any, **more: Any) -> dict[str, Any]:
    return {"name": "nightly", "tasks": list(tasks) or [task()], **more}


def mistakes(data: Any) -> dict[str, str]:
    with pytest.raises(BadWorkflow) as caught:
        read(data)
    return dict(caught.value.mistakes)


ONE_MISTAKE: dict[str, tuple[Any, str, str]] = {
    "nothing": (None, "workflow", "it must be an object, and is null"),
    "a list": ([], "workflow", "it must be an object, and is a list"),
    "no tasks": ({"name": "a", "tasks": []}, "tasks", "there is no task in it"),
    "tasks of another kind": ({"name": "a", "tasks": "x"}, "tasks", "it must be a list, and is a text"),
    "a digit first": (workflow(name="1a"), "name", "it must begin with a letter"),
    "a hyphen": (workflow(name="a-b"), "name", "('-' is none of them)"),
    "another alphabet": (workflow(name="ünter"), "name", "('ü' is none of them)"),
    "a line break at the end": (workflow(name="a\n"), "name", "cannot be a name"),
    "an empty name": (workflow(name=""), "name", "'' cannot be a name"),
    "a long name": (workflow(name="a" * 101), "name", "at most 100 characters"),
    "no name": ({"tasks": [task()]}, "name", "it is missing"),
    "a number for a name": (workflow(name=5), "name", "it must be a text, and is a int"),
    "an unknown field": (workflow(taks=[]), "taks", "did you mean tasks?"),
    "an unknown field of a task": (workflow(task(retries=1)), "tasks[0].retries", "there is no such field"),
    "six fields": (workflow(schedule="0 0 * * * *"), "schedule", "has 6 fields; it takes 5"),
    "a minute too many": (workflow(schedule="60 * * * *"), "schedule", "60 is not between 0 and 59\n60 * * * *\n^^"),
    "no preset": (workflow(schedule="@dayly"), "schedule", "did you mean @daily?"),
    "once": (workflow(schedule="@once"), "schedule", "@once is no schedule of a workflow"),
    "an empty schedule": (workflow(schedule=""), "schedule", "has 0 fields"),
    "no time zone": (workflow(timezone="Mars/Base"), "timezone", "there is no time zone 'Mars/Base'"),
    "a tag of two lines": (workflow(tags=["a\nb"]), "tags[0]", "a text of one line"),
    "a tag twice": (workflow(tags=["a", "a"]), "tags[1]", "'a' is there twice"),
    "a text that cannot be stored": (workflow(description="a\0"), "description", "cannot be stored"),
    "half a character": (workflow(description="\ud800"), "description", "cannot be stored"),
    "no module": (workflow(task(python_callable="work")), "tasks[0].python_callable", "must be module:function"),
    "a path": (workflow(task(python_callable="a:b.c")), "tasks[0].python_callable", "must be module:function"),
    "a file": (workflow(task(python_callable="../x.py:f")), "tasks[0].python_callable", "must be module:function"),
    "no such dependency": (workflow(task(), task("b", dependencies=["c"])), "tasks[1].dependencies[0]", "no task 'c'"),
    "a dependency twice": (workflow(task(), task("b", dependencies=["a", "a"])), "tasks[1].dependencies[1]", "twice"),
    "itself": (workflow(task(dependencies=["a"])), "tasks[0].dependencies", "a -> a"),
    "two of a name": (workflow(task(), task()), "tasks[1].name", "the name of tasks[0] already"),
    "retries below 0": (workflow(task(retry_count=-1)), "tasks[0].retry_count", "between 0 and 1,000"),
    "half a retry": (workflow(task(retry_count=1.5)), "tasks[0].retry_count", "a whole number, and is a float"),
    "retries yes": (workflow(task(retry_count=True)), "tasks[0].retry_count", "a whole number"),
    "no delay": (workflow(task(retry_delay=float("nan"))), "tasks[0].retry_delay", "must be seconds"),
    "no time": (workflow(task(timeout=0)), "tasks[0].timeout", "must be seconds above 0"),
    "endless": (workflow(task(timeout=float("inf"))), "tasks[0].timeout", "must be seconds above 0"),
    "another engine": (workflow(task(engine="dask")), "tasks[0].engine", "give the workflow the engine 'dask'"),
    "no engine": ({**workflow(task()), "engine": "Air flow"}, "engine", "'Air flow' is no name of an engine"),
    "no argument": (workflow(task(params={"a b": 1})), "tasks[0].params", "cannot be the name of an argument"),
    "no number": (workflow(task(params={"a": float("nan")})), "tasks[0].params.a", "no number of JSON"),
    "a large number": (workflow(task(params={"a": [2**63]})), "tasks[0].params.a[0]", "too large"),
    "a set": (workflow(task(params={"a": {1}})), "tasks[0].params.a", "a set is no JSON"),
    "no such task": (workflow(task(params={"a": {"$result": "b"}})), "tasks[0].params.a", "there is no task 'b'"),
    "no reference": (workflow(task(params={"a": {"$result": "b["}})), "tasks[0].params.a", "no reference"),
    "a number to refer to": (workflow(task(params={"a": {"$result": 5}})), "tasks[0].params.a", "must be a text"),
    "no such parameter": (workflow(task(params={"a": {"$parameter": "d"}})), "tasks[0].params.a", "no parameter 'd'"),
    "an unknown mark": (workflow(task(params={"a": {"$code": "1"}})), "tasks[0].params.a", "'$code' must be alone"),
    "a mark with more": (
        workflow(task(), task("b", params={"a": {"$result": "a", "b": 1}})),
        "tasks[1].params.a",
        "'$result' must be alone",
    ),
    "a name of a parameter": (workflow(parameters={"a b": 1}), "parameters.a b", "cannot be a name"),
    "too many tasks": (workflow(*[task()] * 1001), "tasks", "there are 1,001 tasks"),
}


@pytest.mark.parametrize("case", ONE_MISTAKE)
def test_a_mistake_is_told_with_its_place(case: str) -> None:
    data, place, told = ONE_MISTAKE[case]
    found = mistakes(data)
    assert list(found) == [place]
    assert told in found[place]


def test_every_mistake_at_once() -> None:
    first = task("1a", dependencies=["x"], retry_count="many", params={"v": {"$result": "y.z"}})
    found = mistakes({"schedule": "* *", "timezone": "X", "tasks": [first, 7, task("b", timeout=-1)], "tags": [1]})
    assert set(found) == {
        "name", "schedule", "timezone", "tags", "tasks[0].name", "tasks[0].retry_count", "tasks[0].dependencies[0]",
        "tasks[0].params.v", "tasks[1]", "tasks[2].timeout",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edges", "told"),
    [
        ({"a": ["b"], "b": ["a"]}, "a -> b -> a"),
        ({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]}, "b -> d -> c -> b"),
    ],
)
def test_a_cycle_is_named(edges: dict[str, list[str]], told: str) -> None:
    found = mistakes(workflow(*(task(name, dependencies=needs) for name, needs in edges.items())))
    assert [what for what in found.values() if told in what]


def test_a_cycle_by_what_tasks_take_from_each_other() -> None:
    one, two = task("a", params={"x": {"$result": "b"}}), task("b", dependencies=["a"])
    assert "a -> b -> a" in mistakes(workflow(one, two))["tasks[0].dependencies"]


def test_two_cycles_are_both_told() -> None:
    needs = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}
    found = mistakes(workflow(*(task(name, dependencies=each) for name, each in needs.items())))
    assert {"a -> b -> a" in what or "c -> d -> c" in what for what in found.values()} == {True}
    assert len(found) == 2


def test_a_thousand_tasks_in_a_row() -> None:
    row = [task(f"t{n}", dependencies=[f"t{n - 1}"] if n else []) for n in range(1000)]
    random.Random(7).shuffle(row)
    assert [each.name for each in read(workflow(*row)).ordered()] == [f"t{n}" for n in range(1000)]
    row[[each["name"] for each in row].index("t0")]["dependencies"] = ["t999"]
    (told,) = mistakes(workflow(*row)).values()
    assert "..." in told


@given(st.integers(0, 2**32))
def test_tasks_come_after_those_they_need(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"t{n}" for n in range(rng.randint(1, 12))]
    tasks = []
    for number, name in enumerate(names):
        needed = rng.sample(names[:number], rng.randint(0, min(3, number)))
        if needed and rng.random() < 0.5:
            tasks.append(task(name, dependencies=needed[1:], params={"x": [{"$result": f"{needed[0]}.rows[1]"}]}))
        else:
            tasks.append(task(name, dependencies=needed))
    rng.shuffle(tasks)
    found = [each.name for each in read(workflow(*tasks)).ordered()]
    assert sorted(found) == sorted(names)
    for each in read(workflow(*tasks)).tasks:
        assert all(found.index(need) < found.index(each.name) for need in each.needs())


def test_what_a_reference_names() -> None:
    assert task_and_path("a") == ("a", ())
    assert task_and_path('a.b[0]["c d"].e-f["\\"\\\\"]') == ("a", ("b", 0, "c d", "e-f", '"\\'))
    for text in ("", "1", "a.", "a[", "a[-1]", "a[x]", "a..b", "a b", 'a["b]', "a.b()", "a.__class__ "):
        with pytest.raises(ValueError, match="is no reference"):
            task_and_path(text)


def test_attributes_are_nothing_that_a_reference_reaches() -> None:
    for text in ("a.__class__", "a.upper", "a[0]"):
        with pytest.raises(BadWorkflow, match="which is a str"):
            filled({"$result": text}, {"a": "text"}, {})


def test_what_is_filled_in() -> None:
    value = {"x": [{"$result": "a[1].b"}, {"$parameter": "p"}], "y": {"$literal": {"$result": "z"}}, "$": 1}
    found = filled(value, {"a": (0, {"b": 7})}, {"p": None})
    assert found == {"x": [7, None], "y": {"$result": "z"}, "$": 1}


_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(_TEXTS.filter(lambda name: not name.startswith("$")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=30)
@example(
    {"p": " \t\r\x85\u2028\ufeff", "q": "a\n\nb \n", "r": ["", "~", "0o7", "1e3", "2026-01-01", "=", "<<"]},
    "\x85",
    "yaml",
)
@given(st.dictionaries(st.sampled_from("pqr"), _JSON), _TEXTS, st.sampled_from(["yaml", "json"]))
def test_texts_come_back_as_they_were(values: dict[str, Any], description: str, form: Format) -> None:
    spec = read(
        workflow(
            task(params=values, retry_count=2, retry_delay=0.5, timeout=1.5),
            task("b", dependencies=["a"], params={"x": {"$result": "a.b"}, "l": {"$literal": {"$x": values}}}),
            description=description,
            parameters=values,
            schedule="*/5 * * * 1-5",
            timezone="Europe/Paris",
            active=False,
            tags=["ä", "true", "1"],
        )
    )
    text = to_text(spec, form)
    again = of_text(text, form)
    assert again == spec
    assert to_text(again, form) == text
    assert of_data(as_data(spec)) == spec


def test_an_export_says_nothing_that_goes_without_saying() -> None:
    spec = read(workflow(task(params={"n": 1}), task("b", dependencies=["a"], retry_count=1)))
    assert to_text(spec, "yaml") == (
        "name: nightly\ntasks:\n- name: a\n  python_callable: shop.tasks:work\n  params:\n    n: 1\n"
        "- name: b\n  python_callable: shop.tasks:work\n  dependencies:\n  - a\n  retry_count: 1\n"
    )


@pytest.mark.parametrize(
    ("text", "form", "told"),
    [
        ("a: [", "yaml", "it is no YAML"),
        ("a: 1\na: 2", "yaml", "a is there twice"),
        ("a: &x 1\nb: *x", "yaml", "aliases (*name) are not followed here"),
        ("!!python/object/apply:os.system [ls]", "yaml", "could not determine a constructor"),
        ("[" * 100, "yaml", "nested too deeply"),
        ("? [a, b]\n: 1", "yaml", "it is no YAML"),
        ("name: " + "9" * 5000, "yaml", "it is no YAML"),
        ("", "yaml", "it must be an object, and is null"),
        ("- a\n" * (LARGEST["yaml"] // 4 + 1), "yaml", "it is larger than 256 KB"),
        ("{", "json", "it is no JSON"),
        ('{"a": 1, "a": 2}', "json", "a is there twice"),
        ("[" * 100_000, "json", "nested too deeply"),
        (b"\xff", "json", "no UTF-8 text (byte 0)"),
        ("", "json", "it is no JSON"),
    ],
    ids=range(14),
)
def test_texts_that_are_no_workflow(text: str | bytes, form: Format, told: str) -> None:
    with pytest.raises(BadWorkflow) as caught:
        of_text(text, form)
    assert told in caught.value.mistakes[0][1]


@given(_JSON)
def test_whatever_it_is_nothing_but_our_own_error_comes_of_it(value: Any) -> None:
    for data in (value, {"name": value, "tasks": value}, workflow({"name": "a", "params": value, "engine": value})):
        with contextlib.suppress(BadWorkflow):
            assert isinstance(read(data), WorkflowSpec)
