"""`penstock run`: parameters, outcome, exit codes, and what is seen in a pipe."""

from __future__ import annotations

import importlib.util
import json
import signal

import pytest
from tests.acceptance.cli_lab import FLOWS, Cli
from tests.patience import until

pytestmark = pytest.mark.acceptance


def test_a_completed_run_says_what_it_did(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:hello", "--param", "name=Ada", "-p", "times=2")
    assert "greeting Ada" in answer.out
    assert "greet#2" in answer.out
    assert "hello completed in" in answer.out
    assert "2 steps: 2 completed" in answer.out
    assert "returned ['hello Ada', 'hello Ada']" in answer.out
    assert "\x1b" not in answer.out + answer.err


def test_the_outcome_as_json(cli: Cli) -> None:
    answer = cli.json("run", f"{FLOWS}:hello", "-p", "times=3", "--name", "a {name}", "--tag", "trial", "--tag", "x")
    run = answer["run"]
    assert (answer["exit_code"], answer["steps"], answer["retries"]) == (0, {"completed": 3}, 0)
    assert (answer["result"], answer["result_type"], answer["error"]) == (["hello you"] * 3, "list", None)
    assert (run["name"], run["flow"], run["state"], run["tags"]) == ("a {name}", "hello", "Completed", ["trial", "x"])
    assert run["parameters"] == {"name": "you", "times": 3}
    assert run["started_at"].endswith("Z")
    assert run["duration_seconds"] > 0


def test_an_async_flow(cli: Cli) -> None:
    assert cli.json("run", f"{FLOWS}:hello_async")["result"] == "hello you"


def test_json_is_alone_on_stdout(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:prints", "--json")
    assert answer.json["result"] == {"rows": 3}
    assert "printed to stdout" in answer.err


def test_quiet_shows_only_the_end(cli: Cli) -> None:
    lines = cli.run("run", f"{FLOWS}:hello", "--quiet").out.splitlines()
    assert len(lines) == 1
    assert "hello completed" in lines[0]


def test_parameters_are_read_as_their_annotations_ask(cli: Cli) -> None:
    given = {
        "text": "007",
        "count": "12",
        "share": "1",
        "day": "2026-01-31",
        "kind": "small",
        "cities": '["Rome", "5"]',
        "place": '{"city": "Oslo", "zip": "150"}',
        "folder": "a/b",
        "loud": "true",
    }
    pairs = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    assert cli.json("run", f"{FLOWS}:typed", *pairs)["result"] == [
        "'007'",
        "12",
        "1.0",
        "datetime.date(2026, 1, 31)",
        "'small'",
        "['Rome', '5']",
        "Place(city='Oslo', zip=150)",
        "PosixPath('a/b')",
        "True",
    ]


def test_null_and_an_equals_sign(cli: Cli) -> None:
    result = cli.json("run", f"{FLOWS}:typed", "-p", "text=a=b", "-p", "count=1", "-p", "day=null")["result"]
    assert (result[0], result[3]) == ("'a=b'", "None")


def test_every_mistake_at_once(cli: Cli) -> None:
    pairs = ["text", "cuont=1", "day=soon", "kind=huge", "cities=Oslo", 'place={"zip": 1}', "loud=maybe"]
    answer = cli.run("run", f"{FLOWS}:typed", *[part for pair in pairs for part in ("-p", pair)], code=2)
    told = answer.err
    assert "8 mistakes in the parameters of flow 'typed'" in told
    for part in (
        "text: give it as NAME=VALUE",
        "count: missing",
        "cuont: no such parameter (there are: text, count, share",
        "day: expected",
        "kind: expected one of 'big', 'small'",
        "cities: give it as JSON",
        "place: expected Place or None",
        "loud: expected bool",
        "Hint: penstock flows show",
    ):
        assert part in told
    assert "Traceback" not in told
    assert answer.out == ""
    assert cli.json("runs", "list")["runs"] == []


def test_a_mistake_as_json(cli: Cli) -> None:
    error = cli.json("run", f"{FLOWS}:hello", "-p", "times=many", code=2)["error"]
    assert error["code"] == "parameters"
    assert "times: expected int" in error["message"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.json", '{"name": "Ada", "times": 2}'), ("p.toml", 'name = "Ada"\ntimes = 2\n')],
)
def test_a_parameters_file(cli: Cli, name: str, text: str) -> None:
    (cli.folder / name).write_text(text)
    assert cli.json("run", f"{FLOWS}:hello", "--params-file", name)["result"] == ["hello Ada"] * 2
    over = cli.json("run", f"{FLOWS}:hello", "--params-file", name, "-p", "times=1")
    assert over["result"] == ["hello Ada"]


def test_a_parameters_file_in_yaml(cli: Cli) -> None:
    (cli.folder / "p.yaml").write_text("name: Ada\n")
    if importlib.util.find_spec("yaml") is not None:
        assert cli.json("run", f"{FLOWS}:hello", "--params-file", "p.yaml")["result"] == ["hello Ada"]
    else:
        assert "pip install pyyaml" in cli.run("run", f"{FLOWS}:hello", "--params-file", "p.yaml", code=2).err


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("p.json", "{", "not correct JSON"),
        ("p.toml", "x = ", "not correct TOML"),
        ("p.json", "[1]", "holds a list"),
        ("p.ini", "", "no kind of parameters file"),
        ("p.json", '{"nmae": "Ada"}', "nmae: no such parameter"),
        ("p.toml", None, "cannot be read"),
    ],
)
def test_a_parameters_file_that_is_wrong(cli: Cli, name: str, text: str | None, told: str) -> None:
    if text is not None:
        (cli.folder / name).write_text(text)
    answer = cli.run("run", f"{FLOWS}:hello", "--params-file", name, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "declares no flow"),
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero (line 1)"),
        ("def f(:\n", "SyntaxError"),
        ("import no_such_package\n", "needs the module 'no_such_package', which is not installed"),
        ("raise SystemExit(3)\n", "ended the process while it was imported"),
        ("from penstock import flow\n@flow\ndef a(): ...\n@flow\ndef b(): ...\n", "flows there: a, b"),
        (None, "There is no file 'mine.py'"),
    ],
)
def test_a_file_that_cannot_be_run(cli: Cli, text: str | None, told: str) -> None:
    if text is not None:
        (cli.folder / "mine.py").write_text(text)
    answer = cli.run("run", "mine.py", code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_other_targets_that_cannot_be_run(cli: Cli) -> None:
    assert "is a folder" in cli.run("run", ".", code=2).err
    assert "There is no module 'no_such_module'" in cli.run("run", "no_such_module:x", code=2).err
    assert "flows there: hello" in cli.run("run", f"{FLOWS}:nope", code=2).err


def test_a_module_of_this_folder(cli: Cli) -> None:
    package = cli.folder / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "flows.py").write_text("from penstock import flow\n@flow\ndef a():\n    return 5\n")
    assert cli.json("run", "shop.flows")["result"] == 5


