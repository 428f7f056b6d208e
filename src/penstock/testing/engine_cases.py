"""What every engine must make of the flows in `engine_flows`; see `penstock.testing.engines`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

_PLACE = "penstock.testing.engine_flows"
Steps = dict[str, tuple[str, int]]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A flow or workflow, and what comes of it.

    Attributes:
        name: of the case; of the flow, too, unless it is a workflow.
        workflow: the tasks of a workflow, as data; None for a flow.
        parameters: besides the folder for notes.
        needs: of `Abilities`, what an engine must be able to do.
        state: how the run ends.
        result: what it gives.
        error: a part of what is said of a run that failed.
        steps: for each step its end, and in which attempt that was.
        notes: which lines are noted, and how often. Nothing else is noted.
        before: of two notes, which comes first.
        lines: log lines of the run, with the step that said each; there may be others.
        artifacts: kind, key and step of each.
    """

    name: str
    workflow: tuple[dict[str, Any], ...] | None = None
    parameters: dict[str, Any] = {}
    needs: frozenset[str] = frozenset()
    state: str = "Completed"
    result: Any = None
    error: str | None = None
    steps: Steps = {}
    notes: dict[str, int] = {}
    before: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str | None], ...] = ()
    artifacts: tuple[tuple[str, str | None, str | None], ...] = ()

    @property
    def entrypoint(self) -> str:
        """Where the flow is, as `module:name`."""
        return f"{_PLACE}:{self.name}"


def _done(*keys: str) -> Steps:
    return dict.fromkeys(keys, ("Completed", 1))


def _case(name: str, *needs: str, **facts: Any) -> Case:
    return Case(name=name, needs=frozenset({"parameters", *needs}), **facts)


def _calls(name: str, function: str, **options: Any) -> dict[str, Any]:
    params = {"folder": {"$parameter": "folder"}, **options.pop("params", {})}
    return {"name": name, "python_callable": f"{_PLACE}:{function}", "params": params, **options}


