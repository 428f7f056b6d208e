"""Clients of access logs: as numbers and as names, and their visits in whatever order lines come."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.log_lines import PLAIN, write

from penstock.processing.logs import LogAnalyzer
from penstock.processing.logs.access_words import words_of
from penstock.processing.logs.addresses import numbers_of_texts, texts_of_numbers
from penstock.processing.logs.blocks import Block
from penstock.processing.logs.tally import compact
from penstock.processing.logs.views import column_of, views_of
from penstock.processing.logs.visits import PAUSE, Visits, visits_of

ANY = st.lists(
    st.one_of(st.binary(max_size=20), st.text("0123456789.:;-,/<a", max_size=17).map(str.encode)), max_size=30
)


@given(ANY)
def test_a_number_stands_for_one_text_and_is_in_its_order(texts: list[bytes]) -> None:
    numbers, there = numbers_of_texts(texts)
    known = [text for text, good in zip(texts, there.tolist(), strict=True) if good]
    assert texts_of_numbers(numbers[there]).to_list() == known
    by_number = [known[place] for place in np.argsort(numbers[there], kind="stable").tolist()]
    assert by_number == sorted(known)


@given(st.ip_addresses(v=4))
def test_every_address_of_the_old_internet_has_a_number(address: Any) -> None:
    _, there = numbers_of_texts([str(address).encode()])
    assert there.all()


@pytest.mark.parametrize(
    "text", [b"", b"a.b", b"2001:db8::1", b"1,2", b"1.2.3.4 ", b"12345678901234567", b"1\xac", b"\0"]
)
def test_what_has_no_number(text: bytes) -> None:
    _, there = numbers_of_texts([text])
    assert not there.any()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_views_are_what_they_lie_on(texts: list[bytes]) -> None:
    length = np.array([len(text) for text in texts])
    end = 64 + np.cumsum(length)
    block = Block(bytearray(64) + bytearray(b"".join(texts)) + bytearray(64))
    column = column_of(block, views_of(words_of(block.data), end - length, end), len(texts))
    assert column.to_list() == texts
    assert sorted(column.unique().to_list()) == sorted(set(texts))


def test_addresses_and_names_are_counted_together(tmp_path: Path) -> None:
    names = ["10.0.0.1", "host.example", "2001:db8::1", "10.0.0.2", "-", "x" * 40]
    lines = [PLAIN.replace(PLAIN.split(b" ")[0], name.encode(), 1) for name in names for _ in range(len(name))]
    odd = PLAIN.replace(PLAIN.split(b" ")[0], b"10.0.0.2", 1).replace(b'"GET', b'"\\"GET')
    report = LogAnalyzer(500, "access").analyze(write(tmp_path / "a.log", [*lines, odd]))
    counts = {name: len(name) for name in names}
    counts["10.0.0.2"] += 1  # a line that is read alone has the same client
    assert {row["client"]: row["n"] for row in report.clients.rows} == counts
    assert report.clients.distinct == len(names)
    assert report.sessions == len(names)
    assert [row["client"] for row in report.clients.rows][:2] == ["x" * 40, "host.example"]


@pytest.mark.parametrize("client", [b"a", 7], ids=["name", "number"])
@given(
    times=st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=12), min_size=1, max_size=6),
)
def test_visits_in_any_order(client: bytes | int, times: list[list[int]]) -> None:
    """Several stretches, none in order, put together at once: as if all requests had been in order."""
    key = "client" if isinstance(client, bytes) else "number"
    kind = pl.Binary if isinstance(client, bytes) else pl.UInt64
    whole = Visits({"n": "sum"}, key=key)
    for each in times:
        keys = pl.Series([client] * len(each), dtype=kind)
        whole.add(compact(visits_of(pl.DataFrame({key: keys, "at": each, "n": [1] * len(each)}), key)))
    frame = whole.frame()
    assert frame is not None
    every = sorted(at for each in times for at in each)
    sessions = 1 + sum(after - before > PAUSE for before, after in pairwise(every))
    assert frame.to_dicts() == [
        {key: client, "n": len(every), "sessions": sessions, "first": every[0], "last": every[-1]}
    ]
