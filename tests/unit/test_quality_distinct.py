"""Which keys come more than once, in memory and beyond it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.quality.running.distinct import Distinct

SIGNED = st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20)
UNSIGNED = st.integers(0, 2**64 - 1) | st.integers(0, 20)
RUNS = st.builds(lambda low, length: list(range(low, low + length)), st.integers(-30, 30), st.integers(0, 10))


def taken(pieces: list[list[int | None]], kind: Any, budget: int, part: int) -> Distinct:
    made = Distinct(budget, part)
    for piece in pieces:
        answer = made(pl.Series(piece, dtype=kind))
        assert answer.to_list() == [key is not None for key in piece]
    return made


def check(pieces: list[list[int | None]], kind: Any, budget: int, part: int) -> None:
    keys = [key for piece in pieces for key in piece if key is not None]
    several = {key: times for key, times in Counter(keys).items() if times > 1}
    made = taken(pieces, kind, budget, part)
    found = made.repeated()
    made.close()
    assert made.seen == len(keys)
    assert (found.keys, found.rows) == (len(several), sum(several.values()))
    assert found.distinct == len(set(keys))
    assert found.some.tolist() == sorted(several)


@given(
    pieces=st.lists(st.lists(st.none() | SIGNED, max_size=8) | RUNS, max_size=8),
    budget=st.sampled_from([0, 64, 1 << 20]),
    part=st.sampled_from([1, 3, 1000]),
)
def test_as_a_counter_says(pieces: list[list[int | None]], budget: int, part: int) -> None:
    check(pieces, pl.Int64, budget, part)


@given(pieces=st.lists(st.lists(st.none() | UNSIGNED, max_size=8), max_size=8), part=st.sampled_from([1, 3, 1000]))
def test_hashes_are_unsigned(pieces: list[list[int | None]], part: int) -> None:
    check(pieces, pl.UInt64, 64, part)


def test_numbers_without_gaps_take_no_room() -> None:
    made = taken([list(range(start, start + 1000)) for start in range(0, 100_000, 1000)], pl.Int64, 0, 10)
    assert made._kept == 0
    assert made._file is None
    assert made.repeated().rows == 0


def test_pieces_may_come_from_many_threads() -> None:
    made = Distinct(budget=4096, part=1000)
    pieces = [pl.Series([(place * 7919 + step * 31) % 5003 for step in range(500)]) for place in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(made, pieces))
    times = Counter(key for piece in pieces for key in piece.to_list())
    found = made.repeated()
    made.close()
    assert made.seen == 20_000
    assert found.rows == sum(number for number in times.values() if number > 1)
    assert found.distinct == len(times)


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64])
def test_the_ends_of_the_range(kind: Any) -> None:
    low, high = (0, 2**64 - 1) if kind == pl.UInt64 else (-(2**63), 2**63 - 1)
    check([[low, high], [high, low + 1], [low]], kind, 1 << 20, 1)
