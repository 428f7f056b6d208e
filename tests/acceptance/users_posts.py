"""Driving examples/users_posts from outside."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from penstock import Penstock
from penstock.core.model import Run, RunFilter

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "users_posts"
FLOW = EXAMPLE / "flow.py"
FILES = ["users.csv", "posts_enriched.csv", "user_stats.csv", "top_authors.csv", "summary.csv"]
Table = list[list[str]]


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def cli_command(url: str, folder: Path, **parameters: object) -> list[str]:
    given = {"base_url": url, "output_dir": folder, **parameters}
    params = [word for name, value in given.items() for word in ("--param", f"{name}={value}")]
    return ["-m", "penstock", "run", "examples/users_posts/flow.py:users_posts", *params]


def cells(path: Path) -> Table:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def only_run(instance: Penstock) -> Run:
    (run,) = instance.journal.runs(RunFilter())
    return run
