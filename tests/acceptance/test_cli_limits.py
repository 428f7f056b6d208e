"""`penstock limits`: declared, looked at while they are held, changed, reset and deleted."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli
from tests.patience import until

pytestmark = pytest.mark.acceptance

FLOWS = Path(__file__).with_name("lasting_flows.py")


def holder(cli: Cli, name: str, occupy: int = 1) -> subprocess.Popen[str]:
    """A run that wants slots of the limit `database`."""
    given = {"folder": cli.folder, "name": name, "occupy": occupy}
    options = [word for key, value in given.items() for word in ("-p", f"{key}={value}")]
    return cli.start("run", f"{FLOWS}:holds", *options, "--name", name)


def inside(cli: Cli, name: str) -> None:
    until((cli.folder / f"{name}.here").exists, f"{name} inside")


def let_through(cli: Cli, name: str) -> None:
    (cli.folder / f"{name}.go").touch()


def counts(cli: Cli) -> tuple[int, int]:
    limit = cli.json("limits", "show", "database")["limit"]
    return limit["taken"], limit["waiting"]


def test_no_limits_yet_and_no_journal_is_made(cli: Cli) -> None:
    assert "There are no limits yet" in cli.run("limits", "list").out
    assert cli.json("limits", "list") == {"limits": []}
    for command in ("show", "delete", "reset"):
        assert "There is no limit 'database'" in cli.run("limits", command, "database", code=2).err
    assert not cli.home.exists()


def test_declaring_and_changing(cli: Cli) -> None:
    assert cli.json("limits", "set", "database", 3)["limit"] == {
        "name": "database", "slots": 3, "per_second": None, "burst": 1, "taken": 0, "waiting": 0,
    }  # fmt: skip
    cli.run("limits", "set", "api", "--per-second", 10, "--burst", 20)
    cli.run("limits", "set", "api", 5)
    listed = cli.run("limits", "list").out
    assert "10 a second, 20 at once" in listed
    kept = {limit["name"]: limit for limit in cli.json("limits", "list")["limits"]}
    assert (kept["api"]["slots"], kept["api"]["per_second"], kept["api"]["burst"]) == (5, 10, 20)
    assert cli.json("limits", "set", "api", "--no-rate")["limit"]["per_second"] is None
    assert "Deleted the limit api" in cli.run("limits", "delete", "api").out
    assert [limit["name"] for limit in cli.json("limits", "list")["limits"]] == ["database"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("database",), "There is nothing to set"),
        (("database", "--", "-1"), "not in the range"),
        (("database", "many"), "not a valid int"),
        (("database", "1000001"), "from 0 to 1,000,000"),
        (("database", "--per-second", "0"), "above 0 and below a million"),
        (("database", "--per-second", "-3"), "above 0 and below a million"),
        (("database", "--per-second", "nan"), "above 0 and below a million"),
        (("database", "--burst", "0"), "not in the range"),
        (("database", "--burst", "5"), "limits nothing"),
        (("database", "--no-slots"), "limits nothing"),
        (("database", "3", "--no-slots"), "contradict"),
        (("", "3"), "cannot be the name"),
        (("a\nb", "3"), "cannot be the name"),
        (("x" * 201, "3"), "cannot be the name"),
    ],
)
def test_what_cannot_be_set(cli: Cli, given: tuple[str, ...], says: str) -> None:
    answer = cli.run("limits", "set", *given, code=2)
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_declaring_by_file(cli: Cli) -> None:
    assert "--file FILE" in cli.run("limits", "apply", code=2).err
    (cli.folder / "pyproject.toml").write_text(
        '[tool.penstock.limits]\ndatabase = 3\napi = {per_second = 10, burst = 20}\n"tag:heavy" = 1\n'
    )
    assert cli.json("limits", "apply") == {
        "limits": ["database", "api", "tag:heavy"],
        "changed": ["database", "api", "tag:heavy"],
    }
    assert "3 limits declared, nothing changed" in cli.run("limits", "apply").out
    other = cli.folder / "other.toml"
    other.write_text('[tool.penstock.limits]\nlast = 1\ndatabase = "many"\n')
    assert "slots of 'database'" in cli.run("limits", "apply", "--file", other, code=2).err
    other.write_text("tool = 3\n")
    assert "must be a table" in cli.run("limits", "apply", "--file", other, code=2).err
    other.write_text("[tool\n")
    assert "is no TOML" in cli.run("limits", "apply", "--file", other, code=2).err
    assert len(cli.json("limits", "list")["limits"]) == 3


def test_holders_and_who_waits(cli: Cli) -> None:
    cli.run("limits", "set", "database", 1)
    first = holder(cli, "first")
    inside(cli, "first")
    second = holder(cli, "second")
    until(lambda: counts(cli) == (1, 1), "the second in the line")
    shown = cli.run("limits", "show", "database").out
    assert "holds" in shown
    assert "waits" in shown
    held, waits = cli.json("limits", "show", "database")["tickets"]
    assert (held["holds"], waits["holds"]) == (True, False)
    assert held["run_id"] == cli.json("runs", "show", "first")["run"]["id"]
    let_through(cli, "first")
    inside(cli, "second")
    let_through(cli, "second")
    assert [cli.end(first).code, cli.end(second).code] == [0, 0]
    assert counts(cli) == (0, 0)


def test_a_killed_holder_leaves_no_slot_behind(cli: Cli) -> None:
    cli.run("limits", "set", "database", 2)
    first = holder(cli, "first", 2)
    inside(cli, "first")
    second = holder(cli, "second")
    until(lambda: counts(cli) == (2, 1), "the second in the line")
    os.kill(first.pid, signal.SIGKILL)
    inside(cli, "second")
    assert counts(cli) == (1, 0)
    let_through(cli, "second")
    assert cli.end(second).code == 0
    cli.end(first)


def test_slots_that_are_added_and_taken_away_while_they_are_held(cli: Cli) -> None:
    cli.run("limits", "set", "database", 0)
    one, two = holder(cli, "one"), holder(cli, "two")
    until(lambda: counts(cli) == (0, 2), "both in the line")
    cli.run("limits", "set", "database", 2)
    inside(cli, "one")
    inside(cli, "two")
    cli.run("limits", "set", "database", 1)
    three = holder(cli, "three")
    until(lambda: len(cli.json("limits", "show", "database")["tickets"]) == 3, "the third in the line")
    let_through(cli, "one")
    assert cli.end(one).code == 0
    assert not (cli.folder / "three.here").exists(), "there is one slot, and the second run is in it"
    let_through(cli, "two")
    inside(cli, "three")
    let_through(cli, "three")
    assert [cli.end(two).code, cli.end(three).code] == [0, 0]


def test_a_reset(cli: Cli) -> None:
    cli.run("limits", "set", "database", 1)
    first = holder(cli, "first")
    inside(cli, "first")
    second = holder(cli, "second")
    until(lambda: counts(cli) == (1, 1), "the second in the line")
    assert "2 tickets taken back" in cli.run("limits", "reset", "database").out
    inside(cli, "second")
    for name in ("first", "second"):
        let_through(cli, name)
    cli.end(first)
    assert cli.end(second).code == 0
    assert counts(cli) == (0, 0)


def test_more_than_there_are(cli: Cli) -> None:
    cli.run("limits", "set", "database", 1)
    told = cli.end(holder(cli, "greedy", 2))
    assert told.code == 1
    assert "has 1 slot, so that nobody can ever hold 2 of them" in told.out + told.err
    told = cli.end(holder(cli, "none", 0))
    assert "occupy must be a whole number from 1" in told.out + told.err
