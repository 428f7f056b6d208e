"""A PostgreSQL server of the test's own, to restart, stop and kill. Use: pytest_plugins = ("...own_server",)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
_SERVICES = ROOT / "scripts" / "services"


class OwnServer:
    """Started by scripts/services in a folder of its own; it comes back on the same port with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""

    def start(self) -> None:
        """Start it, or start it again."""
        self._services("up")
        self.url = (self._folder / "postgres.url").read_text().strip()

    def stop(self) -> None:
        """Stop it as an administrator does: at once, sessions are ended, everything is written."""
        self._services("down")

    def crash(self) -> None:
        """Kill one of its processes with SIGKILL: all sessions end, and it recovers from its write-ahead log."""
        pid = int((self._folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            if b"walwriter" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)

    def _services(self, *command: str) -> None:
        environment = {**os.environ, "PENSTOCK_SERVICES_DIR": str(self._folder)}
        environment.pop("PENSTOCK_TEST_POSTGRES_URL", None)
        subprocess.run([_SERVICES, *command], env=environment, check=True, capture_output=True, timeout=110)

    @property
    def native(self) -> bool:
        """Its processes are on this machine."""
        started = self._folder / "postgres.started"
        return started.is_file() and started.read_text().strip() == "native" and Path("/proc/self/task").is_dir()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server for the tests of one module."""
    folder = tmp_path_factory.mktemp("server")
    server = OwnServer(folder)
    try:
        server.start()
    except subprocess.CalledProcessError:
        reason = folder / "postgres.reason"
        pytest.skip(reason.read_text().strip() if reason.is_file() else "no PostgreSQL server can be started here")
    yield server
    server._services("down", "--purge")
