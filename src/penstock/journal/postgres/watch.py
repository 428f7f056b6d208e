"""Being woken by PostgreSQL: LISTEN on a connection of its own."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.core.extras import require
from penstock.core.ports import Watch
from penstock.journal.postgres.statements import CHANNEL
from penstock.journal.wakes import readable

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

_AGAIN_SECONDS = 1.0


class NotifyWatch(Watch):
    """Watches a PostgreSQL journal; a lost connection is made again, and counts as a wake."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._tried = 0.0
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)
        self._listen()

    def _listen(self) -> bool:
        self._tried = time.monotonic()
        try:
            self._connection = self._connect()
            self._connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def wait(self, seconds: float) -> bool:
        """See `Watch.wait`."""
        if self._here.fileno() < 0:
            return False
        if self._connection is None and time.monotonic() - self._tried >= _AGAIN_SECONDS and self._listen():
            return True
        connection = self._connection
        if connection is None:
            ready = readable([self._here], min(seconds, _AGAIN_SECONDS))
        else:
            ready = readable([self._here, connection.pgconn.socket], seconds)
        if self._here.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while self._here.recv(64):
                    pass
        if connection is not None and connection.pgconn.socket in ready:
            try:
                connection.pgconn.consume_input()
                while connection.pgconn.notifies() is not None:
                    pass
            except psycopg.Error:
                self._drop()
        return bool(ready)

    def wake(self) -> None:
        """See `Watch.wake`."""
        with contextlib.suppress(OSError):
            self._there.send(b"1")

    def close(self) -> None:
        """See `Watch.close`."""
        self._drop()
        self._here.close()
        self._there.close()
