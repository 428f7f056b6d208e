"""`make demo`, and the API that it runs on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.users_posts import EXAMPLE, FILES, FLOW, ROOT, cells, contents, python
from tests.ports import closed_port

pytestmark = pytest.mark.acceptance


def test_the_demo_shows_retries_and_its_next_steps_work(penstock_home: Path) -> None:
    done = python(EXAMPLE / "demo.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(contents(penstock_home / "demo")) == sorted(FILES)
    for line in ("fetch_users#1  attempt 2  Completed", "fetch_posts#1  attempt 3  Completed"):
        assert line in done.stdout
    for first in cells(penstock_home / "demo" / "top_authors.csv")[1:6]:
        assert re.search(r"\s+".join(map(re.escape, first)), done.stdout)
    before = contents(penstock_home / "demo")
    commands = re.findall(r"^  # .*\n  (.*)$", done.stdout, re.MULTILINE)
    again = [command for command in commands if "flaky_api" not in command and "8808" not in command]
    assert [word for command in again for word in ("show", "logs", "fork") if f" {word} " in command] == [
        "show",
        "logs",
        "fork",
        "show",
    ]
    for command in again:
        tried = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert tried.returncode == 0, f"{command}\n{tried.stdout}{tried.stderr}"
    assert contents(penstock_home / "demo") == before


def test_the_demo_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "file"))
    done = python(EXAMPLE / "demo.py")
    assert done.returncode == 1
    assert "demo: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_flaky_api_serves_by_itself_what_the_demo_reads(tmp_path: Path) -> None:
    with closed_port() as port:
        pass
    command = [sys.executable, str(EXAMPLE / "flaky_api.py"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert f"http://127.0.0.1:{port}/users" in server.stdout.readline()
            done = python(FLOW, f"http://127.0.0.1:{port}", tmp_path)
            taken = python(EXAMPLE / "flaky_api.py", "--port", port)
        finally:
            os.kill(server.pid, signal.SIGINT)
        assert server.wait(30) == 0
    assert done.returncode == 0, done.stderr
    assert taken.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in taken.stderr
    assert "Traceback" not in taken.stderr
