"""Exceptions that cannot be printed, pickled or read back: each is recorded, and raised as it is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
from tests.chaos.invariants import newest_sound

from penstock import flow, task
from penstock.app import Penstock
from penstock.task_runners import ProcessPoolTaskRunner

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("silent")]


@task
def boom(name: str) -> None:
    raise ERRORS[name]()


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NoTextInTime(TimeoutError):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class OwnSignature(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class ReadsBackAsSomethingElse(Exception):
    def __reduce__(self) -> Any:
        return int, (3,)


class ExitsWhenPickled(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit(3)


def _caused() -> Exception:
    error = ValueError("effect")
    error.__cause__ = KeyError("cause")
    error.__cause__.__cause__ = error
    return error


ERRORS: dict[str, Any] = {
    "no text": NoText,
    "no text in time": NoTextInTime,
    "own signature": lambda: OwnSignature(4, reason="why not"),
    "holds a lock": HoldsALock,
    "reads back as something else": ReadsBackAsSomethingElse,
    "exits when pickled": ExitsWhenPickled,
    "caused by itself": _caused,
    "group": lambda: ExceptionGroup("many", [ValueError(number) for number in range(100)]),
    "long": lambda: ValueError("x" * 5_000_000),
    "surrogate": lambda: ValueError("\ud800"),
    "nul": lambda: ValueError("a\0b"),
    "stop iteration": lambda: StopIteration(3),
    "stop async iteration": StopAsyncIteration,
    "recursion": RecursionError,
    "memory": MemoryError,
    "generator exit": GeneratorExit,
    "base": lambda: BaseException("of no kind"),
    "cancelled": asyncio.CancelledError,
}


def is_recorded_and_raised(app: Penstock, name: str, how: str) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1) if how == "in a process" else None)
    def raising() -> None:
        if how == "called":
            boom(name)
        elif how == "in the flow":
            raise ERRORS[name]()
        else:
            boom.submit(name).result()

    kind = type(ERRORS[name]())
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - that is the point
        raising()
    if how != "in a process":
        assert type(caught.value) is kind
    run = newest_sound(app.journal)
    assert run.state == ("Failed" if issubclass(kind, Exception) else "Crashed"), run
    assert len(str(run.message)) < 100_000


@pytest.mark.parametrize("name", ERRORS)
def test_any_exception_is_recorded_and_raised(app: Penstock, name: str) -> None:
    is_recorded_and_raised(app, name, "called")


@pytest.mark.parametrize("how", ["submitted", "in the flow", "in a process"])
@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_it_does_not_matter_where_it_is_raised(app: Penstock, name: str, how: str) -> None:
    is_recorded_and_raised(app, name, how)


def test_pickles_are_what_they_seem() -> None:
    """The exceptions above are as hostile as they are meant to be, where nobody has imported Dask."""
    code = """
import pickle
from tests.chaos.test_hostile_errors import HoldsALock, OwnSignature
for hostile in (lambda: pickle.loads(pickle.dumps(OwnSignature(1, reason="x"))), lambda: pickle.dumps(HoldsALock())):
    try:
        hostile()
    except TypeError:
        print("hostile")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["hostile", "hostile"]
