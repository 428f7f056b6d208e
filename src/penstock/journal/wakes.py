"""Waking processes that watch a SQLite journal: each has a datagram socket in a folder made for the journal's file.

A wake is one datagram to each; it costs a few microseconds, and nothing where nobody watches. It is never the delivery:
a lost one only means that the watcher looks when its own time is up.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import select
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock.core.ports import Watch

_TRIES = 5
_folders: dict[str, str] = {}


def _folder(journal: Path) -> str:
    """Short, because the path of a socket must be; the same for every process that uses the file.

    So TMPDIR, which may be another for each process, only counts where there is no /tmp.
    """
    path = str(journal)
    found = _folders.get(path)
    if found is None:
        mark = hashlib.blake2b(os.path.realpath(path).encode(errors="surrogateescape"), digest_size=8).hexdigest()
        base = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()
        found = _folders[path] = os.path.join(base, f"penstock-{os.getuid()}", mark)
    return found


def wake_all(journal: Path) -> None:
    """Wake every process that watches this journal."""
    folder = _folder(journal)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    if not names:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for name in names:
            path = os.path.join(folder, name)
            try:
                sender.sendto(b"1", path)
            except (ConnectionRefusedError, FileNotFoundError):  # its process died
                with contextlib.suppress(OSError):
                    os.unlink(path)
            except OSError:  # its queue is full, so it will look anyway
                continue


def readable(sources: Sequence[Any], seconds: float) -> list[int]:
    """Wait so long until something can be read from one of these; the numbers of those it can be read from."""
    poll = select.poll()  # select() takes no number above 1023
    for source in sources:
        poll.register(source, select.POLLIN)
    return [number for number, _ in poll.poll(max(0, math.ceil(seconds * 1000)))]


class SocketWatch(Watch):
    """Watches a SQLite journal. Where no socket can be made, it is woken by its own process only."""

    def __init__(self, journal: Path) -> None:
        self._here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = ""
        self._socket = self._bound(_folder(journal))
        self._waiting = [each for each in (self._here, self._socket) if each is not None]
        for each in (*self._waiting, self._there):
            each.setblocking(False)

    def _bound(self, folder: str) -> socket.socket | None:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for _ in range(_TRIES):
            path = os.path.join(folder, f"{os.getpid()}-{os.urandom(4).hex()}")
            with contextlib.suppress(OSError):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                if os.stat(os.path.dirname(folder)).st_uid != os.getuid():  # somebody else made it, to listen in
                    break
                found.bind(path)  # fails where the last watcher has just removed the folder
                self._path = path
                return found
        found.close()
        return None

    def wait(self, seconds: float) -> bool:
        """See `Watch.wait`."""
        if self._here.fileno() < 0:
            return False
        if not readable(self._waiting, seconds):
            return False
        for each in self._waiting:
            with contextlib.suppress(OSError):
                while each.recv(16):
                    pass
        return True

    def wake(self) -> None:
        """See `Watch.wake`."""
        with contextlib.suppress(OSError):
            self._there.send(b"1")

    def close(self) -> None:
        """See `Watch.close`."""
        for each in (*self._waiting, self._there):
            each.close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            with contextlib.suppress(OSError):  # others may still be there
                os.rmdir(os.path.dirname(self._path))
