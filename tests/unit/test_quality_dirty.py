"""Wrong cells of real tables, found by rules that the dirty tables suggest. The floors are what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.quality_dirty import TABLES, scores

FLOORS = {"hospital": (0.57, 0.80), "beers": (0.88, 0.22)}


@pytest.mark.parametrize("name", TABLES)
def test_suggested_rules_find_wrong_cells(name: str, test_data: Path) -> None:
    found = scores(test_data / "dirty_clean" / name)
    without, suggested = found["no nulls"], found["suggested rules"]
    precision, recall = FLOORS[name]
    assert suggested.precision >= precision
    assert suggested.recall >= recall
    assert suggested.recall > without.recall
