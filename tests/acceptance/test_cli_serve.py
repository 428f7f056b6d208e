"""`penstock serve`: deployments executed from the process that declares them, in pipes and in a terminal."""

from __future__ import annotations

import datetime
import itertools
import os
import re
import signal
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from tests.acceptance.cli_lab import ROOT, Terminal
from tests.acceptance.duty_lab import FLOWS, Place, place, soon_gone
from tests.patience import until

from penstock.engine.runners.trees import kill_tree

pytestmark = pytest.mark.acceptance
__all__ = ["place"]


def table(place: Place, name: str, flow: str, **options: object) -> str:
    lines = [f"{key} = {value!r}" for key, value in options.items()]
    told = "\n".join([f'flow = "{FLOWS}:{flow}"', *lines])
    return f'[tool.penstock.deployments.{name}]\n{told}\nparameters = {{ folder = "{place.folder}" }}\n'


def far_hour(zone: str) -> int:
    """An hour of the day that does not come while a test is at work."""
    return (datetime.datetime.now(ZoneInfo(zone)).hour + 12) % 24


def declare(place: Place) -> int:
    """Three deployments; the hour of the one that is due once a day."""
    hour = far_hour("Europe/Paris")
    often = table(place, "often", "tick", interval="1s")
    nightly = table(place, "nightly", "quick", cron=f"0 {hour} * * *", timezone="Europe/Paris")
    asked = table(place, "asked", "quick")
    place.declare(f"{often}{nightly}{asked}")
    return hour


def test_all_that_the_project_declares(place: Place) -> None:
    declare(place)
    served = place.serve()
    found = {each["name"]: each for each in served.event("ready")["deployments"]}
    assert list(found) == ["often", "nightly", "asked"]
    assert {each["pool"] for each in found.values()} == {"served"}
    until(lambda: len(served.all("ended")) >= 2, "two ticks")
    run_id = place.trigger("asked", "-p", "word=asked")
    assert served.event("ended", run_id)["run"]["state"] == "Completed"
    listed = {each["name"]: each for each in place.cli.json("deployments", "list")["deployments"]}
    assert listed["asked"]["last_run"]["id"] == run_id
    assert listed["often"]["last_run"]["deployment"] == "often"
    assert listed["nightly"]["last_run"] is None
    assert served.end() == 0
    assert "asked" in place.ran()
    assert "Nobody serves asked now." in place.cli.run("deployments", "run", "asked").out


