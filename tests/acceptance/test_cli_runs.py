"""`penstock runs`: listing, showing, resuming, forking, cancelling, deleting, and logs."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from tests.acceptance.cli_lab import FLOWS, Cli
from tests.patience import until

pytestmark = pytest.mark.acceptance


def killed(cli: Cli) -> Any:
    """A run whose process was killed at its gate, after three steps."""
    process = cli.start("run", f"{FLOWS}:gated", "-p", f"folder={cli.folder}")
    until((cli.folder / "gate.here").exists, "the gate")
    # Starts of steps are recorded a moment later, and the next one is to be on record.
    until(lambda: len(cli.json("runs", "show", "last")["steps"]) == 4, "the start of the gate on record")
    assert cli.end(process, signal.SIGKILL).code == -signal.SIGKILL
    return cli.json("runs", "list")["runs"][0]


def ran(cli: Cli) -> list[str]:
    return (cli.folder / "ran.txt").read_text().split()


def test_no_runs_yet_and_no_journal_is_made(cli: Cli) -> None:
    assert "There are no runs yet" in cli.run("runs", "list").out
    assert cli.json("runs", "list") == {"runs": [], "next": None}
    assert "There are no runs yet" in cli.run("runs", "show", "last", code=2).err
    assert "No flow has been run yet" in cli.run("flows", "list").out
    assert not cli.home.exists()


def test_a_killed_run_is_shown_as_crashed_and_resumed_under_its_id(cli: Cli) -> None:
    run = killed(cli)
    assert (run["state"], run["ended_at"]) == ("Crashed", None)
    assert "Crashed" in cli.run("runs", "list").out
    assert "it was running when the process ended" in cli.run("runs", "show", "last").out
    (cli.folder / "gate.go").touch()

    answer = cli.run("runs", "resume", "last")
    assert "3 steps are on record" in answer.out
    assert "3 taken from the record" in answer.out
    assert ran(cli) == ["0", "1", "2", "gate", "gate", "3", "4"]

    shown = cli.json("runs", "show", run["id"])
    assert shown["run"]["state"] == "Completed"
    assert [(step["key"], step["state"]) for step in shown["steps"]] == [
        ("note#1", "Completed"),
        ("note#2", "Completed"),
        ("note#3", "Completed"),
        ("gate#1", "Completed"),
        ("note#4", "Completed"),
        ("note#5", "Completed"),
    ]
    assert len(cli.json("runs", "list")["runs"]) == 1


def test_a_failed_run_stays_and_a_new_one_takes_over(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:breaks", "-p", f"folder={cli.folder}", "--name", "first", code=1)
    (cli.folder / "mended").touch()
    answer = cli.run("runs", "resume", "first")
    assert "first has ended (Failed) and stays as it is; a new run takes over:" in answer.out
    assert ran(cli) == ["1", "2"]

    newer, older = cli.json("runs", "list")["runs"]
    assert (older["name"], older["state"], newer["state"]) == ("first", "Failed", "Completed")
    assert (newer["origin"], newer["origin_id"]) == ("resume", older["id"])
    shown = cli.json("runs", "show", "first")
    assert [other["id"] for other in shown["continuations"]] == [newer["id"]]
    assert [error["step"] for error in shown["errors"]] == ["picky#1", None]
    assert shown["errors"][0]["type"] == "FileNotFoundError"
    assert "src/penstock" not in shown["errors"][0]["trace"]
    told = cli.run("runs", "show", "first").out
    assert "Error in picky#1, the run" in told
    assert "resumed as" in told
    assert cli.json("runs", "show", newer["id"])["origin"]["id"] == older["id"]


def test_what_cannot_be_resumed(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:hello")
    assert cli.json("runs", "resume", "last", code=2)["error"]["code"] == "run-not-resumable"
    assert cli.json("runs", "resume", "nothing", code=2)["error"]["code"] == "run-not-found"
    process = cli.start("run", f"{FLOWS}:gated", "-p", f"folder={cli.folder}")
    until((cli.folder / "gate.here").exists, "the gate")
    assert "is still being executed by process" in cli.run("runs", "resume", "last", code=2).err
    assert "is being executed" in cli.run("runs", "delete", "last", "--yes", code=2).err
    (cli.folder / "gate.go").touch()
    assert cli.end(process).code == 0


def test_resume_from_another_folder(cli: Cli) -> None:
    project = cli.folder / "project"
    project.mkdir()
    (project / "helper.py").write_text("VALUE = 5\n")
    (project / "flow.py").write_text(
        "import pathlib\nfrom helper import VALUE\nfrom penstock import flow\n"
        "@flow\ndef a():\n    assert pathlib.Path(__file__).with_name('ok').exists()\n    return VALUE\n"
    )
    cli.run("run", "project/flow.py", code=1)
    (project / "ok").touch()
    elsewhere = Cli(cli.folder.parent, cli.home)
    assert elsewhere.json("runs", "resume", "last")["result"] == 5


def test_fork(cli: Cli) -> None:
    (cli.folder / "gate.go").touch()
    cli.run("run", f"{FLOWS}:gated", "-p", f"folder={cli.folder}")
    origin = cli.json("runs", "show", "last")["run"]
    assert "no step 'nope'" in cli.run("runs", "fork", "last", "--from", "nope", code=2).err
    answer = cli.json("runs", "fork", "last", "--from", "note#3")
    assert (answer["result"], answer["from_record"], answer["steps"]) == (10, 2, {"completed": 4})
    assert ran(cli) == ["0", "1", "2", "gate", "3", "4", "2", "gate", "3", "4"]
    assert (answer["run"]["origin"], answer["run"]["origin_id"]) == ("fork", origin["id"])
    assert answer["run"]["from_step"] == "note#3"
    assert "forked from note#3" in cli.run("runs", "show", origin["id"]).out


def test_cancel(cli: Cli) -> None:
    process = cli.start("run", f"{FLOWS}:gated", "-p", f"folder={cli.folder}")
    until((cli.folder / "gate.here").exists, "the gate")
    assert cli.json("runs", "cancel", "last")["run"]["state"] == "Cancelled"
    answer = cli.end(process)
    assert answer.code == 3
    assert "gated cancelled after" in answer.out
    assert "needs no cancelling" in cli.run("runs", "cancel", "last", code=2).err


def test_cancel_a_run_whose_process_is_gone(cli: Cli) -> None:
    killed(cli)
    assert "ended Cancelled" in cli.run("runs", "cancel", "last").out
    assert cli.json("runs", "list")["runs"][0]["state"] == "Cancelled"


def test_filters_and_pages(cli: Cli) -> None:
    for number in range(5):
        cli.run("run", f"{FLOWS}:hello", "--name", f"run-{number}", "-q")
    cli.run("run", f"{FLOWS}:leaves", "-q", code=1)
    killed(cli)

    def names(*args: str) -> list[str]:
        return [run["name"] for run in cli.json("runs", "list", *args)["runs"]]

    def flows(*args: str) -> list[str]:
        return [run["flow"] for run in cli.json("runs", "list", *args)["runs"]]

    assert flows("--state", "crashed") == ["gated", "leaves"]
    assert flows("--state", "running") == []
    assert flows("--state", "COMPLETED,crashed", "--limit", "3") == ["gated", "leaves", "hello"]
    assert "there are: scheduled" in cli.run("runs", "list", "--state", "dead", code=2).err
    assert names("--flow", "hello", "--limit", "2") == ["run-4", "run-3"]

    page = cli.json("runs", "list", "--flow", "hello", "--limit", "2")
    seen = [run["name"] for run in page["runs"]]
    while page["next"]:
        page = cli.json("runs", "list", "--flow", "hello", "--limit", "2", "--before", page["next"])
        seen += [run["name"] for run in page["runs"]]
    assert seen == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    older = cli.run("runs", "list", "--limit", "2").out.splitlines()[-1]
    assert older.startswith("older: penstock runs list --limit 2 --before ")
    assert names("--before", older.split()[-1], "--limit", "1") == ["run-4"]


def test_a_run_goes_by_many_names(cli: Cli) -> None:
    one = cli.json("run", f"{FLOWS}:hello", "--name", "same")["run"]["id"]
    two = cli.json("run", f"{FLOWS}:hello", "--name", "same")["run"]["id"]
    for name, run_id in ((one, one), (one[-8:], one), (two[-6:], two), (two, two), ("last", two)):
        assert cli.json("runs", "show", name)["run"]["id"] == run_id
    told = cli.run("runs", "show", "same", code=2).err
    assert "fits more than one run" in told
    assert one in told
    assert two in told


def test_subflows(cli: Cli) -> None:
    for item in (4, 5):
        (cli.folder / f"item{item}.go").touch()
    answer = cli.json("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}")
    assert (answer["result"], answer["retries"]) == (15, 2)
    assert sorted(run["flow"] for run in cli.json("runs", "list", "--children")["runs"]) == ["part", "wide"]
    assert [run["flow"] for run in cli.json("runs", "list")["runs"]] == ["wide"]
    shown = cli.json("runs", "show", "last")
    (child,) = shown["children"]
    assert (child["flow"], child["parent_step"], child["parent_id"]) == ("part", "part#1", shown["run"]["id"])
    told = cli.run("runs", "show", "last").out
    for part in ("shaky", "attempt 3", "part", "inner", "mapped", "6 calls"):
        assert part in told
    every = cli.run("runs", "show", "last", "--all").out
    assert "mapped#6" in every
    part = cli.run("runs", "show", child["id"]).out
    assert "part of" in part


def test_logs(cli: Cli) -> None:
    for item in (4, 5):
        (cli.folder / f"item{item}.go").touch()
    cli.run("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}")
    lines = [json.loads(line) for line in cli.run("runs", "logs", "last", "--json").out.splitlines()]
    assert set(lines[0]) == {"run_id", "step", "at", "level", "logger", "message"}
    assert (lines[0]["level"], lines[0]["step"]) == ("WARNING", None)
    assert "\x1b]0;owned\x07" in lines[0]["message"]
    told = cli.run("runs", "logs", "last").out
    assert "a line with [bold]markup[/bold] and \\x1b]0;owned\\x07" in told
    assert "\x1b" not in told
    of_step = [
        json.loads(line) for line in cli.run("runs", "logs", "last", "--step", "shaky", "--json").out.splitlines()
    ]
    assert {line["step"] for line in of_step} <= {"shaky#1"}
    assert "has logged nothing in this step" in cli.run("runs", "logs", "last", "--step", "part#1").out
    assert "has no step 'nope'" in cli.run("runs", "logs", "last", "--step", "nope", code=2).err


def test_logs_that_are_followed_end_with_the_run(cli: Cli) -> None:
    for item in (4, 5):
        (cli.folder / f"item{item}.go").unlink(missing_ok=True)
    process = cli.start("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}")
    until((cli.folder / "item4.here").exists, "the gate of the fourth item")
    follower = cli.start("runs", "logs", "last", "--follow")
    assert follower.stdout is not None
    assert "a line with" in follower.stdout.readline()
    assert follower.poll() is None
    for item in (4, 5):
        (cli.folder / f"item{item}.go").touch()
    assert cli.end(process).code == 0
    assert cli.end(follower).code == 0


def test_delete_sweeps_results_nobody_refers_to(cli: Cli) -> None:
    answer = cli.json("run", f"{FLOWS}:big")
    assert (answer["result"], answer["result_type"]) == (None, "bytes")
    files = [path for path in (cli.home / "results").rglob("*") if path.is_file()]
    assert files
    cli.run("run", f"{FLOWS}:hello", "--name", "other")
    assert "there is nobody to ask" in cli.run("runs", "delete", "other", code=2).err
    for path in files:
        os.utime(path, (1, 1))  # only old files are swept: a young one may be about to be referred to
    deleted = cli.json("runs", "delete", answer["run"]["id"], "other", "--yes")
    assert (deleted["runs"], deleted["result_files"]) == (2, len(files))
    assert cli.json("runs", "list")["runs"] == []
    assert not any(path.exists() for path in files)


def test_unknown_runs(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:hello")
    for command in ("show", "logs", "resume", "cancel", "delete"):
        answer = cli.run("runs", command, "no-such-run", code=2)
        assert "There is no run 'no-such-run'" in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.integration
def test_a_journal_in_postgresql(cli: Cli, postgres_url: str) -> None:
    cli.environ["PENSTOCK_DATABASE_URL"] = postgres_url
    assert cli.json("runs", "list")["runs"] == []
    run = killed(cli)
    assert run["state"] == "Crashed"
    (cli.folder / "gate.go").touch()
    assert cli.json("runs", "resume", "last")["run"]["id"] == run["id"]
    assert ran(cli) == ["0", "1", "2", "gate", "gate", "3", "4"]
    cli.run("run", f"{FLOWS}:hello")
    assert "greeting you" in cli.run("runs", "logs", "last").out
    assert cli.json("doctor")["ok"] is True
    assert cli.json("db", "status")["kind"] == "postgresql"
    assert cli.json("db", "vacuum")["bytes_after"] > 0
    assert cli.json("runs", "delete", "last", run["id"], "--yes")["runs"] == 2
    assert cli.json("runs", "list")["runs"] == []
    assert not (cli.home / "journal.db").exists()