_LARGE = 200_000
_SEQUENCE = ("one", "add 1 10", "add 11 100")
FLOWS = (
    _case(
        "sequence",
        "results",
        result=111,
        steps=_done("one#1", "add#1", "add#2"),
        notes=dict.fromkeys(_SEQUENCE, 1),
        before=tuple(pairwise(_SEQUENCE)),
    ),
    _case(
        "arguments",
        "concurrency",
        "results",
        result=23,
        steps=_done("one#1", "add#1", "add#2", "total#1"),
        notes={"one": 1, "add 1 10": 1, "add 5 6": 1, "total 3": 1},
        before=(("one", "add 1 10"), ("add 1 10", "add 5 6"), ("add 5 6", "total 3")),
    ),
    _case(
        "mapped",
        "mapping",
        "concurrency",
        "results",
        result=50,
        steps=_done(*(f"add#{number}" for number in range(1, 9)), "total#1"),
        notes={
            **{f"add {n} 10": 1 for n in range(4)},
            **{f"add {n} 1": 1 for n in range(10, 14)},
            "total 4": 1,
        },
        before=tuple((f"add {n} 10", f"add {n + 10} 1") for n in range(4)),
    ),
    _case(
        "tried_again",
        "retries",
        result="at last",
        steps={"third_time#1": ("Completed", 3)},
        notes={"third_time": 3},
    ),
    _case(
        "fails",
        "retries",
        "concurrency",
        state="Failed",
        error="never#1",
        steps={"never#1": ("Failed", 2), "add#1": ("Failed", 1), **_done("one#1")},
        notes={"never": 2, "one": 1},
    ),
    _case(
        "forgives",
        "dynamic",
        result="ValueError: nothing comes of it",
        steps={"broken#1": ("Failed", 1), **_done("describe#1")},
        notes={"broken": 1, "describe": 1},
        before=(("broken", "describe"),),
    ),
    _case(
        "catches",
        "dynamic",
        result="1 nothing comes of it",
        steps={"broken#1": ("Failed", 1), **_done("one#1")},
        notes={"broken": 1, "one": 1},
    ),
    _case(
        "gives_up",
        "retries",
        "retry_conditions",
        state="Failed",
        error="it will not get better",
        steps={"hopeless#1": ("Failed", 1)},
        notes={"hopeless": 1},
    ),
    _case(
        "too_slow",
        "timeouts",
        state="Failed",
        error="timeout",
        steps={"slow#1": ("Failed", 1)},
        notes={"slow": 1},
    ),
    _case(
        "branches",
        "dynamic",
        result=2,
        steps=_done("one#1", "add#1"),
        notes={"one": 1, "add 1 1": 1},
    ),
    _case(
        "above",
        "subflows",
        result=3,
        steps=_done("below#1", "below#2"),
        notes={"add 1 1": 1, "add 2 1": 1},
        before=(("add 1 1", "add 2 1"),),
    ),
    _case(
        "asynchronous",
        "asynchronous",
        "concurrency",
        result=13,
        steps=_done("add_async#1", "add_async#2"),
        notes={"add_async": 2},
    ),
    _case(
        "by_reference",
        "results",
        result=2 * _LARGE,
        steps=_done("much#1", "size#1", "size#2"),
        notes={"much": 1, "size": 2},
        before=(("much", "size"),),
    ),
    _case(
        "shown",
        "artifacts",
        steps=_done("shows#1"),
        notes={"shows": 1},
        artifacts=(("markdown", "page", None), ("table", "rows", "shows#1")),
    ),
    _case(
        "logged",
        "logs",
        steps=_done("says#1", "prints#1"),
        notes={"says": 1, "prints": 1},
        lines=(
            ("said in the flow", None),
            ("said in a task", "says#1"),
            ("warned in a task", "says#1"),
            ("printed in a task", "prints#1"),
        ),
    ),
    _case(
        "given",
        parameters={"day": "2026-02-28", "names": ["a", "b"]},
        result=[8, "2026-02-28", ["a", "b"]],
        steps=_done("add#1"),
        notes={"add 7 1": 1},
    ),
    _case(
        "cached",
        "caching",
        "dynamic",
        result=84,
        steps=_done("kept#1", "kept#2"),
        notes={"kept 21": 1},
    ),
    _case(
        "hooked",
        "hooks",
        steps=_done("tells#1"),
        notes={"tells": 1, "hook": 1},
        before=(("tells", "hook"),),
    ),
    _case(
        "aware",
        "retries",
        result={"name": "knows", "attempt": 2},
        steps={"knows#1": ("Completed", 2)},
        notes={"knows": 2},
    ),
    _case(
        "decided",
        "dynamic",
        result="Failed: it said so itself",
        steps={"decides#1": ("Failed", 1)},
        notes={"decides": 1},
    ),
    _case(
        "rolled_back",
        "transactions",
        state="Failed",
        error="nothing comes of it",
        steps={"written#1": ("Completed", 1), "broken#1": ("Failed", 1)},
        notes={"written": 1, "broken": 1, "unwritten": 1},
        before=(("broken", "unwritten"),),
    ),
)
WORKFLOWS = (
    _case(
        "a_chain",
        "workflows",
        "results",
        parameters={"rows": 3},
        workflow=(
            _calls("extract", "extract", params={"rows": {"$parameter": "rows"}}),
            _calls("twice", "multiply", params={"value": {"$result": "extract.total"}}),
            _calls("last", "multiply", params={"value": {"$result": "extract.rows[2].id"}, "by": 5}),
            _calls("after", "multiply", params={"value": 1, "by": 1}, dependencies=("twice", "last")),
        ),
        steps=_done("extract#1", "twice#1", "last#1", "after#1"),
        notes={"extract": 1, "multiply 3 2": 1, "multiply 2 5": 1, "multiply 1 1": 1},
        before=(
            ("extract", "multiply 3 2"),
            ("extract", "multiply 2 5"),
            ("multiply 3 2", "multiply 1 1"),
            ("multiply 2 5", "multiply 1 1"),
        ),
    ),
    _case(
        "a_failure",
        "workflows",
        "retries",
        workflow=(
            _calls("steady", "unsteady", params={"times": 1}, retry_count=1),
            _calls("never", "multiply", params={"value": {"$literal": None}}),
            _calls("nor_this", "multiply", params={"value": {"$result": "never"}}),
        ),
        state="Failed",
        error="never",
        steps={"steady#1": ("Completed", 2), "never#1": ("Failed", 1), "nor_this#1": ("Failed", 1)},
        notes={"unsteady": 2, "multiply None 2": 1},
    ),
)
CASES = (*FLOWS, *WORKFLOWS)
"""All of them, the flows first."""
