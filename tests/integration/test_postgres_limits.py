"""Limits over many processes on PostgreSQL; see `tests/unit/limit_crowd.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.limit_crowd import CrowdedLimits

pytestmark = pytest.mark.integration


class TestLimitsOnPostgres(CrowdedLimits):
    @pytest.fixture
    def store(self, tmp_path: Path, postgres_url: str) -> dict[str, Any]:
        return {"home": str(tmp_path / "home"), "database_url": postgres_url}
