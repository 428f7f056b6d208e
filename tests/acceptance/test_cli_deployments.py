"""`penstock deploy`, `deployments` and `pools`: what is declared, and what becomes of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.acceptance.cli_lab import ROOT, Cli
from tests.acceptance.duty_lab import FLOWS, Place, place
from tests.acceptance.json_api import Reply, serving

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

USERS = [{"id": 1, "name": "Ada", "username": "ada", "email": "ada@example.org"}]
POSTS = [{"id": 1, "userId": 1, "title": "On engines", "body": "They weave."}]
FOUR = {
    "nightly": 'cron = "0 2 * * *"',
    "often": 'interval = "6h"',
    "hourly": 'cron = "@hourly"',
    "office": 'cron = "0 9-17 * * MON-FRI"\ntimezone = "Europe/Paris"',
}


def declared(place: Place, **tables: str) -> None:
    parameters = f'parameters = {{ folder = "{place.folder}" }}'
    place.declare(
        "\n".join(
            f'[tool.penstock.deployments.{name}]\nflow = "{FLOWS}:quick"\n{parameters}\n{text}\n'
            for name, text in tables.items()
        )
    )


def changes(answer: Any) -> dict[str, str]:
    return {each["name"]: each["change"] for each in answer["deployments"]}


def shown(place: Place, name: str) -> dict[str, Any]:
    found: dict[str, Any] = place.cli.json("deployments", "show", name)
    return found


def test_the_four_schedules_of_the_sample_project_are_declared_data(place: Place) -> None:
    declared(place, **FOUR)
    dry = place.cli.json("deploy", "--dry-run")
    assert set(changes(dry).values()) == {"new"}
    assert not place.cli.json("deployments", "list")["deployments"]
    assert changes(place.cli.json("deploy")) == dict.fromkeys(FOUR, "new")
    assert changes(place.cli.json("deploy")) == dict.fromkeys(FOUR, "unchanged")
    listed = {each["name"]: each for each in place.cli.json("deployments", "list")["deployments"]}
    assert set(listed) == set(FOUR)
    assert all(each["next_due"] for each in listed.values())
    hours = {
        int(due["local"][11:13]) for due in place.cli.json("deployments", "show", "office", "--next", "30")["next"]
    }
    assert hours == set(range(9, 18))
    assert {due["local"][11:16] for due in shown(place, "nightly")["next"]} == {"02:00"}
    told = place.cli.run("deployments", "list").out
    assert re.search(r"^office +quick +0 9-17 \* \* MON-FRI \(Europe/Paris\) +in ", told, re.MULTILINE)


def test_the_example_is_deployed_and_runs(place: Place) -> None:
    example = ROOT / "examples" / "users_posts"
    cli = Cli(example, place.cli.home)
    assert changes(cli.json("deploy")) == dict.fromkeys(["nightly", "six-hourly", "hourly", "office"], "new")
    data = {"/users": [Reply(USERS)], "/posts": [Reply(POSTS)]}
    with serving(data) as api:
        made = cli.json(
            "deployments", "run", "nightly", "-p", f"base_url={api.url}", "-p", f"output_dir={place.folder / 'made'}"
        )
        assert place.worker("--until-idle", "--no-scheduler").end(None) == 0  # one of them is due every hour
    assert place.run(made["run"]["id"])["state"] == "Completed"
    assert len(list((place.folder / "made").glob("*.csv"))) == 5


def test_what_is_changed_added_and_removed(place: Place) -> None:
    declared(place, **FOUR)
    place.cli.run("deploy")
    before = shown(place, "often")["deployment"]["schedules"]
    declared(place, nightly='cron = "0 3 * * *"\ntags = ["etl"]', often=FOUR["often"], fresh="")
    dry = place.cli.run("deploy", "--prune", "--dry-run").out
    assert "~ nightly  changed" in dry
    assert "0 2 * * * → 0 3 * * *" in dry
    assert 'tags  none → ["etl"]' in dry
    assert "Nothing was changed" in dry
    found = place.cli.json("deploy", "--prune")
    assert changes(found) == {
        "nightly": "changed", "often": "unchanged", "fresh": "new", "hourly": "removed", "office": "removed",
    }  # fmt: skip
    assert shown(place, "often")["deployment"]["schedules"] == before
    assert {each["name"] for each in place.cli.json("deployments", "list")["deployments"]} == {
        *("nightly", "often", "fresh")
    }
    assert "when triggered" in place.cli.run("deployments", "list", "--pool", "default").out


def test_automations_that_are_declared_no_more_are_removed(place: Place) -> None:
    declared(place, nightly='cron = "0 3 * * *"')
    project = place.folder / "pyproject.toml"
    bare = project.read_text()
    table = (
        '[tool.penstock.automations.{0}]\ntrigger.event = "RunFailed"\n'
        'actions = [{{ type = "notify", message = "no" }}]\n'
    )
    project.write_text(bare + table.format("one") + table.format("two"))
    assert "+ automation one  new" in place.cli.run("deploy").out
    project.write_text(bare + table.format("two"))
    place.cli.run("deploy")
    assert "- automation one  removed" in place.cli.run("deploy", "--prune", "--dry-run").out
    names = {each["name"] for each in place.cli.json("automations", "list")["automations"]}
    assert names == {"one", "two"}
    removed = place.cli.json("deploy", "--prune")["automations"]
    assert {each["name"]: each["change"] for each in removed} == {"one": "removed", "two": "unchanged"}
    assert [each["name"] for each in place.cli.json("automations", "list")["automations"]] == ["two"]


def test_paused_by_hand_stays_paused(place: Place) -> None:
    declared(place, nightly='schedules = ["0 2 * * *", { cron = "0 3 * * *", name = "late" }]')
    place.cli.run("deploy")
    assert "paused" in place.cli.run("deployments", "pause", "nightly").out
    declared(place, nightly='schedules = ["0 2 * * *", { cron = "0 4 * * *", name = "late" }]')
    assert "paused (penstock deployments resume nightly)" in place.cli.run("deploy").out
    assert place.cli.json("deployments", "resume", "nightly")["deployment"]["next_due"] is not None
    place.cli.run("deployments", "pause", "nightly", "--schedule", "late")
    schedules = {each["name"]: each["paused"] for each in shown(place, "nightly")["deployment"]["schedules"]}
    assert schedules == {"schedule-1": False, "late": True}
    assert "late: paused" in place.cli.run("deployments", "pause", "nightly", "--schedule", "late").out


def test_every_mistake_of_a_project_is_told_at_once(place: Place) -> None:
    (place.folder / "broken.py").write_text("import nothing_of_this_name\n")
    (place.folder / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    declared(
        place,
        one='cron = "61 2 * * *"\ntimezone = "Mars"\ntags = "x"\ncolision = "skip"\npaused = "no"\npriority = "high"\n'
        'concurrency = 0\npool = "a/b"\ncrash_retries = -1\npromises = { finnish = "1h", fresh = "soon" }',
        two='parameters.nummer = 1\nparameters.day = "then"',
        three='schedules = [{ corn = "* * * * *" }]',
    )
    file = place.folder / "pyproject.toml"
    for name in ("broken", "leaves", "gone"):
        file.write_text(file.read_text() + f'[tool.penstock.deployments.{name}]\nflow = "{name}.py"\n')
    file.write_text(file.read_text() + "[tool.penstock.deployments.four]\ncron = '@daily'\n")
    text = file.read_text().replace(
        f'parameters = {{ folder = "{place.folder}" }}\nparameters.nummer', "parameters.nummer"
    )
    file.write_text(text)
    answer = place.cli.run("deploy", code=2)
    for told in (
        "minute field '61'", "no time zone 'Mars'", "tags must be a list of texts", "did you mean collision?",
        "paused must be true or false", "priority must be a whole number", "concurrency 0 must be at least 1",
        "pool 'a/b'", "crash_retries -1", "did you mean finish?", "'soon' is no length of time",
        "parameter nummer: ", "parameter day: ", "did you mean cron?", "needs the module 'nothing_of_this_name'",
        "ended the process while it was imported", "There is no file 'gone.py'", "does not say which flow it is",
    ):  # fmt: skip
        assert told in answer.err, f"{told}\n{answer.err}"
    assert "Traceback" not in answer.err
    assert not place.cli.home.exists(), "nothing was deployed of what could have been"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool.penstock.deployments", "cannot be read"),
        ("[tool]\npenstock = 3\n", "penstock is no table"),
        ("[tool.penstock]\ndeployments = []\n", "deployments is no table"),
        ("", "declares no deployments"),
        ("[tool.penstock.deployments.a]\n[tool.penstock.deployments.a]\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used(place: Place, text: str, told: str) -> None:
    place.declare(text)
    answer = place.cli.run("deploy", code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_name_belongs_to_one_flow(place: Place) -> None:
    place.deploy("quick", "--name", "mine")
    answer = place.cli.run("deploy", f"{FLOWS}:tick", "--name", "mine", "-p", "folder=x", code=2)
    assert "There is a deployment 'mine' of another flow ('quick') already" in answer.err
    assert "penstock deployments delete mine" in answer.err


def test_one_key_is_one_run_however_many_ask_at_once(place: Place) -> None:
    place.deploy("quick")
    command = ("deployments", "run", "quick", "--key", "order-17", "--json")
    processes = [place.cli.start(*command) for _ in range(4)]
    answers = [place.cli.end(process) for process in processes]
    assert [answer.code for answer in answers] == [0, 0, 0, 0], [answer.err for answer in answers]
    assert len({answer.json["run"]["id"] for answer in answers}) == 1
    assert place.worker("--until-idle").end(None) == 0
    assert place.ran() == ["quick"]
    again = place.cli.run(*command[:-1])
    assert "has the key already (completed)" in again.out
    assert len(place.cli.json("runs", "list")["runs"]) == 1


def test_a_run_of_it(place: Place) -> None:
    place.deploy("quick", "--name", "mine", "--tag", "etl")
    made = place.cli.json("deployments", "run", "mine", "-p", "word=later", "--at", "in 2h", "--tag", "mine")
    assert (made["new"], made["run"]["state"]) == (True, "Scheduled")
    assert set(made["run"]["tags"]) == {"etl", "mine"}
    told = place.cli.run("deployments", "run", "mine")
    assert "No worker takes runs of the pool default now." in told.out
    assert "penstock worker start" in told.out
    worker = place.worker()
    followed = place.cli.run("deployments", "run", "mine", "-p", "word=followed", "--follow")
    assert "noting followed" in followed.out
    assert "✓ quick completed" in followed.out
    assert worker.end() == 0
    assert sorted(place.ran()) == ["followed", "quick"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "nothing"), "There is no deployment 'nothing'"),
        (("run", "quick", "-p", "worde=x"), "worde: no such parameter"),
        (("run", "quick", "-p", "day=then"), "day: "),
        (("run", "quick", "--at", "then"), "'then' is no time"),
        (("show", "nothing"), "deployments there are: quick"),
        (("pause", "nothing"), "There is no deployment"),
        (("resume", "quick", "--schedule", "x"), "has no schedule 'x'"),
        (("delete", "nothing"), "There is no deployment"),
        (("list", "--limit", "0"), "--limit"),
    ],
)
def test_mistakes(place: Place, arguments: tuple[str, ...], told: str) -> None:
    place.deploy("quick")
    answer = place.cli.run("deployments", *arguments, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_deleted(place: Place) -> None:
    place.deploy("quick", "--cron", "@daily")
    run_id = place.trigger("quick")
    told = place.cli.run("deployments", "delete", "quick").out
    assert "1 run of it has not ended" in told
    assert not place.cli.json("deployments", "list")["deployments"]
    assert place.worker("--until-idle").end(None) == 0
    assert place.run(run_id)["state"] == "Completed"


def test_show_tells_promises_and_how_runs_went(place: Place) -> None:
    declared(
        place,
        nightly=f'{FOUR["nightly"]}\npromises = {{ start = "5m", duration = "1h", finish = 7200, fresh = "26h" }}',
    )
    place.cli.run("deploy")
    place.trigger("nightly")
    assert place.worker("--until-idle", "--no-scheduler").end(None) == 0
    told = place.cli.run("deployments", "show", "nightly").out
    assert "starts within 5 min of being due, takes no longer than 1 h, has ended 2 h after it was due" in told
    assert "a completed run is never older than 1 day 2 h" in told
    assert "1 of the last 1 completed" in told
    promises = shown(place, "nightly")["deployment"]["promises"]
    assert promises == {"start_seconds": 300, "duration_seconds": 3600, "finish_seconds": 7200, "fresh_seconds": 93600}


def test_a_missed_promise_is_an_event(place: Place) -> None:
    declared(place, quick='promises = { finish = "0.001s" }')
    place.cli.run("deploy")
    run_id = place.trigger("quick")
    for _ in range(2):  # schedulers that look again do not tell it again
        assert place.worker("--until-idle").end(None) == 0
    events = place.cli.json("events", "list", "--type", "DeadlineMissed")["events"]
    assert [(e["promise"], e["run_id"], e["deployment"]) for e in events] == [("finish", run_id, "quick")]


def test_pools(place: Place) -> None:
    assert "There are no pools yet" in place.cli.run("pools", "list").out
    place.deploy("quick", "--pool", "etl", "--queue", "urgent")
    place.trigger("quick")
    place.cli.run("pools", "set", "etl", "--limit", "3", "--description", "the warehouse")
    place.cli.run("pools", "queue", "etl", "urgent", "--priority", "1", "--limit", "2")
    (pool,) = place.cli.json("pools", "list")["pools"]
    assert (pool["name"], pool["limit"], pool["waiting"], pool["workers"]) == ("etl", 3, 1, 0)
    told = place.cli.run("pools", "show", "etl").out
    assert "the warehouse" in told
    assert re.search(r"urgent +1 +2", told)
    place.cli.run("pools", "pause", "etl")
    assert place.worker("--pool", "etl", "--until-idle").end(None) == 0
    assert place.ran() == []
    assert "The pool etl is paused." in place.cli.run("deployments", "run", "quick").out
    place.cli.run("pools", "resume", "etl")
    assert place.worker("--pool", "etl", "--until-idle").end(None) == 0
    assert place.ran() == ["quick", "quick"]
    used = place.cli.run("pools", "delete", "etl", code=2).err
    assert "in use by the deployments quick" in used
    place.cli.run("deployments", "delete", "quick")
    place.cli.run("pools", "delete", "etl")
    assert place.cli.json("pools", "list")["pools"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "a/b", "--limit", "1"), "without slashes"),
        (("set", "a"), "There is nothing to set"),
        (("set", "a", "--limit", "0"), "--limit"),
        (("set", "a", "--limit", "1", "--no-limit"), "contradict"),
        (("pause", "a"), "There is no pool 'a'"),
        (("show", "a"), "There is no pool 'a'"),
        (("queue", "a", "q"), "There is nothing to set"),
        (("queue", "a", "q", "--pause", "--resume"), "contradict"),
    ],
)
def test_mistakes_about_pools(place: Place, arguments: tuple[str, ...], told: str) -> None:
    answer = place.cli.run("pools", *arguments, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_pool_that_nothing_is_in_is_told_of(place: Place) -> None:
    place.deploy("quick", "--pool", "etl")
    told = place.cli.run("worker", "start", "--pool", "elt", "--until-idle").out
    assert "No deployment is in the pool elt yet. Others there are: etl." in told
    told = place.cli.run("worker", "start", "--pool", "etl", "--queue", "urgent", "--until-idle").out
    assert "Nothing is in the queue urgent yet. Others there are: default." in told
    assert "yet" not in place.cli.run("worker", "start", "--pool", "etl", "--until-idle").out
