"""The command line as its user has it: real processes, pipes and terminals."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.warm import ROOT, clean_environ, starter

FLOWS = Path(__file__).with_name("cli_flows.py")
_PATIENCE_SECONDS = 60.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _may_be_warm(args: Sequence[object], environ: Mapping[str, str]) -> bool:
    """Whether it does not matter that the modules of a command were imported before."""
    return (
        args[:1] not in (("run",), ("serve",), ("server",), ("worker",))
        and "resume" not in args
        and not any(name.startswith(("PYTHON", "LC_", "LANG", "TZ", "LD_")) for name in environ)
    )


class Cli:
    """Runs `penstock` in a folder, with a home of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        kept = clean_environ()
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING"):
            kept.pop(name, None)
        self.environ = {
            **kept,
            "PENSTOCK_HOME": str(home),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUTF8": "1",
            "TERM": "xterm-256color",
        }

    def command(self, *args: object) -> list[str]:
        return [sys.executable, "-m", "penstock", *map(str, args)]

    def start(self, *args: object, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def end(self, process: subprocess.Popen[str], number: int | None = None) -> Answer:
        """Wait for a started command; first send it a signal."""
        if number is not None:
            process.send_signal(number)
        out, err = process.communicate(timeout=_PATIENCE_SECONDS)
        return Answer(process.returncode, out, err)

    def run(self, *args: object, code: int = 0, **environ: str) -> Answer:
        """Run a command to its end; its exit code is checked."""
        if _may_be_warm(args, environ):
            words = list(map(str, args))
            ended, out, err = starter().run(words, self.folder, {**self.environ, **environ}, _PATIENCE_SECONDS)
            answer = Answer(ended, *(text.decode().replace("\r\n", "\n") for text in (out, err)))
        else:
            answer = self.end(self.start(*args, **environ))
        assert answer.code == code, f"penstock {' '.join(map(str, args))}: {answer.code}\n{answer.out}\n{answer.err}"
        return answer

    def json(self, *args: object, code: int = 0) -> Any:
        return self.run(*args, "--json", code=code).json

    def terminal(self, *args: object, columns: int = 80, rows: int = 30, **environ: str) -> Terminal:
        return Terminal(self.command(*args), self.folder, {**self.environ, **environ}, columns, rows)


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str], columns: int, rows: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.raw = b""

    @property
    def text(self) -> str:
        """All that was written, without colours and cursor movements."""
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace")).replace("\r", "")

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux tells that nobody has the other end any more
            return False
        self.raw += data
        return bool(data)

    def read_until(self, wanted: str) -> None:
        """Read until this is on the screen, or was."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while wanted not in self.text:
            alive = self._read(0.1)
            assert alive or wanted in self.text, f"ended without {wanted!r}:\n{self.text}"
            assert time.monotonic() < end, f"no {wanted!r} within {_PATIENCE_SECONDS:g} s:\n{self.text}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        try:
            while self._read(_PATIENCE_SECONDS):
                pass
            return self.process.wait(_PATIENCE_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            with contextlib.suppress(OSError):
                os.close(self._master)
