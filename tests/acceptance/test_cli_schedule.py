"""`penstock schedule preview`."""

from __future__ import annotations

import re

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance


def test_a_table_with_a_mark_where_clocks_are_changed(cli: Cli) -> None:
    shown = cli.run("schedule", "preview", "30 2 * * *", "--tz", "Europe/Paris", "--from", "2026-03-28", "--count", 3)
    assert shown.out.splitlines() == [
        "30 2 * * * (Europe/Paris)",
        "",
        "local                 offset  UTC",
        "Sat 2026-03-28 02:30  +01:00  Sat 2026-03-28 01:30",
        "Sun 2026-03-29 03:00  +02:00  Sun 2026-03-29 01:00  "
        "→ 02:30 does not exist on this day; due right after the gap",
        "Mon 2026-03-30 02:30  +02:00  Mon 2026-03-30 00:30",
    ]
    assert shown.err == ""


def test_json(cli: Cli) -> None:
    args = ("--tz", "Europe/Paris", "--from", "2026-10-25T02:30", "--count", 3)
    told = cli.json("schedule", "preview", "*/30 * * * *", *args)
    assert told["schedule"] == {"cron": "*/30 * * * *", "timezone": "Europe/Paris"}
    assert told["from"] == "2026-10-25T00:30:00.000000Z"
    assert [(each["utc"], each["local"], each["mark"]) for each in told["due"]] == [
        ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00", None),
        ("2026-10-25T01:00:00Z", "2026-10-25T02:00:00+01:00", "again"),
        ("2026-10-25T01:30:00Z", "2026-10-25T02:30:00+01:00", "again"),
    ]
    assert told["due"][1]["note"] == "02:00 happens for the second time on this day; due both times"


@pytest.mark.parametrize(
    ("expression", "first", "last"),
    [
        ("@monthly", "2026-02-01T00:00:00Z", False),
        ("every 90m", "2026-01-31T12:00:00Z", False),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", "2026-02-27T17:00:00Z", False),
        ("2026-05-01T08:00", "2026-05-01T08:00:00Z", True),
        ("@once", "2026-01-31T12:00:00Z", True),
    ],
)
def test_what_it_takes(cli: Cli, expression: str, first: str, last: bool) -> None:
    command = ("schedule", "preview", expression, "--from", "2026-01-31T12:00", "--count", 2)
    due = cli.json(*command)["due"]
    assert due[0]["utc"] == first
    assert len(due) == (1 if last else 2)
    assert ("That was the last one." in cli.run(*command).out) is last


def test_it_begins_now(cli: Cli) -> None:
    told = cli.json("schedule", "preview", "* * * * *", "--count", 1)
    assert told["from"] <= told["due"][0]["utc"].replace("Z", ".000000Z")


def test_nothing_is_due(cli: Cli) -> None:
    told = cli.run("schedule", "preview", "2020-01-01", "--from", "2026-01-01")
    assert "Nothing is due from 2026-01-01" in told.out
    assert cli.json("schedule", "preview", "2020-01-01", "--from", "2026-01-01")["due"] == []


def test_every_mistake_is_told_and_pointed_at(cli: Cli) -> None:
    told = cli.run("schedule", "preview", "61 2 * * FOO", "--tz", "Paris", "--from", "soon", code=2)
    assert told.out == ""
    assert told.err.splitlines() == [
        "Error: 4 mistakes in the schedule:",
        "  --tz: there is no time zone 'Paris'; did you mean 'Europe/Paris'?",
        "  --from: 'soon' is no ISO date or time, such as 2026-01-31T02:00 or 2026-01-31T01:00Z",
        "  cron: minute field '61': 61 is not between 0 and 59",
        "    61 2 * * FOO",
        "    ^^",
        "  cron: day-of-week field 'FOO': 'FOO' is not a number or a name from SUN to SAT",
        "    61 2 * * FOO",
        "             ^^^",
    ]


@pytest.mark.parametrize(
    "expression", ["", "* * *", "@dayly", "every day or so", "FREQ=DALY", "2026-13-01", "0 0 31 2 *"]
)
def test_a_mistake_ends_with_2_and_without_a_traceback(cli: Cli, expression: str) -> None:
    told = cli.run("schedule", "preview", expression, code=2)
    assert told.err.startswith("Error: 1 mistake in the schedule:\n")
    assert "Traceback" not in told.err
    assert cli.json("schedule", "preview", expression, code=2)["error"]["code"] == "schedule"


def test_hostile_text_is_made_harmless(cli: Cli) -> None:
    told = cli.run("schedule", "preview", "\x1b[31m * * * *", code=2)
    assert "\x1b" not in told.err


def test_plain_signs_where_the_terminal_knows_no_others(cli: Cli) -> None:
    command = ("schedule", "preview", "30 2 * * *", "--tz", "Europe/Paris", "--from", "2026-03-29", "--count", 1)
    told = cli.run(*command, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert "-> 02:30 does not exist" in told.out


def test_help(cli: Cli) -> None:
    assert "See what a schedule will do" in cli.run("schedule").out
    told = cli.run("schedule", "preview", "--help").out
    assert re.search(r"Examples\n +penstock schedule preview", told)
    for part in ("--tz ZONE", "--from INSTANT", "--count N", "--json"):
        assert part in told


def test_a_narrow_terminal_cuts_the_note_only(cli: Cli) -> None:
    command = ("schedule", "preview", "30 2 * * *", "--tz", "Europe/Paris", "--from", "2026-03-29", "--count", 1)
    terminal = cli.terminal(*command, columns=80)
    assert terminal.end() == 0
    assert "Sun 2026-03-29 03:00  +02:00  Sun 2026-03-29 01:00  → 02:30 does not exist" in terminal.text
    assert max(map(len, terminal.text.splitlines())) <= 80
