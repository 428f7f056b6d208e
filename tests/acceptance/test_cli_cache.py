"""`penstock cache`: what is cached is listed, and invalidated by task, key and age."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Cli

_FLOWS = """
from datetime import timedelta
from penstock import flow, task
from penstock.cache_policies import INPUTS

@task(cache_policy=INPUTS)
def fetch(page):
    print("fetched", page)
    return page

@task(cache_key_fn=lambda context, inputs: f"clean {inputs['page']}", cache_expiration=timedelta(minutes=90))
def clean(page):
    return page

@flow
def pages():
    return [clean(fetch(page)) for page in range(2)]

pages()
"""


@pytest.fixture
def cached(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "pages.py").write_text(_FLOWS)
    _run(cli, tmp_path)
    return cli


def _run(cli: Cli, folder: Path) -> str:
    environ = {**cli.environ, "PENSTOCK_LOG_CONSOLE": "false"}
    command = [sys.executable, str(folder / "pages.py")]
    done = subprocess.run(command, env=environ, cwd=cli.folder, check=True, capture_output=True, text=True)
    return done.stdout


def _keys(cli: Cli, *options: str) -> list[str]:
    listed: list[dict[str, Any]] = cli.run("cache", "list", "--json", *options).json["entries"]
    return [entry["key"] for entry in listed]


def test_listing(cached: Cli) -> None:
    answer = cached.run("cache", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()[-2:]] == ["clean", "clean"]
    assert re.search(r"in 1 h \d\d min", answer.out)
    assert "never" in answer.out
    assert _keys(cached, "--task", "clean") == ["clean 0", "clean 1"]
    assert _keys(cached, "--task", "clean", "--older-than", "1h") == []
    assert _keys(cached, "--expired") == []
    first = cached.run("cache", "list", "--limit", "3", "--json").json
    assert first["next"] == "clean 0"
    assert _keys(cached, "--after", first["next"]) == ["clean 1"]
    entry = cached.run("cache", "list", "--task", "clean", "--json").json["entries"][0]
    assert (entry["task"], entry["step"], entry["size"], entry["expired"]) == ("clean", "clean#1", 1, False)


def test_invalidating(cached: Cli, tmp_path: Path) -> None:
    assert "fetched" not in _run(cached, tmp_path)
    assert cached.run("cache", "invalidate", "--task", "fetch", "--older-than", "1h", "--yes").out == (
        "Invalidated 0 results.\n"
    )
    one = _keys(cached, "--task", "fetch")[0]
    assert cached.run("cache", "invalidate", one[:12], "--yes", "--json").json == {"invalidated": 1}
    assert _run(cached, tmp_path).count("fetched") == 1
    assert cached.run("cache", "invalidate", "clean 0", "clean 1", "--yes").out == "Invalidated 2 results.\n"
    assert cached.run("cache", "invalidate", "--task", "fetch", "--older-than", "0s", "--yes").out == (
        "Invalidated 2 results.\n"
    )
    assert _run(cached, tmp_path).count("fetched") == 2
    assert cached.run("cache", "clear", "--yes", "--json").json == {"invalidated": 4}
    assert cached.run("cache", "list").out == "Nothing is cached.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["invalidate"], "Nothing says which results"),
        (["invalidate", "--task", "fetch"], "nobody to ask"),
        (["clear"], "nobody to ask"),
        (["invalidate", "nothing", "--yes"], "no result under the key 'nothing'"),
        (["invalidate", "clean", "--yes"], "More than one key begins with"),
        (["invalidate", "", "--yes"], "no result under the key ''"),
        (["invalidate", "--older-than", "soon", "--yes"], "is no time"),
    ],
)
def test_mistakes(cached: Cli, arguments: list[str], says: str) -> None:
    answer = cached.run("cache", *arguments, code=2)
    assert says in answer.err
    assert "Hint:" in answer.err
    assert len(_keys(cached)) == 4
