"""`penstock --server URL`: the same commands, the same words, and a server that is killed meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.patience import until
from tests.ports import own_port

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

TASKS = """
import os
import time
from penstock import get_run_logger

def first(n):
    get_run_logger().info("first of %d", n)
    return n + 1

def second(n):
    get_run_logger().info("second begins")
    open("second.here", "w").close()
    while not os.path.exists("second.go"):
        time.sleep(0.01)
    get_run_logger().info("second ends")
    return n + 1

def broken():
    get_run_logger().warning("it will break")
    raise ValueError("it broke: \\x1b[31m<b>")
"""
STEPS = """
name: steps
tags: [etl]
parameters: {n: 1}
tasks:
  - {name: first, python_callable: "remote_tasks:first", params: {n: {$parameter: n}}}
  - {name: second, python_callable: "remote_tasks:second", params: {n: {$result: first}}, retry_count: 1}
"""
QUICK = """
name: quick
description: Only the first.
schedule: "@daily"
timezone: Europe/Paris
tasks:
  - {name: first, python_callable: "remote_tasks:first", params: {n: 7}, retry_count: 2, retry_delay: 1.5, timeout: 9}
"""
BROKEN = """
name: broken
tasks: [{name: broken, python_callable: "remote_tasks:broken"}]
"""
WRONG = """
name: wrong
schedule: "61 * * * *"
tasks: [{name: a, python_callable: "remote_tasks:nope", dependencies: [a]}]
"""


@pytest.fixture
def server(place: Place) -> Duty:
    """A server in a project with three workflows in files."""
    place.declare('[tool.penstock.workflows]\nmodules = ["remote_tasks"]\n')
    (place.folder / "remote_tasks.py").write_text(TASKS)
    for name, text in {"steps": STEPS, "quick": QUICK, "broken": BROKEN, "wrong": WRONG}.items():
        (place.folder / f"{name}.yaml").write_text(text)
    return place.server("--port", own_port())


def url_of(server: Duty) -> str:
    url: str = server.event("serving")["url"]
    return url


READ = [
    "workflows list",
    "workflows list --json",
    "workflows list --tag etl --inactive --json",
    "workflows show quick",
    "workflows show steps --json",
    "workflows versions quick",
    "workflows versions quick --json",
    "workflows dry-run steps -p n=3",
    "workflows dry-run steps -p n=3 --json",
    "workflows export quick",
    "workflows export quick --version 1 --format json",
    "workflows apply steps.yaml --check --json",
    "runs list",
    "runs list --json --limit 1",
    "runs list --state failed --deployment broken --since 1h --json",
    "runs list --param n=1 --search quick",
    "runs show last",
    "runs show last --json",
    "runs show RUN --all",
    "runs logs RUN",
    "runs logs RUN --json --step broken",
]
WRONG_ONES = [
    "workflows show nope",
    "workflows create wrong.yaml",
    "workflows create quick.yaml",
    "workflows dry-run steps -p m=3",
    "workflows export quick --version 99",
    "workflows trigger nope --json",
    "workflows clone quick 1st",
    "runs show nope",
    "runs show nope --json",
    "runs list --before nope",
    "runs fork RUN --from nope",
]


@pytest.mark.timeout(240)
def test_commands_say_the_same_of_a_journal_and_of_a_server(place: Place, server: Duty) -> None:
    cli, there = place.cli, ("--server", url_of(server))
    for name in ("steps", "quick", "broken"):
        cli.run(*there, "workflows", "create", f"{name}.yaml")
    (place.folder / "quick.yaml").write_text(QUICK.replace("Only", "Just"))
    assert cli.json(*there, "workflows", "apply", "quick.yaml")["workflow"]["version"] == 2
    assert cli.json(*there, "workflows", "rollback", "quick", 1)["workflow"]["version"] == 3
    done = cli.json(*there, "workflows", "trigger", "quick", "--wait")
    assert (done["run"]["state"], done["exit_code"]) == ("Completed", 0)
    failed = cli.json(*there, "workflows", "trigger", "broken", "--wait", "--tag", "x", code=1)
    assert [error["type"] for error in failed["errors"]] == ["ValueError"]
    for line in READ:
        words = line.replace("RUN", failed["run"]["id"]).split()
        here, remote = cli.run(*words), cli.run(*there, *words)
        assert told(remote.out) == told(here.out), line
        assert (remote.err, here.err) == ("", ""), line
    for line in WRONG_ONES:
        words = line.replace("RUN", failed["run"]["id"]).split()
        here, remote = cli.run(*words, code=2), cli.run(*there, *words, code=2)
        assert told(remote.out) == told(here.out), line
        assert without_hint(remote.err) == without_hint(here.err), line
        assert "Traceback" not in remote.err
    followed = cli.run(*there, "workflows", "trigger", "broken", "--follow", code=1).out
    assert re.search(rf"penstock --server {re.escape(there[1])} runs resume \w+ +go on from the steps", followed)
    assert not re.search("completed, here|penstock runs", followed), followed
    again = httpx.post(f"{there[1]}/api/v1/runs/{failed['run']['id']}/retry").json()["id"]
    assert f"begins anew like {failed['run']['id'][-8:]}" in cli.run("runs", "show", again).out
    assert f"retried as {again[-8:]}" in cli.run("runs", "show", failed["run"]["id"]).out


def told(out: str) -> str:
    """What is written, but for how long ago it was and how long it will be, which may make columns wider."""
    moments = r"\b(now|\d+ (s|min) ago|in \d+ (s|min|h \d\d min|d \d\d h))\b"
    return re.sub(r" {2,}", "  ", re.sub(moments, "then", out))


def without_hint(err: str) -> str:
    """Errors are the same; what to do about them may be another command there."""
    return re.sub(r"^Hint:.*\n", "", err, flags=re.MULTILINE)


def test_what_is_changed_there_is_changed_here(place: Place, server: Duty) -> None:
    cli, there = place.cli, ("--server", url_of(server))
    cli.run(*there, "workflows", "create", "quick.yaml", "--key", "k1")
    cli.run(*there, "workflows", "create", "quick.yaml", "--key", "k1")
    assert "is made like quick" in cli.run(*there, "workflows", "clone", "quick", "again").out
    assert cli.json("workflows", "show", "again")["workflow"]["active"] is False
    assert cli.json(*there, "workflows", "enable", "again")["workflow"]["active"] is True
    assert cli.json(*there, "workflows", "disable", "again")["workflow"]["next_due"] is None
    first = cli.json(*there, "workflows", "trigger", "quick", "--key", "once", "--name", "amber-otter")
    second = cli.json(*there, "workflows", "trigger", "quick", "--key", "once")
    assert (first["new"], second["new"], second["run"]["id"]) == (True, False, first["run"]["id"])
    place.ended(first["run"]["id"])
    assert cli.run(*there, "runs", "delete", "amber-otter", "--yes").out == "Deleted 1 run.\n"
    assert cli.json("runs", "list")["runs"] == []
    cli.run(*there, "workflows", "delete", "again")
    assert [each["name"] for each in cli.json("workflows", "list")["workflows"]] == ["quick"]
    cli.run("workflows", "create", "steps.yaml")
    run = cli.json("workflows", "trigger", "steps")["run"]["id"]
    place.here("second")
    ended = cli.json(*there, "runs", "cancel", run, "--grace", 1)["run"]
    assert ended["state"] == "Cancelled"
    place.open("second")
    again = cli.json(*there, "runs", "resume", run)
    assert (again["run"]["state"], again["run"]["origin_id"]) == ("Completed", run)
    forked = cli.json(*there, "runs", "fork", run, "--from", "second")
    assert (forked["run"]["state"], forked["run"]["from_step"]) == ("Completed", "second")


def test_a_server_that_is_killed_is_waited_for_and_nothing_is_told_twice(place: Place, server: Duty) -> None:
    url = url_of(server)
    place.cli.run("--server", url, "workflows", "create", "steps.yaml")
    watching = place.cli.start("--server", url, "workflows", "trigger", "steps", "--follow")
    place.here("second")
    until(lambda: "second begins" in place.cli.run("runs", "logs", "last").out, "what it says")
    server.kill_all()
    place.open("second")
    place.server("--port", urlsplit(url).port)
    answer = place.cli.end(watching)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    logged = [line.rpartition("  ")[2] for line in lines if re.search(r"first of|second (begins|ends)", line)]
    assert logged == ["first of 1", "second begins", "second begins", "second ends"]
    assert sum("completed" in line for line in lines) == 1
    (run,) = place.cli.json("runs", "list")["runs"]
    assert (run["state"], run["crashes"]) == ("Completed", 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--server",), "--server names no server"),
        (("--server", "ftp://x", "runs", "list"), "is no address of a server"),
        (("--server", "http://ann:pw@x", "runs", "list"), "holds no password"),
        (("--server", "http://127.0.0.1:1", "worker", "start"), "works with the journal at hand"),
        (("run", "flow.py", "--server=http://127.0.0.1:1"), "works with the journal at hand"),
        (("--server", "http://127.0.0.1:1", "runs", "answer", "last", "--by", "ann"), "cannot be reached"),
    ],
)
def test_what_cannot_be_asked_of_a_server_says_so(place: Place, arguments: tuple[str, ...], told: str) -> None:
    answer = place.cli.run(*arguments, code=2)
    assert told in answer.err
    assert "Hint:" in answer.err
    assert "Traceback" not in answer.err


def test_without_a_server_nothing_of_http_is_imported(place: Place) -> None:
    script = (
        "import sys, penstock.cli.root as root\n"
        "root.call(['runs', 'list'])\n"
        "print(sorted({'httpx', 'penstock.remote'} & {*sys.modules}))"
    )
    ours = {"cwd": place.folder, "env": place.cli.environ}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, **ours)
    assert found.stdout.splitlines()[-1] == "[]"
