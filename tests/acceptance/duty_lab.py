"""Workers as the tests have them: real processes, and what they say as JSON Lines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from tests.acceptance.cli_lab import Cli
from tests.patience import until

from penstock.core.ids import process_start
from penstock.engine.runners.trees import descendants, kill_tree

FLOWS = Path(__file__).with_name("deployed_flows.py")


class Duty:
    """`penstock worker start` or `penstock serve` in a process of its own, read while it works."""

    def __init__(self, cli: Cli, *args: object, **environ: str) -> None:
        self.process: subprocess.Popen[str] = cli.start(*args, "--json", **environ)
        self.events: list[dict[str, Any]] = []
        self.err = ""
        self._readers = [
            threading.Thread(target=reader, args=(stream,), daemon=True)
            for reader, stream in ((self._hear, self.process.stdout), (self._read, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _hear(self, stream: IO[str]) -> None:
        for line in stream:
            self.events.append(json.loads(line))

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.err += line

    def ready(self) -> Duty:
        """Wait until it works."""
        self.event("ready")
        return self

    def event(self, name: str, run_id: str | None = None) -> dict[str, Any]:
        """Wait for the first of these."""

        def found() -> dict[str, Any] | None:
            over = self.process.poll() is not None and not self._readers[0].is_alive()
            seen = self.all(name, run_id)
            told = f"it ended with {self.process.poll()} without saying {name}: {self.events} {self.err}"
            assert seen or not over, told
            return seen[0] if seen else None

        return until(found, f"{name} of {run_id}")

    def all(self, name: str, run_id: str | None = None) -> list[dict[str, Any]]:
        return [e for e in list(self.events) if e["event"] == name and run_id in (None, e.get("run", {}).get("id"))]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int | None = signal.SIGTERM) -> int:
        """Wait for its end; first send it a signal. The exit code."""
        if number is not None:
            self.send(number)
        return self.process.wait(60)

    def tree(self) -> list[int]:
        """It, and every process it has started."""
        return [self.process.pid, *descendants(self.process.pid)]

    def kill(self) -> None:
        """SIGKILL for it alone."""
        self.end(signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL for it and all it has started, as when the machine loses its power."""
        kill_tree(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def close(self) -> None:
        """Read to the end, which comes when the last process that it has started is gone."""
        for reader, stream in zip(self._readers, (self.process.stdout, self.process.stderr), strict=True):
            reader.join(60)
            assert stream is not None
            stream.close()


class Place:
    """A folder with a home of its own, the flows that are deployed there, and the workers that were started."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.cli = Cli(folder, home)
        self.folder = folder
        self._duties: list[Duty] = []

    def worker(self, *args: object, **environ: str) -> Duty:
        return self._start("worker", "start", *args, **environ)

    def serve(self, *args: object, **environ: str) -> Duty:
        return self._start("serve", *args, **environ)

    def server(self, *args: object, **environ: str) -> Duty:
        return self._start("server", "start", "--port", 0, *args, **environ)

    def _start(self, *args: object, **environ: str) -> Duty:
        duty = Duty(self.cli, *args, **environ)
        self._duties.append(duty)
        return duty.ready()

    def declare(self, text: str) -> None:
        (self.folder / "pyproject.toml").write_text(text)

    def deploy(self, flow: str, *args: object) -> None:
        self.cli.run("deploy", f"{FLOWS}:{flow}", "-p", f"folder={self.folder}", *args)

    def trigger(self, name: str, *args: object) -> str:
        run_id: str = self.cli.json("deployments", "run", name, *args)["run"]["id"]
        return run_id

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cli.json("runs", "show", run_id)["run"]
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run, and give it."""

        def look() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if run["ended_at"] is not None else None

        return until(look, f"the end of {run_id}")

    def here(self, name: str) -> None:
        """Wait until a flow is at this gate."""
        until((self.folder / f"{name}.here").exists, f"the gate {name}")

    def open(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()

    def ran(self) -> list[str]:
        file = self.folder / "ran.txt"
        return file.read_text().split() if file.exists() else []

    def pid(self, name: str) -> int:
        return int(until(lambda: (self.folder / f"{name}.pid").read_text().strip(), f"the number of {name}"))

    def clean_up(self) -> None:
        for duty in self._duties:
            if duty.process.poll() is None:
                duty.kill_all()
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for duty in self._duties:
            duty.close()


def is_gone(pid: int) -> bool:
    return process_start(pid) is None


def soon_gone(pid: int) -> None:
    until(lambda: is_gone(pid), f"the end of process {pid}")


@pytest.fixture
def place(tmp_path: Path, penstock_home: Path) -> Iterator[Place]:
    made = Place(tmp_path, penstock_home)
    try:
        yield made
    finally:
        made.clean_up()
