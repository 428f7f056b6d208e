"""Limits over many processes on one SQLite file; see `limit_crowd`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.limit_crowd import CrowdedLimits


class TestLimitsOnOneFile(CrowdedLimits):
    @pytest.fixture
    def store(self, tmp_path: Path) -> dict[str, Any]:
        return {"home": str(tmp_path / "home")}
