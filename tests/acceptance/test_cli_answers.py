"""`penstock runs answer`, `approve` and `reject`: people and runs that wait for them, under a worker of one slot."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Cli
from tests.patience import until

from penstock.app import Penstock, Settings
from penstock.orchestrator.deployments import trigger

pytestmark = pytest.mark.acceptance

FLOWS = Path(__file__).with_name("lasting_flows.py")


class Desk:
    """Deployed flows, one worker with one slot, and somebody who answers."""

    def __init__(self, cli: Cli) -> None:
        self.cli = cli

    def begin(self, *flows: str) -> list[str]:
        """Let runs of these flows come as far as they get without an answer; their ids."""
        known = {each["name"] for each in self.cli.json("deployments", "list")["deployments"]}
        for name in sorted({*flows} - known):
            self.cli.run("deploy", f"{FLOWS}:{name}", "-p", f"folder={self.cli.folder}")
        made = [self.cli.json("deployments", "run", name.replace("_", "-"))["run"]["id"] for name in flows]
        self.work()
        return made

    def work(self) -> None:
        self.cli.run("worker", "start", "--limit", 1, "--until-idle")

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cli.json("runs", "show", run_id)["run"]
        return found

    def told(self) -> list[Any]:
        file = self.cli.folder / "told.txt"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def desk(cli: Cli) -> Desk:
    return Desk(cli)


def test_an_object_field_by_field(desk: Desk) -> None:
    (run_id,) = desk.begin("delivery")
    assert desk.run(run_id)["state"] == "Paused"
    shown = desk.cli.run("runs", "show", run_id).out
    assert "waits for an answer: How much came?" in shown
    assert f"penstock runs answer {run_id[-8:]}" in shown

    asked = desk.cli.run("runs", "answer", run_id, code=2).err
    assert "wait_for_input#1 asks: How much came?" in asked
    assert "--field crates=... (an integer)" in asked
    assert "[--field remarks=...]" in asked

    wrong = ("--field", "crates=many", "--field", "dya=2026-01-31")
    refused = desk.cli.run("runs", "answer", run_id, *wrong, code=2).err
    assert "3 mistakes" in refused
    assert 'answer.crates: expected an integer, got "many"' in refused
    assert "answer.dya: no such field (there are: crates, day, remarks)" in refused
    assert "answer.day: missing" in refused
    assert "Hint: penstock runs answer" in refused
    assert desk.run(run_id)["state"] == "Paused"

    right = ("--field", "crates=3", "--field", "day=2026-01-31", "--by", "ada")
    assert "as soon as a worker of pool default takes it" in desk.cli.run("runs", "answer", run_id, *right).out
    again = desk.cli.run("runs", "answer", run_id, *right, code=2).err
    assert "was answered already by ada" in again
    desk.work()
    assert desk.told() == [[3, "2026-01-31", "none"]]
    assert desk.run(run_id)["state"] == "Completed"
    ended = desk.cli.run("runs", "answer", run_id, *right, code=2).err
    assert "has ended (Completed), and asks nothing any more" in ended
    (step,) = desk.cli.json("runs", "show", run_id)["steps"]
    assert step["message"] == "Answered by ada."
    assert "Answered by ada." in desk.cli.run("runs", "show", run_id).out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("x",), 'expected an integer, got "x"'),
        (("1.5",), "expected an integer, got 1.5"),
        (("",), 'expected an integer, got ""'),
        (('{"a": 1}',), "expected an integer, got"),
        (("1", "--field", "a=2"), "either as a whole or by its fields"),
        (("--field", "a"), "is not understood"),
        (("--field", "a=1", "--field", "a=2"), "is given twice"),
        (("1", "--step", "approve#1"), "approve#1 of run"),
        ((), "asks: How many?"),
    ],
)
def test_answers_that_are_refused(answered_number: Desk, given: tuple[str, ...], says: str) -> None:
    run_id = answered_number.cli.json("runs", "list")["runs"][0]["id"]
    answer = answered_number.cli.run("runs", "answer", run_id, *given, "--json", code=2)
    assert says in answer.json["error"]["message"]
    assert "Traceback" not in answer.err
    assert answered_number.run(run_id)["state"] == "Paused"


@pytest.fixture(scope="module")
def answered_number(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk that a run asks for a number, which the tests share as nobody answers it."""
    folder = tmp_path_factory.mktemp("desk")
    desk = Desk(Cli(folder, folder / "home"))
    desk.begin("number")
    return desk


