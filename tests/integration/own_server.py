"""A PostgreSQL server of the test's own, to restart, stop and crash."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

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

    def purge(self) -> None:
        """Stop it for good."""
        self._services("down", "--purge")

    def crash(self) -> None:
        """Kill one of its processes with SIGKILL: all sessions end, and it recovers from its write-ahead log."""
        elsewhere = self._folder / "postgres.folder"
        folder = Path(elsewhere.read_text().strip()) if elsewhere.is_file() else self._folder / "postgres"
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # it may still be busy with the last crash
            for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                    if b"walwriter" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(child, signal.SIGKILL)
                        return
            time.sleep(0.01)
        raise TimeoutError("the server has no process to kill")

    def _services(self, *command: str) -> None:
        environment = {**os.environ, "PENSTOCK_SERVICES_DIR": str(self._folder), "PENSTOCK_SERVICES_ONLY": "postgres"}
        environment.pop("PENSTOCK_TEST_POSTGRES_URL", None)
        subprocess.run([_SERVICES, *command], env=environment, check=True, capture_output=True, timeout=110)

    @property
    def native(self) -> bool:
        """Its processes are on this machine."""
        started = self._folder / "postgres.started"
        return started.is_file() and started.read_text().strip() == "native" and Path("/proc/self/task").is_dir()
