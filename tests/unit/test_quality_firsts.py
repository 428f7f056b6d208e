"""The first rows that do not follow a rule, whatever order the data's pieces come in."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.quality import DataValidator
from penstock.quality.running.firsts import ROW, First

ROWS = 250_000
RULES: list[dict[str, Any]] = [
    {"rule": "between", "column": "amount", "max": 0},
    {"rule": "between", "column": "amount", "max": 0, "where": "id > 200000", "severity": "warning"},
    {"rule": "between", "column": "amount", "max": 0, "mostly": 0.5},
    {"rule": "increasing", "column": "id"},
    {"rule": "greater", "columns": ["id", "amount"]},
    {"rule": "expression", "sql": "amount < 7 OR id < 100000"},
    {"rule": "json", "column": "text"},
    {"rule": "unique", "column": "id"},
    {"rule": "unique", "column": "text"},
    {"rule": "unique_together", "columns": ["text", "group"]},
]


@given(
    pieces=st.lists(st.lists(st.none() | st.booleans(), max_size=5), max_size=6),
    limit=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_order_of_pieces_makes_no_difference(pieces: list[list[bool | None]], limit: int, seed: int) -> None:
    first = First(pl.col("wrong"), ["id"], ["id", "wrong"], limit)
    given_now: list[list[pl.Series]] = []
    row = 0
    for piece in pieces:
        places, wrong = range(row, row + len(piece)), pl.Series("wrong", piece, dtype=pl.Boolean)
        ids = pl.Series("id", [-place for place in places], dtype=pl.Int64)
        given_now.append([wrong.alias("flag"), pl.Series(ROW, places, dtype=pl.UInt32), ids, wrong])
        row += len(piece)
    random.Random(seed).shuffle(given_now)
    for each in given_now:
        assert first._take(each).to_list() == each[0].to_list()
    failing = [place for place, flag in enumerate(flag for piece in pieces for flag in piece) if flag]
    assert [(sample.row, sample.key["id"], sample.values) for sample in first.samples] == [
        (place, -place, {"id": -place, "wrong": True}) for place in failing[:limit]
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = pl.int_range(ROWS, eager=True)
    frame = pl.DataFrame(
        {
            "id": rows - (rows % 70_001 == 70_000).cast(pl.Int64),
            "amount": pl.Series([place if place % 30_011 == 30_000 else None for place in range(ROWS)]),
            "group": rows % 40_000,
            "text": pl.Series(["{" if place % 110_000 == 109_999 else "{}" for place in range(ROWS)]),
        }
    )
    path = tmp_path_factory.mktemp("firsts") / "rows.parquet"
    frame.write_parquet(path, row_group_size=20_000)
    return path


def test_they_are_the_first_of_many_pieces(table: Path) -> None:
    report = DataValidator({"rules": RULES, "samples": 3, "keys": ["text"]}).validate_dataset(table)
    found = [[sample.row for sample in each.samples] for each in report.results]
    high = [place for place in range(ROWS) if place % 30_011 == 30_000]
    again = [place for place in range(ROWS) if place % 70_001 == 70_000]
    same = sorted([*again, *(place - 1 for place in again)])
    assert found[0] == found[2] == high[:3]
    assert found[1] == [place for place in high if place > 200_000][:3]
    assert found[3] == []
    assert found[4] == [0, 1, 2]
    assert found[5] == [place for place in high if place >= 100_000][:3]
    assert found[6] == [109_999, 219_999]
    assert found[7] == same[:3]
    assert found[8] == found[9] == [0, 1, 2]
    assert report.results[0].samples[0].values == {"amount": 30_000}
    assert report.results[0].samples[0].key == {"text": "{}"}


def test_none_are_kept_where_none_are_wanted(table: Path) -> None:
    report = DataValidator({"rules": RULES, "samples": 0}).validate_dataset(table)
    assert all(each.samples == () for each in report.results)
    assert report.results[0].failed == 8
