"""A PostgreSQL journal that is used when the stack is nearly full: no connection is forgotten."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from penstock.core.model import RunFilter
from penstock.journal.postgres import PostgresJournal

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(postgres_url: str) -> Iterator[PostgresJournal]:
    with closing(PostgresJournal(postgres_url)) as made:
        yield made


def dive(left: int, act: Callable[[], object]) -> None:
    """Act with so many calls left before the stack is full, more or less."""
    frames = 0
    frame = sys._getframe()
    while frame is not None:
        frames += 1
        frame = frame.f_back  # type: ignore[assignment]
    _dive(sys.getrecursionlimit() - frames - left, act)


def _dive(levels: int, act: Callable[[], object]) -> None:
    if levels > 0:
        _dive(levels - 1, act)
    else:
        act()


def test_whatever_is_left_of_the_stack_no_connection_is_forgotten(journal: PostgresJournal) -> None:
    refused = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for left in range(5, 200):
            try:
                dive(left, lambda: journal.runs(RunFilter()))
            except RecursionError:
                refused += 1
        gc.collect()
    assert 10 < refused < 195, "it must have been tried both with too little and with enough"
    assert [str(one.message) for one in caught if one.category is ResourceWarning] == []
    assert journal.runs(RunFilter()) == []
