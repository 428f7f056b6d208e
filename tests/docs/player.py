"""Plays the blocks of one page, in the current folder: python tests/docs/player.py STEPS.json RESULTS.json

A program of its own, so that a page starts from nothing, and what it breaks is gone with it.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 100
_KILLED = re.compile(r"timeout --signal=KILL (\d+) (.+)")
_STARTING_SECONDS = 1.0
"""Of the time that a page gives a program before it is killed, so much is for its start."""


@contextmanager
def captured(answer: dict[str, Any]) -> Iterator[None]:
    """Collect what is written to standard output, by child processes too."""
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            answer["output"] = file.read().decode()


def play_python(step: dict[str, Any], answer: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Execute a block; line numbers are those of the page."""
    code = compile("\n" * (step["line"] - 1) + step["source"], step["page"], "exec")
    with captured(answer):
        exec(code, namespace)


def play_file(step: dict[str, Any], answer: dict[str, Any]) -> None:
    """Write a file; import it once if it is Python."""
    path = Path(step["title"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(step["source"] + "\n", encoding="utf-8")
    if path.suffix == ".py" and len(path.parts) == 1 and not path.name.startswith("test_"):
        sys.modules.pop(path.stem, None)
        importlib.invalidate_caches()
        with captured(answer):
            importlib.import_module(path.stem)


def play_console(step: dict[str, Any], answer: dict[str, Any]) -> None:
    """Execute a command as a shell would."""
    if killed := _KILLED.fullmatch(step["source"]):
        code = play_killed(killed[2], float(killed[1]) - _STARTING_SECONDS, answer)
    else:
        code = play_shell(step["source"], answer)
    code = code if code >= 0 else 128 - code
    if code != step["code"]:
        answer["error"] = f"exit code {code}, not {step['code']}:\n{answer['output']}"


def play_killed(command: str, seconds: float, answer: dict[str, Any]) -> int:
    """Kill it so long after its first line: how long a program takes to start says more about the machine."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
    timer.start()
    answer["output"] = (first + process.stdout.read()).decode()
    timer.cancel()
    return process.wait()


def play_shell(command: str, answer: dict[str, Any]) -> int:
    """How it ended."""
    done = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    answer["output"] = done.stdout.decode()
    return done.returncode


def play_sql(step: dict[str, Any], answer: dict[str, Any]) -> None:
    """Query the journal, and give the rows as `sqlite3` prints them."""
    connection = sqlite3.connect(f"file:{os.environ['PENSTOCK_HOME']}/journal.db?mode=ro", uri=True)
    try:
        rows = connection.execute(step["source"]).fetchall()
    finally:
        connection.close()
    answer["output"] = "\n".join("|".join("" if v is None else str(v) for v in row) for row in rows)


def play(step: dict[str, Any], namespace: dict[str, Any]) -> dict[str, Any]:
    """One step: its output, and the error that ended it."""
    answer: dict[str, Any] = {"output": "", "error": None, "raised": None}
    try:
        if step["kind"] == "python":
            play_python(step, answer, namespace)
        elif step["kind"] == "file":
            play_file(step, answer)
        elif step["kind"] == "console":
            play_console(step, answer)
        else:
            play_sql(step, answer)
    except BaseException as error:
        answer["raised"] = type(error).__name__
        answer["message"] = str(error)
        answer["error"] = traceback.format_exc()
    return answer


def main() -> None:
    """Play every step; stop at the first one that goes wrong."""
    steps = json.loads(Path(sys.argv[1]).read_text())
    sys.path.insert(0, "")
    sys.dont_write_bytecode = True
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    answers = []
    for step in steps:
        answer = play(step, vars(module))
        answers.append(answer)
        if answer["error"] and not (answer["raised"] and step["expected_error"]):
            break
    Path(sys.argv[2]).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
