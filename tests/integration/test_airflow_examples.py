"""The example of users and posts in a real Airflow: it writes what it writes without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.airflow_lab import Lab

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "users_posts"
SERVE = "from flaky_api import FlakyApi; api = FlakyApi(); print(api.url, flush=True); api.serve_forever()"

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def api() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", SERVE], cwd=EXAMPLE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_the_example_writes_the_same_files(api: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run([sys.executable, "flow.py", api, str(here)], cwd=EXAMPLE, check=True, capture_output=True)
    lab = Lab(tmp_path / "lab", "flow.py:users_posts", project=EXAMPLE)
    try:
        assert lab.placed["users_posts"].steps
        _, reference = lab.started("users_posts", base_url=api, output_dir=str(there))
        assert lab.ended(reference).state == "Completed"
    finally:
        lab.close()
    written = {path.name: path.read_bytes() for path in here.iterdir()}
    assert len(written) == 5
    assert {path.name: path.read_bytes() for path in there.iterdir()} == written
