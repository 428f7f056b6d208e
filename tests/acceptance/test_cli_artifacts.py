"""`penstock artifacts`: what runs left to look at, listed and shown; what is in it stays text."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance

FLOWS = Path(__file__).with_name("lasting_flows.py")
HOSTILE = "<script>alert(1)</script> [here](javascript:alert(1)) \x1b]0;owned\x07\x1b[2J \u202etxt.exe"


def reports(cli: Cli, *options: str) -> None:
    cli.run("run", f"{FLOWS}:reports", *options)


def test_none_yet_and_no_journal_is_made(cli: Cli) -> None:
    assert "There are no artifacts yet" in cli.run("artifacts", "list").out
    assert cli.json("artifacts", "list") == {"artifacts": [], "next": None}
    assert "There is no artifact 'report'" in cli.run("artifacts", "show", "report", code=2).err
    assert not cli.home.exists()


def test_listed(cli: Cli) -> None:
    reports(cli, "--name", "one")
    reports(cli, "--name", "two")
    newest = cli.json("artifacts", "list")["artifacts"]
    assert [each["key"] for each in newest] == ["lake", "dam", "map", "rain", "report"]
    assert {each["run_id"] for each in newest} == {cli.json("runs", "show", "two")["run"]["id"]}
    assert {each["key"]: each["type"] for each in newest}["map"] == "link"
    assert {each["key"]: each["step"] for each in newest} == {
        "lake": None, "dam": None, "map": None, "rain": "measures#1", "report": None,
    }  # fmt: skip
    assert len(cli.json("artifacts", "list", "--all")["artifacts"]) == 10
    assert len(cli.json("artifacts", "list", "--run", "one")["artifacts"]) == 5
    assert len(cli.json("artifacts", "list", "--key", "rain")["artifacts"]) == 2
    listed = cli.run("artifacts", "list").out
    assert "measures#1" in listed
    assert "of the week" in listed
    assert [each["key"] for each in cli.json("runs", "show", "one")["artifacts"]] == [each["key"] for each in newest]
    assert "No such artifacts" in cli.run("artifacts", "list", "--key", "nowhere").out


def test_page_after_page(cli: Cli) -> None:
    reports(cli)
    keys, before = [], None
    while True:
        page = cli.json("artifacts", "list", "--limit", 2, *(("--before", before) if before else ()))
        keys += [each["key"] for each in page["artifacts"]]
        before = page["next"]
        if before is None:
            break
    assert keys == ["lake", "dam", "map", "rain", "report"]
    assert "older: penstock artifacts list --before" in cli.run("artifacts", "list", "--limit", 2).out


def test_shown(cli: Cli) -> None:
    reports(cli, "--name", "one")
    report = cli.run("artifacts", "show", "report").out
    assert "Little of it." in report
    assert "of the week" in report
    assert "one (" in report
    assert cli.run("artifacts", "show", "report", "--raw").out == "# Rain\n\nLittle of it.\n"
    rain = cli.run("artifacts", "show", "rain").out
    assert [line.split() for line in rain.splitlines()[-3:]] == [["day", "rain"], ["mon", "0.5"], ["tue", "null"]]
    assert "measures#1" in rain
    assert cli.json("artifacts", "show", "rain")["artifact"]["content"][1] == {"day": "tue", "rain": None}
    assert "The map (https://example.com/map?a=1)" in cli.run("artifacts", "show", "map").out
    assert "https://example.com/dam.png" in cli.run("artifacts", "show", "dam").out
    assert "62.5 %" in cli.run("artifacts", "show", "lake").out
    (first, *_) = cli.json("artifacts", "list", "--key", "rain")["artifacts"]
    for name in (first["id"], first["id"][-8:]):
        assert cli.json("artifacts", "show", name)["artifact"]["id"] == first["id"]


def test_an_older_version(cli: Cli) -> None:
    reports(cli, "-p", "note=the first")
    (first,) = cli.json("artifacts", "list", "--key", "report")["artifacts"]
    reports(cli, "-p", "note=the second")
    assert cli.run("artifacts", "show", "report", "--raw").out == "the second\n"
    assert cli.run("artifacts", "show", first["id"], "--raw").out == "the first\n"
    cli.run("runs", "delete", "last", "--yes")
    assert cli.run("artifacts", "show", "report", "--raw").out == "the first\n"


def test_what_is_in_it_stays_text(cli: Cli) -> None:
    reports(cli, "-p", f"note={HOSTILE}")
    shown = cli.run("artifacts", "show", "report").out
    terminal = cli.terminal("artifacts", "show", "report")
    assert terminal.end() == 0
    raw = cli.terminal("artifacts", "show", "report", "--raw")
    assert raw.end() == 0
    for told in (shown, terminal.raw.decode(), raw.raw.decode()):
        assert "owned" in told
        for active in ("\x1b]0;", "\x1b[2J", "\x1b]8;", "\x07", "\u202e"):
            assert active not in told, "what is in an artifact must not steer a terminal"
    assert cli.run("artifacts", "show", "report", "--raw").out == f"{HOSTILE}\n", "a file gets it as it is"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("show",), "Missing argument"),
        (("show", ""), "There is no artifact ''"),
        (("show", "nowhere"), "There is no artifact 'nowhere'"),
        (("list", "--run", "nowhere"), "There is no run 'nowhere'"),
        (("list", "--before", "nowhere"), "There is no artifact 'nowhere'"),
        (("list", "--limit", "0"), "not in the range"),
    ],
)
def test_mistakes(cli: Cli, given: tuple[str, ...], says: str) -> None:
    cli.run("run", f"{FLOWS}:quick", "-p", f"folder={cli.folder}")
    answer = cli.run("artifacts", *given, code=2)
    assert says in answer.err
    assert "Traceback" not in answer.err


def test_an_id_that_fits_several(cli: Cli) -> None:
    for _ in range(4):
        reports(cli)
    endings = [each["id"][-1] for each in cli.json("artifacts", "list", "--all")["artifacts"]]
    assert len(endings) == 20, "more than there are hexadecimal digits"
    several = next(ending for ending in endings if endings.count(ending) > 1)
    assert "fits more than one artifact" in cli.run("artifacts", "show", several, code=2).err
