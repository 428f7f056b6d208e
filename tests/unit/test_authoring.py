"""What @flow and @task accept, and what they refuse with a reason."""

from __future__ import annotations

import inspect
import pickle
from importlib import metadata
from typing import Any

import pytest

import penstock
from penstock import Task, allow_failure, flow, task, unmapped
from penstock.authoring.naming import render_name
from penstock.core.errors import AuthoringError, BadOption, PenstockError, ReservedArgumentError, UnsupportedFunction
from penstock.core.retry import delay_before, exponential_backoff
from penstock.exceptions import MappingLengthMismatch, MappingMissingIterable
from penstock.task_runners import ThreadPoolTaskRunner


def test_its_version_is_that_of_the_package() -> None:
    assert penstock.__version__ == metadata.version("penstock")


def test_the_public_names_are_these() -> None:
    assert sorted(penstock.__all__) == [
        "Approval",
        "Flow",
        "Penstock",
        "PenstockError",
        "State",
        "Task",
        "__version__",
        "allow_failure",
        "answer_run",
        "approve",
        "concurrency",
        "deploy",
        "emit_event",
        "flow",
        "get_run_logger",
        "journal_transaction",
        "pause_flow_run",
        "pause_run",
        "quote",
        "rate_limit",
        "resume",
        "resume_flow_run",
        "runtime",
        "serve",
        "sleep",
        "suspend_flow_run",
        "tags",
        "task",
        "transaction",
        "unmapped",
        "wait_for_input",
    ]
    assert all(hasattr(penstock, name) for name in penstock.__all__)
    assert len(inspect.getsource(penstock).splitlines()) <= 60


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize("decorate", [flow, task])
@pytest.mark.parametrize("fn", [generator, async_generator, int, 5, "text"])
def test_what_cannot_be_a_step_is_refused(decorate: Any, fn: Any) -> None:
    with pytest.raises(UnsupportedFunction):
        decorate(fn)


