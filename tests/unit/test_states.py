"""States as users make and read them."""

from __future__ import annotations

import asyncio

import pytest

from penstock import flow, task
from penstock.exceptions import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun
from penstock.states import Cancelled, Completed, Crashed, Failed, Pending, Retrying, Running, Scheduled, StateType


def test_results_of_states() -> None:
    assert Completed(data=3).result() == 3
    with pytest.raises(MissingResult):
        Completed().result()
    for make, error in ((Failed, FailedRun), (Crashed, CrashedRun), (Cancelled, CancelledRun)):
        with pytest.raises(error, match="because"):
            make(message="because").result()
        assert isinstance(make(message="because").result(raise_on_failure=False), error)
    with pytest.raises(ValueError, match="mine"):
        Failed(data=ValueError("mine")).result()
    for make in (Pending, Running, Scheduled, Retrying):
        with pytest.raises(UnfinishedRun):
            make().result()


def test_exactly_the_four_ends_are_final() -> None:
    final = {kind for kind in StateType if kind.word in ("Completed", "Failed", "Crashed", "Cancelled")}
    assert len(StateType) == 9
    for make in (Completed, Failed, Crashed, Cancelled, Pending, Running, Scheduled, Retrying):
        assert make().is_final() == (make().type in final)


def test_names_and_texts() -> None:
    late = Failed(name="Late", message="because")
    assert (str(late), repr(late)) == ("Late('because', type=FAILED)", "Late(message='because', type=FAILED)")
    assert repr(Completed(message="well", data=1)) == "Completed(message='well', type=COMPLETED, result=1)"


def test_a_state_in_async_code_gives_its_value_with_and_without_await() -> None:
    @task
    async def fetch(number: int) -> float:
        return 10 / number

    @flow
    async def reads() -> list[float]:
        state = await fetch(2, return_state=True)
        return [state.result(), await state.aresult()]

    assert asyncio.run(reads()) == [5.0, 5.0]
