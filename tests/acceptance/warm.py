"""Commands without the time that Python takes to import: a process that has imported all of the command line forks.

A command is a process of its own all the same: with its folder, its environment, its three streams, and an end as any
other. What it has in common with others is that its modules were imported before. Where that matters (what a command
imports, how it begins, how it ends others that it has started) tests start it as its user does: `Cli.start`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def clean_environ() -> dict[str, str]:
    """The environment without Penstock's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "_PENSTOCK"))}


class Ended(Exception):
    """The process that forks is no more, or the command did not end in time."""


class Starter:
    """The process that forks."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="penstock-warm-")
        self._path = f"{folder}/socket"
        environ = {**clean_environ(), "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}", "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.warm", self._path],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,  # when it is closed, whoever asks is gone
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise Ended((self._process.communicate()[1] or b"").decode())

    def run(
        self, args: Sequence[str], folder: Path, environ: Mapping[str, str], seconds: float
    ) -> tuple[int, bytes, bytes]:
        """Run `penstock` to its end: the exit code (negative: the signal that ended it), and what it wrote."""
        order = json.dumps({"args": args, "folder": os.fspath(folder), "environ": dict(environ)}).encode()
        pipes = [os.pipe(), os.pipe()]
        nothing = os.open(os.devnull, os.O_RDONLY)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as asked:
            try:
                asked.connect(self._path)
                asked.settimeout(seconds)
                socket.send_fds(asked, [len(order).to_bytes(4, "big")], [nothing, pipes[0][1], pipes[1][1]])
                asked.sendall(order)
            finally:
                for handle in (nothing, pipes[0][1], pipes[1][1]):
                    os.close(handle)
            end = time.monotonic() + seconds
            pid = int.from_bytes(asked.recv(4), "big")
            if not pid:
                raise Ended(f"penstock {' '.join(args)}: it was never begun")
            out, err = _read([pipes[0][0], pipes[1][0]], pid, end)
            told = asked.recv(4)
        if len(told) != 4:
            raise Ended(f"penstock {' '.join(args)}: nobody told how it ended")
        return int.from_bytes(told, "big", signed=True), out, err


@cache
def starter() -> Starter:
    """The one of this process."""
    return Starter()


def _read(handles: list[int], pid: int, end: float) -> list[bytes]:
    found = dict.fromkeys(handles, b"")
    with selectors.DefaultSelector() as selector:
        for handle in handles:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                raise Ended(f"process {pid} did not end in time")
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                found[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    for handle in handles:
        os.close(handle)
    return list(found.values())


def _serve(path: str) -> None:
    """Fork for whoever asks, until stdin is closed."""
    import penstock.cli

    for module in pkgutil.walk_packages(penstock.cli.__path__, "penstock.cli."):
        importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that tell how a command ended
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select()]
            if 0 in ready:
                shutil.rmtree(Path(path).parent)
                return
            asked, _ = listening.accept()
            if os.fork() == 0:
                selector.close()
                listening.close()
                break
            asked.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _tell(asked)


def _tell(asked: socket.socket) -> None:
    """Start the command, and tell how it ended."""
    size, handles, _, _ = socket.recv_fds(asked, 4, 3)
    order = b""
    while len(order) < int.from_bytes(size, "big"):
        more = asked.recv(1 << 16)
        if not more:  # who asked is gone
            return
        order += more
    pid = os.fork()
    if pid == 0:
        asked.close()
        _become(json.loads(order), handles)
        return
    for handle in (0, 1, 2, *handles):
        os.close(handle)
    with contextlib.suppress(OSError):  # who asked may be gone
        asked.sendall(pid.to_bytes(4, "big"))
        _, status = os.waitpid(pid, 0)
        asked.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    os._exit(0)


def _become(order: dict[str, object], handles: Sequence[int]) -> None:
    """Be `python -m penstock`."""
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    environ, folder = order["environ"], str(order["folder"])
    assert isinstance(environ, dict)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    args = order["args"]
    assert isinstance(args, list)
    sys.argv = ["-m", *args]
    sys.path[0] = folder
    if str(ROOT) in sys.path[1:]:
        sys.path.remove(str(ROOT))
    runpy.run_module("penstock", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