def test_some_of_them_and_a_flow_without_a_file(place: Place) -> None:
    declare(place)
    some = place.serve("nightly", "asked")
    flow = place.serve(f"{FLOWS}:quick", "--name", "mine", "--cron", "@hourly", "-p", f"folder={place.folder}")
    assert [each["name"] for each in some.event("ready")["deployments"]] == ["nightly", "asked"]
    (mine,) = flow.event("ready")["deployments"]
    assert (mine["name"], mine["schedules"][0]["spec"]["cron"]) == ("mine", "@hourly")
    ours, theirs = place.trigger("mine"), place.trigger("asked")
    flow.event("ended", ours)
    some.event("ended", theirs)
    assert [some.all("taken", ours), flow.all("taken", theirs)] == [[], []]
    assert "often" not in place.cli.run("deployments", "list").out
    assert [some.end(signal.SIGINT), flow.end(signal.SIGINT)] == [0, 0]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def test_two_that_serve_the_same_give_each_due_instant_one_run(
    place: Place, database: str, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        place.cli.environ["PENSTOCK_DATABASE_URL"] = request.getfixturevalue("postgres_url")
        place.cli.run("db", "upgrade")
    place.declare(table(place, "often", "tick", interval="1s", missed="all"))
    first, second = place.serve(), place.serve()

    def ended() -> list[dict[str, object]]:
        return [event["run"] for event in [*first.all("ended"), *second.all("ended")]]

    until(lambda: len(ended()) >= 4, "four ticks")
    first.kill_all()  # now and then one of them dies; the other one goes on where it was
    until(lambda: len(second.all("ended")) >= 4, "ticks of the other one")
    assert second.end() == 0
    assert place.worker("--pool", "served", "--until-idle", "--no-scheduler").end(None) == 0  # what was lost or waits

    runs = place.cli.json("runs", "list", "--limit", "1000")["runs"]
    due = sorted(run["scheduled_at"] for run in runs)
    assert len(set(due)) == len(due)
    instants = [datetime.datetime.fromisoformat(at) for at in due]
    assert {(b - a).total_seconds() for a, b in itertools.pairwise(instants)} == {1.0}
    done = [run for run in runs if run["state"] == "Completed"]
    lost = [run for run in runs if run["state"] != "Completed" or run["crashes"]]  # under way when `first` was killed
    assert len(lost) <= 8, "no more than it has at once"
    assert {run["id"] for run in lost}.isdisjoint(event["run"]["id"] for event in first.all("ended"))
    assert all(run["crashes"] <= 1 for run in lost), "once it was killed"
    assert len(done) <= len(place.ran()) <= len(runs) + len(lost)


def test_plain_lines(place: Place) -> None:
    hour = declare(place)
    process = place.cli.start("serve")
    try:
        until(lambda: len(place.ran()) >= 2, "two ticks")
        answer = place.cli.end(process, signal.SIGTERM)
    finally:
        process.kill()
    assert answer.code == 0
    head, *lines = answer.out.splitlines()
    assert head == "Serving 3 deployments, at most 8 runs at once. Ctrl-C stops."
    assert re.match(r"  often +every 1 s  next (now|in 1 s)", lines[0])
    assert re.match(rf"  nightly  0 {hour} \* \* \* \(Europe/Paris\) +next in ", lines[1])
    assert re.match(r"  asked +when triggered", lines[2])
    assert any(re.match(r"\d\d:\d\d:\d\d  ● often · [\w-]+  started  [0-9a-f]{8}$", line) for line in lines)
    assert any(re.match(r"\d\d:\d\d:\d\d  ✓ often · [\w-]+  completed  ", line) for line in lines)
    assert re.match(r"Stopped: \d+ completed\.", lines[-1])
    assert "Traceback" not in answer.err


def serve_in_terminal(place: Place, *args: object, columns: int = 90, rows: int = 24) -> Terminal:
    return place.cli.terminal("serve", *args, columns=columns, rows=rows)


def test_the_board(place: Place) -> None:
    hour = far_hour("Asia/Tokyo")
    place.declare(
        table(place, "slow", "chatty")
        + table(place, "nightly", "quick", cron=f"0 {hour} * * *", timezone="Asia/Tokyo")
        + table(place, "rests", "quick", cron="0 3 * * *", paused=True).replace("True", "true")
    )
    terminal = serve_in_terminal(place)
    terminal.read_until("serving 3 deployments  ·  0 running")
    terminal.read_until("Ctrl-C stops")
    assert re.search(rf"○ nightly  in 1[12] h .* {hour:02}:00 \+09:00", terminal.text)
    assert re.search(r"○ rests +paused", terminal.text)
    assert re.search(r"○ slow +when triggered", terminal.text)
    run_id = place.trigger("slow", "--name", "my-run")
    terminal.read_until("● slow · my-run")
    place.here("chatty")
    terminal.read_until("printed 2")
    terminal.read_until("my-run  line 2")  # it comes another way
    place.open("chatty")
    for told in ("✓ slow · my-run  completed", "1 completed", "printed last", "written last"):
        terminal.read_until(told)
    assert place.run(run_id)["state"] == "Completed"
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.text.index("printed last") < terminal.text.rindex("serving 3 deployments")
    assert terminal.text.rstrip().endswith("Stopped: 1 completed.")
    assert "Traceback" not in terminal.text
    assert b"\x1b[?25l" not in terminal.raw


def test_ctrl_c_waits_for_runs_and_a_second_one_does_not(place: Place) -> None:
    place.declare(table(place, "slow", "gated"))
    terminal = serve_in_terminal(place)
    terminal.read_until("Ctrl-C stops")
    run_id = place.trigger("slow")
    place.here("gate")
    terminal.read_until("● slow · ")
    terminal.type("\x03")
    terminal.read_until("stopping: 1 run under way")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "Stopped: 1 put back." in terminal.text
    assert place.run(run_id)["state"] == "Scheduled"


@pytest.mark.parametrize(("columns", "rows"), [(34, 12), (60, 6), (200, 50)])
def test_the_board_fits(place: Place, columns: int, rows: int) -> None:
    many = "".join(table(place, f"deployment-number-{n}", "quick", cron="0 2 * * *") for n in range(12))
    place.declare(many)
    terminal = serve_in_terminal(place, columns=columns, rows=rows)
    terminal.read_until("Ctrl-C stops")
    terminal.type("\x03")
    assert terminal.end() == 0
    drawn = re.findall(r"^serving 12 deployments.*?(?:^Ctrl-C|^stopping).*?$", terminal.text, re.MULTILINE | re.DOTALL)
    assert drawn
    for frame in drawn:
        assert max(map(len, frame.split("\n"))) <= columns
        assert len(frame.split("\n")) < rows
    assert ("other deployments" in terminal.text) == (rows < 20)


def test_hostile_names_do_not_reach_the_terminal(place: Place) -> None:
    place.declare(table(place, '"evil [red]name"', "quick"))
    terminal = serve_in_terminal(place)
    terminal.read_until("Ctrl-C stops")
    place.trigger("evil [red]name", "--name", "\x1b]0;owned\x07run")
    terminal.read_until("completed")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "evil [red]name" in terminal.text
    assert b"\x1b]0;" not in terminal.raw
    assert b"\x07" not in terminal.raw


SCRIPT = """
from pathlib import Path
from tests.acceptance.deployed_flows import note, wait_at
from penstock import flow

@flow
def mine(folder: Path):
    note(folder, "before")
    wait_at(folder, "mine")
    note(folder, "after")

if __name__ == "__main__":
    mine.serve("mine", interval="1h", parameters={{"folder": Path({folder!r})}}, limit={limit})
"""


def script(place: Place, limit: int = 2) -> subprocess.Popen[str]:
    """`flow.serve()` in a file of one's own."""
    (place.folder / "mine.py").write_text(SCRIPT.format(folder=str(place.folder), limit=limit))
    environ = {**place.cli.environ, "PYTHONPATH": f"{ROOT}:{place.cli.environ['PYTHONPATH']}"}
    return subprocess.Popen(
        [sys.executable, "mine.py"], cwd=place.folder, env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def states_of_workers(place: Place) -> list[str]:
    return [each["state"] for each in place.cli.json("worker", "list", "--pool", "served")["workers"]]


@pytest.mark.parametrize("with_its_runs", [False, True])
def test_a_script_that_serves_is_killed_and_started_again(place: Place, with_its_runs: bool) -> None:
    first = script(place)
    until(lambda: place.cli.json("deployments", "list")["deployments"], "the deployment")
    run_id = place.trigger("mine")
    place.here("mine")
    under_way = place.pid("mine")
    (kill_tree if with_its_runs else os.kill)(first.pid, signal.SIGKILL)
    first.wait(60)
    second = script(place)
    try:
        until(lambda: "running" in states_of_workers(place), "the second one")  # the first may still be in the list
        place.open("mine")
        run = place.ended(run_id)
        assert (run["state"], run["crashes"]) == ("Completed", int(with_its_runs))
        assert place.ran() == ["before", "after"], "what had completed was not done again"
        soon_gone(under_way)
        answer = place.cli.end(second, signal.SIGINT)
        assert answer.code == 0
        assert answer.out.startswith("Serving mine (mine): every 1 h (UTC)")
        assert "Traceback" not in answer.err
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_a_script_that_cannot_serve(place: Place) -> None:
    process = script(place, limit=0)
    answer = place.cli.end(process)
    assert answer.code == 1
    assert "The limit 0 must be a whole number, at least 1." in answer.err


def test_what_cannot_be_served(place: Place) -> None:
    def told(*args: str) -> str:
        answer = place.cli.run("serve", *args, code=2)
        assert "Traceback" not in answer.err
        return answer.err

    assert "There is no pyproject.toml here or above" in told()
    place.declare('[project]\nname = "x"\n')
    assert "declares no deployments" in told()
    declare(place)
    assert "declares no deployment 'nope'" in told("nope")
    assert "--cron can be given only for one flow" in told("often", "--cron", "@daily")
    assert "folder: missing" in told(f"{FLOWS}:quick", "--cron", "@daily")
    assert "There is no file 'nothing.py'" in told("nothing.py")
    place.cli.run("deploy", f"{FLOWS}:fails", "--name", "often", "-p", f"folder={place.folder}")
    assert "There is a deployment 'often' of another flow ('fails') already" in told()
    assert "nightly" not in place.cli.run("deployments", "list").out  # nothing was deployed of what could have been
