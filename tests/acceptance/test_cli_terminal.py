"""What is seen in a terminal: the live tree, the end, and Ctrl-C."""

from __future__ import annotations

import re

import pytest
from tests.acceptance.cli_lab import FLOWS, Cli

pytestmark = pytest.mark.acceptance


def let_through(cli: Cli) -> None:
    for item in (4, 5):
        (cli.folder / f"item{item}.go").touch()


def last_screen(text: str) -> list[str]:
    """The tree as it stays, and what follows it."""
    lines = text.split("\n")
    start = max(place for place, line in enumerate(lines) if re.match(r"[✓✗■] wide · ", line))
    return [line.rstrip() for line in lines[start:]]


def test_the_tree_lives(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}", "--name", "my-run")
    terminal.read_until("4/6  2 running")  # the map, as far as its gates
    assert "wide · my-run" in terminal.text
    assert re.search(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] mapped +━+─+ 4/6  2 running", terminal.text)
    assert re.search(r"✓ shaky +attempt 3/3", terminal.text)
    assert "✓ part · " in terminal.text
    assert terminal.text.index("a line with [bold]markup[/bold]") < terminal.text.rindex("wide · my-run")
    assert "printed by the flow" in terminal.text
    let_through(cli)
    assert terminal.end() == 0

    screen = last_screen(terminal.text)
    assert screen[0].startswith("✓ wide · my-run")
    assert screen[1].startswith("├ ✓ shaky")
    assert screen[2].startswith("├ ✓ part · ")
    assert screen[3].startswith("│ └ ✓ inner")
    assert screen[4].startswith("└ ✓ mapped")
    assert "6 calls" in screen[4]
    assert all(len(line) <= 80 for line in screen[:5])
    assert len({len(line) for line in screen[:5]}) == 1  # durations end in the same column
    rest = "\n".join(screen[5:])
    assert "✓ wide completed in" in rest
    assert "9 steps: 9 completed, 2 attempts retried" in rest
    assert "returned 15" in rest
    assert screen[-2].endswith("what was logged")
    assert b"\x1b[?25l" not in terminal.raw  # a cursor that is hidden stays hidden when the process is killed


@pytest.mark.parametrize("columns", [30, 44, 60, 80, 200])
def test_it_fits(cli: Cli, columns: int) -> None:
    let_through(cli)
    terminal = cli.terminal("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}", columns=columns)
    assert terminal.end() == 0
    screen = last_screen(terminal.text)
    tree = screen[: screen.index("")]
    assert len(tree) >= 5
    assert all(len(line) <= columns for line in tree)


def test_a_low_terminal_shows_what_is_going_on(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}", rows=5)
    terminal.read_until("4/6  2 running")
    terminal.read_until("more lines")
    let_through(cli)
    assert terminal.end() == 0
    assert "├ ✓ shaky" in terminal.text  # all of it in the end, for it can be scrolled back


def test_hostile_text_does_not_reach_the_terminal(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:hostile", "--name", "\x1b]0;owned\x07[red]\n")
    assert terminal.end() == 1
    assert b"\x1b]0;" not in terminal.raw
    assert b"\x07" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw.replace(b"\\x1b[2J", b"")
    assert "\u202e" not in terminal.text
    assert "\\x1b]0;owned\\x07" in terminal.text
    assert "[red]evil[/red]" in terminal.text
    for command in (("list",), ("show", "last"), ("logs", "last")):
        seen = cli.terminal("runs", *command)
        assert seen.end() == 0
        assert b"\x07" not in seen.raw


def test_what_others_write_goes_above_the_tree(cli: Cli) -> None:
    (cli.folder / "noise.go").touch()
    terminal = cli.terminal("run", f"{FLOWS}:noisy", "-p", f"folder={cli.folder}")
    assert terminal.end() == 0
    lines = terminal.text.split("\n")
    for line in ("straight to stdout", "straight to stderr", "from a child", "of a child"):
        assert line in lines
    assert any(line.startswith("green") and line.endswith("and no end") for line in lines)
    assert b"\x1b[2J" not in terminal.raw
    assert b"\x1b]0;" not in terminal.raw
    assert lines.index("from a child") < lines.index(next(line for line in lines if line.startswith("✓ noisy · ")))


def test_a_flood_of_lines(cli: Cli) -> None:
    (cli.folder / "noise.go").touch()
    terminal = cli.terminal("run", f"{FLOWS}:noisy", "-p", f"folder={cli.folder}", "-p", "lines=60000")
    assert terminal.end() == 0
    assert re.findall(r"line (\d+)\.", terminal.text) == [str(number) for number in range(60_000)]


def test_ctrl_c(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:wide", "-p", f"folder={cli.folder}")
    terminal.read_until("4/6  2 running")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "✗ wide stopped by Ctrl-C after" in terminal.text
    assert "penstock runs resume" in terminal.text
    assert "Traceback" not in terminal.text
    assert cli.json("runs", "list")["runs"][0]["state"] == "Crashed"

    let_through(cli)
    again = cli.terminal("runs", "resume", "last")
    assert again.end() == 0
    assert "on record" in again.text
    assert "a new run takes over" in again.text


def test_plain_lines_in_a_terminal(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:hello", "--plain")
    assert terminal.end() == 0
    assert "✓ greet#1" in terminal.text
    assert b"\x1b[J" not in terminal.raw


def test_a_dumb_terminal_gets_plain_lines(cli: Cli) -> None:
    terminal = cli.terminal("run", f"{FLOWS}:hello", TERM="dumb")
    assert terminal.end() == 0
    assert "✓ greet#1" in terminal.text
    assert b"\x1b" not in terminal.raw


def test_no_colours_where_none_are_wanted(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:hello")
    assert b"\x1b[32m" in seen_of(cli, NO_COLOR="")
    assert b"\x1b[32m" not in seen_of(cli, NO_COLOR="1")


def seen_of(cli: Cli, **environ: str) -> bytes:
    terminal = cli.terminal("runs", "list", **environ)
    assert terminal.end() == 0
    return terminal.raw


def test_signs_that_ascii_can_show(cli: Cli) -> None:
    answer = cli.run("run", f"{FLOWS}:hello", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "+ greet#1" in answer.out
    assert answer.out.isascii()


def test_deleting_asks(cli: Cli) -> None:
    cli.run("run", f"{FLOWS}:hello", "--name", "kept")
    terminal = cli.terminal("runs", "delete", "kept")
    terminal.read_until("Delete 1 run for good?")
    terminal.type("n\n")
    assert terminal.end() == 2
    assert cli.json("runs", "show", "kept")["run"]["state"] == "Completed"
    terminal = cli.terminal("runs", "delete", "kept")
    terminal.read_until("Delete 1 run for good?")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert cli.json("runs", "list")["runs"] == []


def test_a_narrow_list_keeps_state_and_id(cli: Cli) -> None:
    run = cli.json("run", f"{FLOWS}:hello", "--name", "a-name-that-is-quite-long-for-a-narrow-terminal")["run"]
    terminal = cli.terminal("runs", "list", columns=40)
    assert terminal.end() == 0
    assert "✓ Completed" in terminal.text
    assert run["id"][-8:] in terminal.text
    assert all(len(line) <= 40 for line in terminal.text.split("\n"))
