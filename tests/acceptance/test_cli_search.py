"""`penstock runs list` finds runs by tag, parameter, words, time, deployment and partition."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli

from penstock.core.events import Append, Record, RunFailed
from penstock.core.ids import derived_run_id
from penstock.journal import SqliteJournal
from penstock.testing.samples import created, started

_FLOWS = """
from penstock import flow, tags

@flow
def load_orders(day: str = "", limit: int = 10):
    if day == "bad":
        raise ValueError("HTTP 503 from the api")

def main():
    for number in range(3):
        with tags("prod", f"n{number}"):
            load_orders.with_options(flow_run_name=f"order-{number}")(f"2026-01-0{number + 1}", number)
    with tags("test"):
        try:
            load_orders.with_options(flow_run_name="broken")("bad")
        except ValueError:
            pass

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def searched(cli: Cli, tmp_path: Path) -> Cli:
    import subprocess
    import sys

    script = tmp_path / "orders.py"
    script.write_text(_FLOWS)
    environ = {**cli.environ, "PENSTOCK_LOG_CONSOLE": "false"}
    subprocess.run([sys.executable, script], env=environ, cwd=cli.folder, check=True)
    return cli


def _names(cli: Cli, *args: str) -> list[str]:
    return [run["name"] for run in cli.json("runs", "list", *args)["runs"]]


def test_searching(searched: Cli) -> None:
    assert _names(searched) == ["broken", "order-2", "order-1", "order-0"]
    assert _names(searched, "--tag", "prod") == ["order-2", "order-1", "order-0"]
    assert _names(searched, "--tag", "prod", "--tag", "n1") == ["order-1"]
    assert _names(searched, "--tag", "none") == []
    assert _names(searched, "--param", "limit=2") == ["order-2"]
    assert _names(searched, "--param", "day=2026-01-01", "--param", "limit=0") == ["order-0"]
    assert _names(searched, "--param", "day=2026-01-01", "--param", "limit=1") == []
    assert _names(searched, "--search", "503 ap") == ["broken"]
    assert _names(searched, "--search", "load_orders order") == _names(searched)
    assert _names(searched, "--search", "load_orders order 2") == ["order-2"]
    assert _names(searched, "--search", "orders", "--state", "failed", "--tag", "test") == ["broken"]
    assert _names(searched, "--since", "1h") == _names(searched, "--until", "2100-01-01") == _names(searched)
    assert _names(searched, "--since", "2100-01-01") == _names(searched, "--until", "1h ago") == []
    assert _names(searched, "--deployment", "nightly") == _names(searched, "--partition", "p") == []
    assert searched.run("runs", "list", "--tag", "none").out.strip() == "No such runs."


def test_the_next_page_is_asked_for_by_the_command_that_is_told(searched: Cli) -> None:
    first = ["--search", "order ord", "--tag", "prod", "--param", "limit=1"]
    assert _names(searched, *first) == ["order-1"]
    told = searched.run("runs", "list", "--search", "load order", "--tag", "prod", "--limit", "1").out.splitlines()
    seen = []
    while told[-1].startswith("older: "):
        words = shlex.split(told[-1].removeprefix("older: penstock "))
        assert words[:8] == ["runs", "list", "--tag", "prod", "--search", "load order", "--limit", "1"]
        seen += _names(searched, *words[2:])
        told = searched.run(*words).out.splitlines()
    assert seen == ["order-1", "order-0"]


def test_deployments_partitions_and_times(cli: Cli) -> None:
    cli.home.mkdir(parents=True)
    journal = SqliteJournal(cli.home / "journal.db")
    now = int(time.time() * 1_000_000)
    for number in range(5):
        run_id = derived_run_id((now - number * 86_400_000_000) // 1000, str(number))
        born = created(name=f"days-{number}", deployment=("nightly", "hourly")[number % 2], partition=f"p{number}")
        journal.commit([Append(run_id, 0, [born, started(), Record(RunFailed(at=now, message=f"reason {number}"))])])
    journal.close()
    assert _names(cli, "--deployment", "nightly") == ["days-0", "days-2", "days-4"]
    assert _names(cli, "--deployment", "nightly", "--partition", "p2") == ["days-2"]
    assert _names(cli, "--since", "36h") == ["days-0", "days-1"]
    assert _names(cli, "--since", "80 hours", "--until", "1d12h") == ["days-2", "days-3"]
    day = time.strftime("%Y-%m-%d", time.localtime(now / 1_000_000 - 2.5 * 86_400))
    assert _names(cli, "--until", day)[-1:] == ["days-4"]
    assert _names(cli, "--since", f"{day}T00:00:00Z")[:2] == ["days-0", "days-1"]
    assert "days-4" not in _names(cli, "--since", "yesterday")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "soon"], "--since 'soon' is no time"),
        (["--until", "2026-13-01"], "--until '2026-13-01' is no time"),
        (["--until", ""], "is no time"),
        (["--param", "limit"], "is not NAME=VALUE"),
        (["--param", "=3"], "is not NAME=VALUE"),
        (["--since", "1h", "--until", "2h"], "is not before --until"),
    ],
)
def test_mistakes(cli: Cli, options: list[str], told: str) -> None:
    answer = cli.run("runs", "list", *options, code=2)
    assert told in answer.err
    assert "Hint:" in answer.err
    assert "Traceback" not in answer.err
