"""A short performance of the orchestra; `make chaos` plays long ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.orchestra import perform

SECONDS = 7.0


@pytest.mark.timeout(420)
@pytest.mark.parametrize("seed", [11])
def test_everything_under_fire_ends_once_on_sqlite(tmp_path: Path, seed: int) -> None:
    perform(tmp_path, seed, SECONDS)


@pytest.mark.timeout(420)
@pytest.mark.integration
@pytest.mark.parametrize("seed", [12])
def test_everything_under_fire_ends_once_on_postgresql(tmp_path: Path, postgres_url: str, seed: int) -> None:
    perform(tmp_path, seed, SECONDS, postgres_url)