def test_debug_shows_the_traceback_of_a_mistake(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text("x = 1 / 0\n")
    told = cli.run("run", "mine.py", "--debug", code=2).err
    assert "Traceback" in told
    assert "x = 1 / 0" in told


def test_a_failing_flow_shows_its_own_traceback(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:breaks", "-p", f"folder={cli.folder}", code=1)
    assert "breaks failed after" in answer.out
    assert "FileNotFoundError: nobody has mended it" in answer.out
    assert 'raise FileNotFoundError("nobody has mended it")' in answer.out
    assert "penstock runs resume" in answer.out
    assert "--from picky#1" in answer.out
    assert "src/penstock" not in answer.out


def test_causes_are_shown_without_frames_of_the_engine(cli: Cli) -> None:
    told = cli.run("run", f"{FLOWS}:hostile", code=1).out
    assert "RuntimeError: it was wrapped" in told
    assert "The above exception was the direct cause" in told
    assert "src/penstock" not in told


def test_hostile_text_is_harmless(cli: Cli) -> None:
    name = "bad\n\x1b[31m[red]name"
    answer = cli.run("run", f"{FLOWS}:hostile", "--name", name, code=1)
    for part in (answer.out, cli.run("runs", "list").out, cli.run("runs", "show", "last").out):
        assert "\x1b" not in part
        assert "\x07" not in part
        assert "\u202e" not in part
    assert "\\x1b]0;owned\\x07\\x1b[2J[red]evil[/red]" in answer.out
    assert "bad\\n\\x1b[31m[red]name" in cli.run("runs", "list").out
    assert cli.json("runs", "show", "last")["run"]["name"] == name


def test_sys_exit_in_a_flow_is_a_crash(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:leaves", "-p", "code=0", code=1)
    assert "leaves crashed after" in answer.out
    assert "system exit call (code 0)" in answer.out


@pytest.mark.parametrize(
    ("number", "code", "told"), [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "stopped by SIGTERM")]
)
def test_a_signal_ends_the_run_as_crashed(cli: Cli, number: int, code: int, told: str) -> None:
    process = cli.start("run", f"{FLOWS}:gated", "-p", f"folder={cli.folder}")
    until((cli.folder / "gate.here").exists, "the gate")
    answer = cli.end(process, number)
    assert (answer.code, told in answer.out) == (code, True), answer
    assert "penstock runs resume" in answer.out
    assert "Traceback" not in answer.out + answer.err
    shown = cli.json("runs", "show", "last")
    assert shown["run"]["state"] == "Crashed"
    assert shown["run"]["ended_at"] is not None
    assert [step["state"] for step in shown["steps"]] == ["Completed", "Completed", "Completed", "Crashed"]


def test_a_journal_that_cannot_be_used(cli: Cli) -> None:
    cli.home.mkdir()
    (cli.home / "journal.db").write_bytes(b"no database at all" * 1000)
    before = (cli.home / "journal.db").read_bytes()
    for command in (("run", f"{FLOWS}:hello"), ("runs", "list"), ("db", "status"), ("db", "upgrade")):
        answer = cli.run(*command, code=2)
        assert "Hint:" in answer.err
        assert "Traceback" not in answer.err
    assert (cli.home / "journal.db").read_bytes() == before


def test_a_setting_that_is_wrong(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:hello", code=2, PENSTOCK_DURABILITY="maybe")
    assert "durability is 'maybe'" in answer.err


def test_log_lines_can_be_turned_off(cli: Cli) -> None:
    assert "greeting you" not in cli.run("run", f"{FLOWS}:hello", PENSTOCK_LOG_CONSOLE="false").out
    assert json.loads(cli.run("runs", "logs", "last", "--json").out)["message"] == "greeting you"


def test_two_processes_at_once(cli: Cli) -> None:
    folders = [cli.folder / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    processes = [cli.start("run", f"{FLOWS}:gated", "-p", f"folder={folder}", "--json") for folder in folders]
    for folder in folders:
        until((folder / "gate.here").exists, "both at their gates")
    assert [run["state"] for run in cli.json("runs", "list")["runs"]] == ["Running", "Running"]
    for folder in folders:
        (folder / "gate.go").touch()
    answers = [cli.end(process) for process in processes]
    assert [(answer.code, answer.json["result"]) for answer in answers] == [(0, 10), (0, 10)]
    assert len({answer.json["run"]["id"] for answer in answers}) == 2
