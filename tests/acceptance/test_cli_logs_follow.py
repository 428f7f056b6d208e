"""`penstock logs follow`, in processes that are killed while a log is written and rotated."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.acceptance.cli_lab import Cli
from tests.patience import until

pytestmark = pytest.mark.acceptance

WRITER = """
import os, sys, time
path, number, old = sys.argv[1], 0, []
file = open(path, "a", buffering=1 << 13)
while not os.path.exists("enough"):
    for number in range(number, number + 500):
        file.write(f'10.0.0.{number % 7} - - [05/Jan/2026:10:{number // 60 % 60:02}:{number % 60:02} +0000] '
                   f'"GET /{number} HTTP/1.1" {500 if number % 50 == 0 else 200} 12 "-" "curl/8"\\n')
    number += 1
    if number % 10_000 == 0 and os.path.exists("followed"):
        file.close()
        for place in reversed(range(len(old))):
            os.rename(f"{path}.{place + 1}", f"{path}.{place + 2}")
        os.rename(path, f"{path}.1")
        old.append(number)
        file = open(path, "a", buffering=1 << 13)
    time.sleep(0.05)
file.close()
print(number)
"""


def total(cli: Cli) -> dict[str, Any]:
    """What is counted once all that is there was read."""
    out = cli.run("logs", "follow", "access.log", "--once", "--json").out
    found: dict[str, Any] = json.loads(out.splitlines()[-1])["total"]
    return found


def read_some(process: subprocess.Popen[str]) -> None:
    """Until it has read something more."""
    assert process.stdout is not None
    while not json.loads(process.stdout.readline())["lines"]:
        pass


def test_killed_again_and_again_while_a_log_is_written_and_rotated(cli: Cli) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, "access.log"], cwd=cli.folder, stdout=subprocess.PIPE, text=True
    )
    try:
        for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            process = cli.start("logs", "follow", "access.log", "--every", "0.1", "--json")
            read_some(process)
            (cli.folder / "followed").touch()  # what was rotated before is nothing that it knows of
            process.send_signal(end)
            answer = process.communicate(timeout=60)
            assert process.returncode == (-end if end == signal.SIGKILL else 0), answer
        until(lambda: (cli.folder / "access.log.1").exists(), "a rotation")
    finally:
        (cli.folder / "enough").touch()
        count = int(writer.communicate(timeout=60)[0])
    found = total(cli)
    assert (found["lines"], found["parsed"], found["failed"]) == (count, count, (count + 49) // 50)
    assert found["problems"] == {}
    assert total(cli) == found


def test_what_was_read_but_not_kept_is_read_again_after_a_kill(cli: Cli) -> None:
    """The place is kept every few seconds: this one is killed before it could do so."""
    line = '10.0.0.1 - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8"\n'
    log = cli.folder / "access.log"
    log.write_text(line * 1000)
    process = cli.start("logs", "follow", "access.log", "--every", "0.05", "--json")
    read_some(process)
    process.kill()
    process.communicate()
    log.rename(cli.folder / "access.log.1")
    (cli.folder / "access.log.1.gz").write_bytes(gzip.compress((cli.folder / "access.log.1").read_bytes()))
    (cli.folder / "access.log.1").unlink()
    log.write_text(line * 10 + line[:40])
    assert total(cli)["lines"] == 1010
    with log.open("a") as file:
        file.write(line[40:])
    assert total(cli)["lines"] == 1011


def test_plain_lines_and_a_summary(cli: Cli) -> None:
    cli.run("logs", "generate", "access.log", "--lines", 20_000, "--seed", 17)
    process = cli.start("logs", "follow", "access.log", "--every", "0.2", "--html", "report.html")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert " lines/s · 2xx " in first
    answer = cli.end(process, signal.SIGINT)
    assert (answer.code, answer.err) == (0, "")
    assert "Anomalies" in answer.out
    assert (cli.folder / "report.html").read_text().startswith("<!doctype html>")


def test_a_terminal_shows_how_it_goes(cli: Cli) -> None:
    cli.run("logs", "generate", "access.log", "--lines", 20_000, "--seed", 17)
    terminal = cli.terminal("logs", "follow", "access.log", "later.log", "--every", "2", columns=90)
    for part in ("access.log, later.log", "Lines", "Failed", "2xx", "scanner"):  # drawn while one interval is the last
        terminal.read_until(part)
    terminal.type("\x03")
    terminal.read_until("Agents")
    assert terminal.end() == 0


def test_mistakes_are_told_in_a_line(cli: Cli) -> None:
    (cli.folder / "folder").mkdir()
    (cli.folder / "hidden.log").write_text("x\n")
    os.chmod(cli.folder / "hidden.log", 0)
    cases: list[tuple[tuple[str, ...], str]] = [
        (("folder",), "is a folder"),
        (("nowhere.log",), "There is no file"),
        (("a.log", "--every", "0"), "--every 0 cannot be"),
        (("a.log", "--format", "xml"), "There is no log format 'xml'."),
    ]
    if os.geteuid() != 0:
        cases.append((("hidden.log",), "hidden.log"))
    for arguments, told in cases:
        answer = cli.run("logs", "follow", *arguments, "--once", code=2)
        assert told in answer.err
        assert "Hint: " in answer.err
        assert "Traceback" not in answer.err


def test_errors_that_are_new(cli: Cli) -> None:
    lines = [f"2026-01-05 10:{n:02}:00 ERROR disk {n} is full\n" for n in range(60)]
    lines[30] = "2026-01-05 10:30:00 ERROR no route to host\n"
    (cli.folder / "app.log").write_text("".join(lines))
    assert cli.json("logs", "analyze", "app.log")["new_templates"]["rows"] == []
    answer = cli.json("logs", "analyze", "app.log", "--new-since", "2026-01-05T10:20+00:00")
    assert [row["template"] for row in answer["new_templates"]["rows"]] == ["no route to host"]
    assert "New errors" in cli.run("logs", "follow", "app.log", "--once", "--new-since", "2026-01-01").out
    assert "is no time" in cli.run("logs", "analyze", "app.log", "--new-since", "soon", code=2).err


def test_lines_are_written_where_they_are_wanted(cli: Cli) -> None:
    cli.run("logs", "generate", "access.log", "--lines", 5000, "--seed", 17)
    shown = cli.run("logs", "analyze", "access.log", "--out", "lines").out
    planted = json.loads((cli.folder / "access.log.planted.json").read_text())
    assert f"Wrote {planted['lines'] - 10:,} lines to lines" in shown
    assert "10 malformed" in shown
    again = cli.json("logs", "analyze", "access.log", "--out", "lines")
    assert again["written"]["rows"] == planted["lines"] - 10
    files = cli.folder.glob("lines/day=*/hour=*/*.parquet")
    assert sum(pq.read_metadata(file).num_rows for file in files) == planted["lines"] - 10
    into_lake = cli.json("logs", "analyze", "access.log", "--out", "lake:raw/access")
    assert into_lake["written"]["rows"] == planted["lines"] - 10
    assert into_lake["written"]["malformed"] == 10
    assert cli.json("logs", "analyze", "access.log", "--out", "lake:raw/access")["written"]["rows"] == 0
    wrong = cli.run("logs", "analyze", "access.log", "--out", "access.log", code=2)
    assert "cannot be written" in wrong.err
    assert "Traceback" not in wrong.err
    assert Path(cli.folder / "lake").is_dir()
