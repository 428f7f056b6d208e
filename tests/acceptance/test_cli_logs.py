"""`penstock logs`, as its user calls it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli
from tests.patience import until

pytestmark = pytest.mark.acceptance

LINE = '10.0.0.1 - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8"\n'


def test_a_log_is_generated_and_analysed(cli: Cli) -> None:
    told = cli.run("logs", "generate", "access.log", "--lines", 30_000, "--seed", 17).out
    assert "Wrote access.log" in told
    assert "6 anomalies and 10 malformed lines, told in access.log.planted.json" in told
    planted = json.loads((cli.folder / "access.log.planted.json").read_text())
    answer = cli.json("logs", "analyze", "access.log")
    assert answer["lines"] == planted["lines"]
    assert (answer["malformed"], answer["skipped"]) == (10, 0)
    assert answer["parsed"] == planted["lines"] - 10
    assert [each["line"] for each in answer["samples"]] == planted["malformed"]
    assert sum(answer["statuses"].values()) == answer["requests"] == answer["parsed"]
    shown = cli.run("logs", "analyze", "access.log", "--html", "report.html").out
    for part in ("10 malformed", "Requests", "Anomalies", "Paths", "Clients", "Malformed  access.log, line"):
        assert part in shown
    assert "▅" in shown
    assert (cli.folder / "report.html").read_text().startswith("<!doctype html>")


def test_size_and_seed(cli: Cli) -> None:
    one = cli.json("logs", "generate", "a.log", "--size", "5MB", "--timed", "--anomalies", 1)
    assert 4_500_000 < (cli.folder / "a.log").stat().st_size < 5_500_000
    assert len(one["anomalies"]) == 1
    assert cli.json("logs", "analyze", "a.log")["latency"]["p99"] > 0
    for wrong in (("--size", "big"), ("--days", "0"), ("--start", "soon"), ("--anomalies", "1000")):
        answer = cli.run("logs", "generate", "b.log", *wrong, code=2)
        assert "Hint: " in answer.err
        assert "Traceback" not in answer.err


def test_standard_input(cli: Cli) -> None:
    done = subprocess.run(
        cli.command("logs", "analyze", "-", "--json"),
        input=LINE * 3 + "nothing\n",
        capture_output=True,
        text=True,
        cwd=cli.folder,
        env=cli.environ,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert (answer["lines"], answer["parsed"], answer["malformed"]) == (4, 3, 1)


def test_mistakes_are_told_in_a_line(cli: Cli) -> None:
    (cli.folder / "a.log").write_text(LINE)
    for arguments, told in (
        (("nowhere.log",), "There is no file nowhere.log."),
        (("a.log", "--format", "xml"), "There is no log format 'xml'."),
        (("a.log", "--pattern", "(?P<time>"), "The pattern cannot be used"),
        (("a.log", "--html", "no/such/folder.html"), "cannot be written"),
    ):
        answer = cli.run("logs", "analyze", *arguments, code=2)
        assert told in answer.err
        assert "Hint: " in answer.err
        assert "Traceback" not in answer.err


def test_a_file_that_is_not_complete(cli: Cli) -> None:
    import gzip

    packed = gzip.compress("".join(LINE.replace("/a", f"/{n * 7919 % 1000}") for n in range(1000)).encode())
    (cli.folder / "a.log.gz").write_bytes(packed[:-20])
    answer = cli.run("logs", "analyze", "a.log.gz", code=1)
    assert "a.log.gz: the gzip stream ends in the middle: the file is not complete" in answer.err
    assert "parsed" in answer.out


def test_a_file_that_is_no_log(cli: Cli) -> None:
    (cli.folder / "junk.log").write_bytes(bytes(range(256)) * 20)
    (cli.folder / "rows.csv").write_text("a,b\n1,2\n")
    for file in ("junk.log", "rows.csv"):
        answer = cli.run("logs", "analyze", file, code=1)
        assert "✗" in answer.out
        assert "✓" not in answer.out
        assert "No line means anything: is this a log? --format or --pattern" in answer.err
    (cli.folder / "empty.log").write_bytes(b"")
    assert "✓ 0 lines" in cli.run("logs", "analyze", "empty.log").out


def test_a_plain_screen_gets_plain_signs(cli: Cli) -> None:
    (cli.folder / "a.log").write_text(LINE + LINE.replace("10:00", "10:05"))
    told = cli.run("logs", "analyze", "a.log", PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C").out
    assert told.isascii()
    assert "\\u" not in told


def test_a_terminal_shows_the_summary(cli: Cli) -> None:
    cli.run("logs", "generate", "a.log", "--lines", 2000, "--anomalies", 0)
    terminal = cli.terminal("logs", "analyze", "a.log", columns=70)
    terminal.read_until("Agents")
    assert "Requests" in terminal.text
    assert terminal.end() == 0


def test_when_it_is_told_to_end_it_says_what_it_has_read(cli: Cli) -> None:
    process = subprocess.Popen(
        cli.command("logs", "analyze", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cli.folder,
        env=cli.environ,
    )
    bit = 1 << (signal.SIGTERM - 1)

    def handles_it() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) & bit)

    until(handles_it, "the handler of SIGTERM")
    process.send_signal(signal.SIGTERM)
    until(lambda: not handles_it(), "the signal to be noticed")
    out, err = process.communicate(LINE * 3, timeout=60)
    assert process.returncode == 130
    assert "3 lines: 3 parsed" in out
    assert "Stopped; this is of what had been read." in err


def test_a_cluster_writes_nothing_from_here(cli: Cli) -> None:
    (cli.folder / "a.log").write_text(LINE)
    told = cli.run(
        "logs", "analyze", "a.log", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", "--out", "x", code=2
    )
    assert "--out writes from this process" in told.err
    assert not (cli.folder / "x").exists()
