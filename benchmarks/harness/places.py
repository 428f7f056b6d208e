"""A place to be measured in: a home folder, a database and a server of its own, and its processes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contenders import SCRIPTS, Contender, Environment
from harness.environments import FOLDER, python_of

SERVICE_SECONDS = 90.0
SERVICE_IDLE_SECONDS = 2.0  # what is measured is a server that has started, not one that still starts
PORTS = range(20_000, 32_000)


class Failed(Exception):
    """A contender's process failed; the message is one line that says how."""


@dataclass(frozen=True)
class Answer:
    """What a process said, and how long it took from start to exit."""

    seconds: float
    said: dict[str, Any]
    code: int


@dataclass
class Place:
    """Where one contender runs: its folder, its variables, and the processes started there."""

    contender: Contender
    python: Path
    home: Path
    variables: dict[str, str]
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def run(self, *arguments: str, limit: float, fatal: bool = False) -> Answer:
        """Run a subcommand of the contender's script to its end.

        Args:
            arguments: The subcommand and its arguments.
            limit: Seconds after which the process is killed.
            fatal: Whether the process is meant to be killed by SIGKILL.

        Raises:
            Failed: It took too long, ended otherwise than expected, or gave no answer.
        """
        return self.execute([str(SCRIPTS / self.contender.script), *arguments], limit=limit, fatal=fatal)

    def execute(self, arguments: list[str], *, limit: float, fatal: bool = False, silent: bool = False) -> Answer:
        """Run the interpreter with arguments; `silent` programs owe no answer."""
        log = self.home / "bench.log"
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [str(self.python), *arguments],
                cwd=self.home,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.started.append(process)
            # A wait with a timeout polls every 50 ms, and would round the times: so a timer ends what hangs.
            expired = threading.Event()

            def expire() -> None:
                expired.set()
                end_group(process)

            timer = threading.Timer(limit, expire)
            timer.daemon = True
            timer.start()
            code = process.wait()
            seconds = time.perf_counter() - started
            timer.cancel()
        if expired.is_set():
            raise Failed(f"stopped after its limit of {limit:.0f} s")
        said = log.read_text(errors="replace").splitlines()
        if code != (-signal.SIGKILL if fatal else 0):
            raise Failed(harmless(f"ended with exit code {code}: {_reason(said)}"))
        return Answer(seconds, {} if fatal or silent else _last_object(said), code)

    def clean(self) -> None:
        """End whatever the processes left behind (Prefect's embedded server outlives a killed client)."""
        for process in self.started:
            end_group(process)


def variables_for(contender: Contender, home: Path, database: str = "") -> dict[str, str]:
    """Return the whole process environment of a contender: nothing of the caller's but its search path."""
    port, second = free_ports(2)
    values = {
        "home": str(home),
        "port": str(port),
        "scripts": str(SCRIPTS),
        "postgres": database,
        "environments": str(FOLDER),
    }
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "BENCH_HOME": str(home),
        "BENCH_PORT": str(port),
        "BENCH_SECOND_PORT": str(second),
        **{key: value.format_map(values) for key, value in contender.variables.items()},
    }


@contextmanager
def opened(contender: Contender, environment: Environment, home: Path, database: str = "") -> Iterator[Place]:
    """Give a contender its files and its server over a home folder; end and delete what was started."""
    home.mkdir(parents=True, exist_ok=True)
    for name, text in contender.files.items():
        (home / name).write_text(text)
    place = Place(contender, python_of(environment), home, variables_for(contender, home, database))
    try:
        if contender.service:
            _serve(place)
        yield place
    finally:
        place.clean()


def _serve(place: Place) -> None:
    """Start the contender's server, and wait until it answers."""
    with (place.home / "service.log").open("wb") as output:
        server = subprocess.Popen(
            [str(place.python), str(SCRIPTS / place.contender.script), "serve"],
            cwd=place.home,
            env=place.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    place.started.append(server)
    url = f"http://127.0.0.1:{place.variables['BENCH_PORT']}{place.contender.service}"
    deadline = time.monotonic() + SERVICE_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(f"its server ended with exit code {server.returncode}")
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as response:
            if response.status == 200:
                time.sleep(SERVICE_IDLE_SECONDS)
                return
        time.sleep(0.25)
    raise Failed(f"its server did not answer within {SERVICE_SECONDS:.0f} s")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the group that a process was started with, if any of it still runs."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        for _ in range(40):
            time.sleep(0.05)
            process.poll()
            os.killpg(process.pid, 0)
        os.killpg(process.pid, signal.SIGKILL)


def copied(template: Path, home: Path) -> Path:
    """Copy a prepared home, so that every measurement starts from the same state."""
    shutil.rmtree(home, ignore_errors=True)
    if template.exists():
        shutil.copytree(template, home, symlinks=True)
    return home


def free_ports(count: int) -> list[int]:
    """Return ports on the loopback address that nothing listens on."""
    found: list[int] = []
    start = PORTS.start + os.getpid() % 1_000 * 10
    for port in (*range(start, PORTS.stop), *range(PORTS.start, start)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise Failed("no free port between 20000 and 32000")


def harmless(text: str) -> str:
    """Return one short line without addresses and without paths of this machine."""
    text = re.sub(r"\w+://\S+", "(address)", " ".join(text.split()))
    return re.sub(r"(?<![\w(])/[\w.@+-]+(/[\w.@+-]*)*", "(path)", text)[:240]


def _reason(lines: list[str]) -> str:
    """Return the line that says best why a process failed: its last error, or else its last word."""
    spoken = [line for line in lines if line.strip()]
    errors = [line for line in spoken if re.search(r"error|exception", line, re.IGNORECASE)]
    return (errors or spoken or ["no output"])[-1]


def _last_object(lines: list[str]) -> dict[str, Any]:
    for line in reversed(lines):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise Failed("gave no answer")
