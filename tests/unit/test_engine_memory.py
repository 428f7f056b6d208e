"""A flow of many steps keeps nothing per step in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on

from penstock import flow, task
from penstock.app import Penstock
from penstock.core.events import Record
from penstock.core.model import LogLine
from penstock.journal.memory import MemoryJournal
from penstock.task_runners import ThreadPoolTaskRunner

BYTES_PER_STEP = 50
"""A key alone would take more."""


class ForgetfulJournal(MemoryJournal):
    """Keeps the beginning of each run only, so that what grows is the engine's."""

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        if expected_seq == 0:
            super().append(run_id, 0, records)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with engine_on(tmp_path, ForgetfulJournal()).activate() as fresh:
        yield fresh


@task
def nothing(number: int) -> int:
    return number


def growth(work: Callable[[int], Any], before: int = 1_000, after: int = 10_000) -> float:
    """Bytes per step that stay allocated between these two steps of one running flow."""
    sizes: list[int] = []

    @flow
    def long() -> None:
        for number in range(before):
            work(number)
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(before, after):
                work(number)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()

    long.with_options(task_runner=ThreadPoolTaskRunner(max_workers=2))()
    return sizes[0] / (after - before)


def test_direct_calls(app: Penstock) -> None:
    assert growth(nothing) < BYTES_PER_STEP


def test_submitted_calls(app: Penstock) -> None:
    assert growth(lambda number: nothing.submit(number).result()) < BYTES_PER_STEP


def test_calls_that_fail(app: Penstock) -> None:
    @task
    def failing(number: int) -> None:
        raise ValueError(number)

    assert growth(lambda number: failing(number, return_state=True), 200, 1_200) < BYTES_PER_STEP


def test_nested_calls(app: Penstock) -> None:
    @task
    def around(number: int) -> int:
        return nothing(number)

    assert growth(around, 500, 3_000) < BYTES_PER_STEP


def test_calls_of_subflows(app: Penstock) -> None:
    """The journal keeps the beginnings of these runs; the engine must keep nothing but that."""

    @flow
    def below(number: int) -> int:
        return number

    kept: list[int] = []

    @flow
    def many() -> None:
        for number in range(50):
            below(number)
        kept.append(len(app.engine.keeper.runs()))

    many()
    assert kept == [1], "only the run that is under way is looked after"
    assert app.engine.keeper.runs() == []