@pytest.mark.parametrize("decorate", [flow, task])
def test_reserved_parameter_names_are_refused(decorate: Any) -> None:
    def takes(wait_for: int) -> None: ...

    with pytest.raises(ReservedArgumentError, match="wait_for"):
        decorate(takes)


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": "3"},
        {"retries": True},
        {"timeout_seconds": -1},
        {"timeout_seconds": "1"},
        {"retry_delay_seconds": -1},
        {"retry_delay_seconds": ["a"]},
        {"tags": "one"},
        {"tags": [1]},
        {"on_failure": print},
        {"on_completion": ["x"]},
    ],
)
@pytest.mark.parametrize("decorate", [flow, task])
def test_options_out_of_range_are_refused(decorate: Any, options: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        decorate(**options)(lambda: None)


@pytest.mark.parametrize("options", [{"retry_jitter_factor": -1}, {"retry_condition_fn": 3}, {"task_run_name": 3}])
def test_options_of_tasks_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        task(**options)(lambda: None)


def test_options_that_are_not_there_yet_are_refused_by_name() -> None:
    with pytest.raises(AuthoringError, match="result_storage"):
        task(result_storage="somewhere")(lambda: None)
    with pytest.raises(TypeError, match="retires"):
        task(retires=3)(lambda: None)
    with pytest.raises(AuthoringError, match="not there yet"):
        flow(lambda: None).visualize()


def test_with_options_changes_only_what_is_given() -> None:
    def hook(*_: Any) -> None: ...

    original = task(name="a", retries=2, tags=["x"], timeout_seconds=3, on_failure=[hook])(lambda: 1)
    changed = original.with_options(name="b", retries=0)
    assert (changed.name, changed.retries, changed.timeout_seconds, changed.tags) == ("b", 0, 3.0, {"x"})
    assert changed.on_failure_hooks == [hook]
    assert (original.name, original.retries) == ("a", 2)
    flow_original = flow(name="f", retries=1)(lambda: 1)
    assert flow_original.with_options(retries=4).name == "f"


def a_hook(*_: Any) -> None: ...


SHARED: dict[str, Any] = {
    "name": "named",
    "description": "told",
    "tags": ["x"],
    "version": "3",
    "retries": 2,
    "retry_delay_seconds": [1, 2],
    "timeout_seconds": 3.0,
    "log_prints": True,
    "on_completion": [a_hook],
    "on_failure": [a_hook],
    "on_crashed": [a_hook],
    "on_cancellation": [a_hook],
    "on_running": [a_hook],
    "persist_result": False,
}
OF_FLOWS = {"flow_run_name": "a-{x}", "validate_parameters": False, "task_runner": ThreadPoolTaskRunner(3)}
OF_TASKS = {"task_run_name": "a-{x}", "retry_jitter_factor": 0.5, "retry_condition_fn": a_hook}


@pytest.mark.parametrize(("decorate", "own"), [(flow, OF_FLOWS), (task, OF_TASKS)])
def test_with_options_keeps_every_option(decorate: Any, own: dict[str, Any]) -> None:
    made = decorate(**SHARED, **own)(lambda x: x)
    made.on_failure(print)
    plain = decorate(lambda x: x)
    differing = {name for name, value in vars(made).items() if vars(plain)[name] != value}
    assert len(differing) >= len(SHARED) + len(own), "the options given are not those by default"
    assert vars(made.with_options()) == vars(made)
    assert made.with_options().on_failure_hooks == [a_hook, print]
    assert made.with_options().on_failure_hooks is not made.on_failure_hooks


@pytest.mark.parametrize("decorate", [flow, task])
def test_with_options_keeps_what_a_method_is_bound_to(decorate: Any) -> None:
    class Shop:
        @decorate
        def of_object(self) -> Any:
            return self

        @decorate
        @classmethod
        def of_class(cls) -> Any:
            return cls

        @decorate
        @staticmethod
        def of_nobody(value: int) -> Any:
            return value

        renamed = of_object.with_options(name="a")
        renamed_of_class = of_class.with_options(name="b")
        renamed_of_nobody = of_nobody.with_options(name="c")

    shop = Shop()
    for called in (shop.of_object, shop.renamed, shop.of_object.with_options(name="d")):
        assert called() is shop
    for called in (Shop.of_class, shop.of_class, Shop.renamed_of_class, shop.of_class.with_options(name="e")):
        assert called() is Shop
    for called in (Shop.of_nobody, shop.of_nobody, shop.renamed_of_nobody, shop.of_nobody.with_options(name="f")):
        assert called(5) == 5


def test_a_kind_of_task_with_options_of_its_own() -> None:
    """Whatever is a keyword of `__init__` and an attribute is an option."""

    class Owned(Task[Any, Any]):
        def __init__(self, fn: Any, *, team: str = "", **options: Any) -> None:
            super().__init__(fn, **options)
            self.team = team

    made = Owned(lambda: 1, team="data", retries=2)
    changed = made.with_options(name="b")
    assert (type(changed), changed.team, changed.retries, changed.name) == (Owned, "data", 2, "b")
    assert made.with_options(team="web").team == "web"


def test_functions_keep_their_name_and_documentation() -> None:
    @task
    def measure() -> int:
        """Read the meter."""
        return 3

    assert (measure.__name__, measure.__doc__, measure.description, measure.fn()) == (
        "measure",
        "Read the meter.",
        "Read the meter.",
        3,
    )


def test_name_templates() -> None:
    assert render_name("load-{day}", {"day": 3}, "task 't'") == "load-3"
    assert render_name(lambda: "made", {}, "task 't'") == "made"
    assert render_name(lambda parameters: f"n{parameters['n']}", {"n": 1}, "task 't'") == "n1"
    for wrong in ("{missing}", "{n.x}", "{", "{}"):
        with pytest.raises(AuthoringError, match="there are: n"):
            render_name(wrong, {"n": 1}, "task 't'")
    with pytest.raises(BadOption, match="not text"):
        render_name(lambda: 3, {}, "task 't'")  # type: ignore[arg-type,return-value]


def test_delays_between_attempts() -> None:
    assert exponential_backoff(3)(4) == [3, 6, 12, 24]
    assert [delay_before(n, [1, 5], None) for n in (1, 2, 3)] == [1, 5, 5]
    assert delay_before(1, 2.5, None) == 2.5
    assert delay_before(1, [], None) == 0
    jittered = [delay_before(1, 10, 0.3) for _ in range(500)]
    assert all(7 <= delay <= 13 for delay in jittered)
    assert len(set(jittered)) > 10


def calls(mapped: Any) -> Any:
    return mapped.result()


def test_mapping_decides_what_is_spread() -> None:
    @task
    def pair(a: Any, b: Any = "b") -> Any:
        return (a, b)

    @flow
    def spreads() -> dict[str, Any]:
        return {
            "list": calls(pair.map([1, 2])),
            "zip": calls(pair.map([1, 2], ["x", "y"])),
            "whole": calls(pair.map([1, 2], unmapped([8, 9]))),
            "text": calls(pair.map([1], "text")),
            "keys": calls(pair.map({"k": 1})),
            "generator": calls(pair.map(n for n in range(2))),
            "empty": calls(pair.map([])),
            "future": calls(pair.map(pair.submit(1, 2))),
        }

    assert spreads() == {
        "list": [(1, "b"), (2, "b")],
        "zip": [(1, "x"), (2, "y")],
        "whole": [(1, [8, 9]), (2, [8, 9])],
        "text": [(1, "text")],
        "keys": [("k", "b")],
        "generator": [(0, "b"), (1, "b")],
        "empty": [],
        "future": [(1, "b"), (2, "b")],
    }


def test_mapping_refuses_what_it_cannot_spread() -> None:
    @task
    def pair(a: Any, b: Any = "b") -> Any:
        return (a, b)

    @flow
    def over(*args: Any) -> None:
        pair.map(*args)

    for args in ((), ("text",), (5,), (unmapped([1]),)):
        with pytest.raises((MappingMissingIterable, TypeError)):
            over(*args)
    with pytest.raises(MappingLengthMismatch, match=r"2.*3"):
        over([1, 2], [1, 2, 3])


def test_allow_failure_gives_the_exception() -> None:
    @task
    def breaks() -> None:
        raise LookupError("lost")

    @task
    def reads(value: Any) -> str:
        return repr(value)

    @flow
    def forgiving() -> str:
        return reads(allow_failure(breaks.submit()))

    assert forgiving() == "LookupError('lost')"


def test_every_error_says_what_went_wrong_and_has_a_code_of_its_own() -> None:
    from penstock.core import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PenstockError)]
    assert len(kinds) > 30
    tree = errors.__doc__ or ""
    for kind in kinds:
        assert kind.__name__ in tree, f"{kind.__name__} is missing in the tree at the top of core/errors"
        assert kind.__module__ == "penstock.core.errors", "what is stored of an error names the door"
        assert kind.__doc__
        assert kind.code


def test_errors_that_list_every_mistake_have_one_shape() -> None:
    from penstock.core import errors

    found = errors.BadSchedule([("cron", "no\nfields"), ("timezone", "no zone")])
    assert isinstance(found, errors.Mistaken)
    assert isinstance(found, ValueError)
    assert str(found) == "2 mistakes in the schedule:\n  cron: no\n    fields\n  timezone: no zone"
    kept = pickle.dumps(found)
    assert b"errors.base" not in kept, "what is stored names the door, and so did earlier releases"
    again = pickle.loads(kept)
    assert (type(again), again.mistakes, str(again)) == (errors.BadSchedule, found.mistakes, str(found))
    assert str(errors.BadWorkflow("", [("name", "missing")])) == "1 mistake in the workflow:\n  name: missing"
