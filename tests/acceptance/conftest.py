"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli


@pytest.fixture
def cli(tmp_path: Path, penstock_home: Path) -> Cli:
    """The command line in a folder of its own."""
    return Cli(tmp_path, penstock_home)
