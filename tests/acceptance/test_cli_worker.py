"""`penstock worker`: real workers, stopped and killed in every way, and what becomes of their runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.acceptance.duty_lab import FLOWS, Place, is_gone, place, soon_gone
from tests.patience import until

from penstock.engine.runners.trees import descendants

pytestmark = pytest.mark.acceptance
__all__ = ["place"]


def test_a_worker_takes_runs_of_its_pool(place: Place) -> None:
    place.deploy("quick")
    place.deploy("quick", "--name", "elsewhere", "--pool", "other")
    worker = place.worker("--limit", "3")
    run_id, other = place.trigger("quick", "-p", "word=taken", "-p", "day=2026-02-03"), place.trigger("elsewhere")
    run = worker.event("ended", run_id)["run"]
    assert (run["state"], run["deployment"], run["cause"], run["pool"]) == ("Completed", "quick", "cli", "default")
    assert place.ran() == ["taken"]

    (listed,) = place.cli.json("worker", "list")["workers"]
    assert (listed["pid"], listed["pool"], listed["limit"]) == (worker.process.pid, "default", 3)
    assert listed["state"] == "running"
    assert "running" in place.cli.run("worker", "list").out
    assert worker.end() == 0
    assert worker.event("stopped")["runs"] == {"completed": 1}
    assert place.cli.json("worker", "list")["workers"] == []
    assert place.run(other)["state"] == "Scheduled"


def test_queues_and_their_priority(place: Place) -> None:
    place.deploy("quick", "--name", "bulk", "--queue", "bulk")
    place.deploy("quick", "--name", "urgent", "--queue", "urgent")
    place.deploy("quick", "--name", "never", "--queue", "never")
    place.cli.run("pools", "queue", "default", "urgent", "--priority", "1")
    place.cli.run("pools", "queue", "default", "never", "--pause")
    for name in ("bulk", "never", "urgent"):
        place.trigger(name, "-p", f"word={name}")
    worker = place.worker("--limit", "1", "--until-idle")
    assert worker.end(None) == 0
    assert place.ran() == ["urgent", "bulk"]
    place.cli.run("pools", "queue", "default", "never", "--resume")
    assert place.worker("--queue", "bulk", "--until-idle").end(None) == 0
    assert place.ran() == ["urgent", "bulk"]
    assert place.worker("--queue", "never", "--queue", "bulk", "--until-idle").end(None) == 0
    assert place.ran() == ["urgent", "bulk", "never"]
    assert "--delete forgets" in place.cli.run("pools", "queue", "default", "urgent", "--delete", "--pause", code=2).err
    place.cli.run("pools", "queue", "default", "urgent", "--delete")
    (pool,) = place.cli.json("pools", "list")["pools"]
    assert [queue["name"] for queue in pool["queues"]] == ["never"]
    assert "Nothing is set" in place.cli.run("pools", "queue", "default", "urgent", "--delete", code=2).err


def test_a_limit_of_a_pool_holds_over_its_workers(place: Place) -> None:
    place.deploy("gated")
    place.cli.run("pools", "set", "default", "--limit", "1")
    workers = [place.worker(), place.worker()]
    first, second = place.trigger("gated", "-p", "name=one"), place.trigger("gated", "-p", "name=two")
    until(lambda: {"one", "two"} & set(place.ran()), "the first gate")
    (at,) = {"one", "two"} & set(place.ran())
    assert [place.run(each)["state"] for each in (first, second)].count("Scheduled") == 1
    place.open(at)
    other = {"one": "two", "two": "one"}[at]
    place.here(other)
    place.open(other)
    assert {place.ended(each)["state"] for each in (first, second)} == {"Completed"}
    assert [worker.end() for worker in workers] == [0, 0]


def test_sigterm_lets_the_runs_under_way_end(place: Place) -> None:
    place.deploy("gated")
    worker = place.worker()
    under_way = place.trigger("gated")
    place.here("gate")
    worker.send(signal.SIGTERM)
    until(lambda: "Stopping when the runs under way have ended" in worker.err, "the answer to SIGTERM")
    later = place.trigger("gated", "-p", "name=later")
    place.open("gate")
    assert worker.end(None) == 0
    assert place.run(under_way)["state"] == "Completed"
    assert place.run(later)["state"] == "Scheduled"
    assert place.ran() == ["before", "gate", "after"]
    assert "Traceback" not in worker.err


@pytest.mark.parametrize("how", ["time is up", "a second signal"])
def test_what_has_not_ended_goes_back_and_another_worker_goes_on(place: Place, how: str) -> None:
    place.deploy("gated")
    worker = place.worker("--drain", "0" if how == "time is up" else "60")
    run_id = place.trigger("gated")
    place.here("gate")
    process = place.pid("gate")
    worker.send(signal.SIGTERM)
    if how != "time is up":
        until(lambda: "Once more: at once" in worker.err, "the answer to SIGTERM")
        worker.send(signal.SIGTERM)
    assert worker.end(None) == 0
    assert worker.event("back", run_id)["run"]["state"] == "Scheduled"
    assert worker.event("stopped")["put_back"] == 1
    assert is_gone(process)
    assert place.run(run_id)["crashes"] == 0
    assert "Its worker stopped" in place.cli.run("runs", "show", run_id).out

    place.open("gate")
    other = place.worker()
    assert place.ended(run_id)["state"] == "Completed"
    assert place.ran() == ["before", "gate", "gate", "after"]
    assert other.end() == 0


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def test_a_worker_is_killed_with_all_it_has_started_and_another_one_goes_on(
    place: Place, database: str, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        place.cli.environ["PENSTOCK_DATABASE_URL"] = request.getfixturevalue("postgres_url")
        place.cli.run("db", "upgrade")
    place.deploy("gated")
    worker = place.worker()
    run_id = place.trigger("gated")
    place.here("gate")
    process = place.pid("gate")
    worker.kill_all()
    soon_gone(process)
    assert place.run(run_id)["state"] == "Crashed"  # as it is shown while nobody has taken it up

    place.open("gate")
    other = place.worker()
    run = place.ended(run_id)
    assert (run["state"], run["crashes"], run["attempt"]) == ("Completed", 1, 1)
    assert place.ran() == ["before", "gate", "gate", "after"]
    assert len(other.all("taken", run_id)) == 1
    assert other.end() == 0


def test_a_run_outlives_its_worker_and_nobody_else_executes_it(place: Place) -> None:
    place.deploy("gated")
    worker = place.worker()
    run_id = place.trigger("gated")
    place.here("gate")
    worker.kill()
    other = place.worker()
    look = place.trigger("gated", "-p", "name=look")  # the other one is at work
    place.here("look")
    place.open("look")
    assert place.ended(look)["state"] == "Completed"
    assert place.run(run_id)["state"] == "Running"
    assert [each["state"] for each in place.cli.json("worker", "list")["workers"]] in (["gone", "running"], ["running"])
    place.open("gate")
    run = place.ended(run_id)
    assert (run["state"], run["crashes"]) == ("Completed", 0)
    assert place.ran().count("gate") == 1
    assert other.all("taken", run_id) == []
    assert other.end() == 0


def test_printing_goes_on_when_nobody_reads_it_any_more(place: Place) -> None:
    place.deploy("chatty")
    worker = place.cli.start("worker", "start")
    run_id = place.trigger("chatty")
    place.here("chatty")
    worker.kill()
    worker.wait()
    for stream in (worker.stdout, worker.stderr):
        assert stream is not None
        stream.close()
    place.open("chatty")
    run = place.ended(run_id)
    assert (run["state"], run["message"]) == ("Completed", None)


def test_the_process_of_a_run_dies_and_the_run_is_taken_up_again(place: Place) -> None:
    place.deploy("dies")
    worker = place.worker()
    run_id = place.trigger("dies")
    run = place.ended(run_id)
    assert (run["state"], run["crashes"]) == ("Completed", 2)
    assert place.ran() == ["before", "after"]
    worker.event("ended", run_id)  # the last that it says of it
    assert [e["run"]["crashes"] for e in worker.all("back", run_id)] == [1, 2]
    assert "killed by signal 9" in worker.all("back", run_id)[0]["why"]
    assert "crashes" in place.cli.run("runs", "list").out
    assert "so often its process died" in place.cli.run("runs", "show", run_id).out
    assert worker.end() == 0


def test_a_run_whose_process_dies_too_often_has_crashed(place: Place) -> None:
    place.declare(
        f'[tool.penstock.deployments.fragile]\nflow = "{FLOWS}:dies"\ncrash_retries = 1\ncrash_delay_seconds = 0\n'
        f'parameters = {{ folder = "{place.folder}" }}\n'
    )
    place.cli.run("deploy")
    worker = place.worker()
    run = place.ended(place.trigger("fragile"))
    assert (run["state"], run["crashes"]) == ("Crashed", 1)
    assert "attempt 2, and the last" in run["message"]
    assert worker.end() == 0


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancelling_kills_the_process_tree_of_a_run(place: Place, stubborn: bool) -> None:
    place.deploy("family")
    worker = place.worker()
    run_id = place.trigger("family", "-p", f"stubborn={str(stubborn).lower()}")
    place.here("family")
    family = {place.pid("family"), place.pid("child")}
    (grandchild,) = until(lambda: descendants(place.pid("child")), "the child of the child")
    nursery = parent_of(place.pid("family"))
    assert {nursery, grandchild, *family} <= {*worker.tree()} - {worker.process.pid}
    run = place.cli.json("runs", "cancel", run_id, "--grace", "60" if not stubborn else "0.5")["run"]
    assert run["state"] == "Cancelled"
    for pid in (*family, grandchild):
        soon_gone(pid)
    assert not is_gone(nursery)
    place.deploy("quick")
    assert place.ended(place.trigger("quick"))["state"] == "Completed"  # the worker goes on
    assert worker.event("ended", run_id)["run"]["state"] == "Cancelled"
    assert worker.end() == 0


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_run_that_waits_is_cancelled(place: Place) -> None:
    place.deploy("quick")
    run_id = place.trigger("quick", "--at", "in 630s")  # ten minutes, for half a minute
    assert "in 10 min" in place.cli.run("runs", "list").out
    assert place.cli.json("runs", "cancel", run_id)["run"]["state"] == "Cancelled"
    assert place.worker("--until-idle").end(None) == 0
    assert place.ran() == []


FLOW = "from penstock import flow\nfrom pathlib import Path\n\n@flow\ndef mine(folder: Path):\n"
NOTE = "    with open(folder / 'ran.txt', 'a') as ran:\n        ran.write({!r} + chr(10))\n"


def own_flow(place: Place, body: str) -> None:
    (place.folder / "own.py").write_text(FLOW + body)


@pytest.mark.parametrize("how", [(), ("--fresh",)], ids=["forked", "fresh"])
def test_a_flow_file_with_a_mistake_and_mended(place: Place, how: tuple[str, ...]) -> None:
    own_flow(place, NOTE.format("first"))
    place.cli.run("deploy", "own.py", "-p", f"folder={place.folder}")
    worker = place.worker(*how)
    assert place.ended(place.trigger("mine"))["state"] == "Completed"
    own_flow(place, "    this is no Python\n")
    run_id = place.trigger("mine")
    run = place.ended(run_id)
    assert (run["state"], run["crashes"]) == ("Failed", 0)
    assert "could not be loaded" in run["message"]
    assert "SyntaxError" in run["message"]
    assert "line 6" in run["message"]
    assert worker.event("ended", run_id)["run"]["state"] == "Failed"
    own_flow(place, NOTE.format("mended"))
    assert place.ended(place.trigger("mine"))["state"] == "Completed"
    (place.folder / "own.py").unlink()
    gone = place.ended(place.trigger("mine"))
    assert gone["state"] == "Failed"
    assert "There is no file" in gone["message"]
    assert place.ran() == ["first", "mended"]
    assert worker.end() == 0


@pytest.mark.parametrize("changed", ["the flow's file", "a module it imports"])
def test_changed_code_is_used_from_the_next_run_on(place: Place, changed: str) -> None:
    own_flow(place, "    import word\n" + NOTE.format("own").replace("'own'", "word.WORD"))
    (place.folder / "word.py").write_text("WORD = 'old'\n")
    source = (place.folder / "own.py").read_text().replace("    import word\n", "")
    (place.folder / "own.py").write_text("import word\n" + source)
    place.cli.run("deploy", "own.py", "-p", f"folder={place.folder}")
    worker = place.worker()
    place.ended(place.trigger("mine"))
    if changed == "the flow's file":
        own_flow(place, NOTE.format("changed"))
    else:
        (place.folder / "word.py").write_text("WORD = 'changed'\n")
    place.ended(place.trigger("mine"))
    assert place.ran() == ["old", "changed"]
    assert worker.end() == 0


def test_a_folder_that_is_not_there_and_a_worker_of_another_folder(place: Place, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "own.py").write_text(FLOW + NOTE.format("moved"))
    cli = type(place.cli)(project, place.cli.home)
    cli.run("deploy", "own.py", "-p", f"folder={place.folder}")
    del place.cli.environ["PENSTOCK_HOME"]  # said by the project of the worker instead, in a file
    place.declare(f'[tool.penstock]\nhome = "{place.cli.home}"\n')
    worker = place.worker()
    assert place.ended(place.trigger("mine"))["state"] == "Completed"
    project.rename(tmp_path / "away")
    run = place.ended(place.trigger("mine"))
    assert run["state"] == "Failed"
    assert f"its folder {project} is not on this machine" in run["message"]
    assert worker.end() == 0


def test_a_scheduler_is_where_it_is_wanted(place: Place) -> None:
    place.deploy("tick", "--interval", "1s")
    alone = place.worker("--no-scheduler")
    run_id = place.trigger("tick")
    alone.event("ended", run_id)
    until(lambda: "overdue" in place.cli.run("deployments", "list").out, "what nobody schedules")
    assert "No scheduler is at work" in place.cli.run("deployments", "show", "tick").out
    assert {e["run"]["cause"] for e in alone.all("taken")} == {"cli"}
    both = place.worker()
    until(lambda: "schedule" in {e["run"]["cause"] for e in [*alone.all("ended"), *both.all("ended")]}, "a tick")
    assert [alone.end(), both.end()] == [0, 0]


def test_plain_lines(place: Place) -> None:
    place.deploy("fails")
    place.deploy("quick")
    place.trigger("fails", "--name", "tried-in-vain")
    place.trigger("quick")
    answer = place.cli.run("worker", "start", "--until-idle")
    assert answer.out.startswith("Taking runs of the pool default, at most 8 at once")
    assert "✗ fails · " in answer.out
    assert "failed" in answer.out
    assert "ValueError: there is nothing to be had" in answer.out
    assert "✓ quick · " in answer.out
    assert answer.out.endswith("Stopped: 1 completed, 1 failed.\n")
    assert "noting quick" in answer.err
    assert "✗ fails · tried-in-vain" in answer.out
    assert "tried-in-vain" not in answer.err

    place.trigger("fails")
    place.trigger("quick")
    quiet = place.cli.run("worker", "start", "--until-idle", "--quiet")
    assert len(quiet.out.splitlines()) == 1
    assert "ValueError" in quiet.out
    assert quiet.err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("worker", "start", "--limit", "0"), "usage", "--limit"),
        (("worker", "start", "--drain", "-1"), "usage", "--drain"),
        (("worker", "begin"), "usage", "No such command"),
    ],
)
def test_mistakes(place: Place, arguments: tuple[str, ...], code: str, told: str) -> None:
    answer = place.cli.run(*arguments, "--json", code=2)
    assert answer.json["error"]["code"] == code
    assert told in answer.json["error"]["message"]


def test_a_database_that_is_not_there(place: Place) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/nothing"
    for command in (("worker", "start"), ("serve", f"{FLOWS}:tick", "-p", "folder=."), ("deployments", "list")):
        answer = place.cli.run(*command, code=2, PENSTOCK_DATABASE_URL=nowhere)
        assert "Traceback" not in answer.err
        assert answer.err.startswith("Error: ")
        assert "Hint: " in answer.err


def test_no_worker(place: Place) -> None:
    assert "There is no worker. Start one: penstock worker start" in place.cli.run("worker", "list").out
    assert not place.cli.home.exists()