def test_an_approval(desk: Desk) -> None:
    yes, no = desk.begin("publishes", "publishes")
    assert "is not for" in desk.cli.run("runs", "approve", yes, "--by", "eve", code=2).err
    assert "--by NAME" in desk.cli.run("runs", "answer", yes, "yes", "--by", "eve", code=2).err
    assert "penstock runs approve" in desk.cli.run("runs", "answer", yes, code=2).err
    assert "penstock runs reject" in desk.cli.run("runs", "show", yes).out
    assert "gives up in" in desk.cli.run("runs", "show", yes).out
    assert "approved" in desk.cli.run("runs", "approve", yes, "--by", "ada", "--note", "totals checked").out
    assert "rejected" in desk.cli.run("runs", "reject", no, "--by", "bob").out
    assert "answered already by ada" in desk.cli.run("runs", "reject", yes, "--by", "bob", code=2).err
    desk.work()
    assert sorted(desk.told()) == [[False, "bob", None], [True, "ada", "totals checked"]]


def test_yes_is_an_answer_to_an_approval(desk: Desk) -> None:
    (run_id,) = desk.begin("publishes")
    desk.cli.run("runs", "answer", run_id, "yes", "--by", "ada")
    desk.work()
    assert desk.told() == [[True, "ada", None]]


def test_what_is_no_approval_is_not_approved(desk: Desk) -> None:
    (run_id,) = desk.begin("number")
    assert "is not to be approved or rejected" in desk.cli.run("runs", "approve", run_id, code=2).err
    assert desk.cli.json("runs", "answer", run_id, "7")["run"]["state"] == "Scheduled"
    desk.work()
    assert desk.told() == [7]


def test_the_deadline_passes_while_no_worker_is_there(desk: Desk) -> None:
    """An answer that comes too late is refused, though no process has noticed it yet."""
    (run_id,) = desk.begin("hurries")
    assert desk.run(run_id)["state"] == "Paused"

    deadline = datetime.fromisoformat(desk.run(run_id)["waiting"]["until"])
    until(lambda: datetime.now(UTC) > deadline, "the deadline")
    too_late = desk.cli.run("runs", "approve", run_id, code=2).err
    assert "Traceback" not in too_late
    assert "The time to answer approve#1 is over" in too_late
    desk.work()
    assert desk.run(run_id)["state"] == "Failed"
    assert desk.told() == []
    assert "Nobody answered approve#1 in time" in desk.cli.run("runs", "show", run_id).out


def test_two_questions_of_one_run(desk: Desk) -> None:
    desk.cli.run("deploy", f"{FLOWS}:two_at_once", "-p", f"folder={desk.cli.folder}")
    run_id = desk.cli.json("deployments", "run", "two-at-once")["run"]["id"]
    worker = desk.cli.start("worker", "start", "--limit", 1, "--until-idle")
    until(lambda: "asks several things" in _asked(desk, run_id), "both questions")
    desk.cli.run("runs", "answer", run_id, "2", "--step", "ask#2/wait_for_input#1")
    desk.cli.run("runs", "answer", run_id, "1")
    assert desk.cli.end(worker).code == 0
    assert desk.told() == [[1, 2]]


def _asked(desk: Desk, run_id: str) -> str:
    return desk.cli.end(desk.cli.start("runs", "answer", run_id)).err


def test_a_pause(desk: Desk) -> None:
    answered, resumed = desk.begin("halts", "halts")
    assert "asks for no value" in desk.cli.run("runs", "answer", answered, "12", code=2).err
    assert desk.cli.json("runs", "answer", answered)["run"]["state"] == "Scheduled"
    desk.cli.run("runs", "resume", resumed)
    desk.work()
    assert desk.told() == ["went on", "went on"]
    (step,) = desk.cli.json("runs", "show", answered)["steps"]
    assert step["message"] == f"Answered by {getpass.getuser()}."


def test_mistakes(cli: Cli) -> None:
    for command in ("answer", "approve", "reject"):
        assert "There are no runs yet" in cli.run("runs", command, "last", code=2).err
        assert "Missing argument 'RUN'" in cli.run("runs", command, code=2).err
    assert not cli.home.exists()


def test_fifty_sleeping_runs_hold_no_slot_of_a_worker_that_has_one(desk: Desk) -> None:
    desk.begin("sleeper")
    app = Penstock(Settings(home=str(desk.cli.home)))
    for _ in range(49):
        trigger(app.journal, "sleeper")
    app.close()
    (quick,) = desk.begin("quick")
    assert desk.told() == ["quick"]
    assert desk.run(quick)["state"] == "Completed"
    asleep = desk.cli.json("runs", "list", "--state", "paused", "--limit", 100)["runs"]
    assert len(asleep) == 50
    assert {run["waiting"]["kind"] for run in asleep} == {"sleep"}
    assert "sleeps, goes on in " in desk.cli.run("runs", "show", asleep[0]["id"]).out
    assert "sleeps, and asks nothing" in desk.cli.run("runs", "answer", asleep[0]["id"], code=2).err
