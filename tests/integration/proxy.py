"""A TCP proxy that loses what it is told to lose."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal

Mode = Literal["forward", "lose request", "lose answer"]


class Proxy:
    """Stands before a server.

    Attributes:
        port: where it listens.
        mode: what happens to the next request; a loss ends the connection, and the mode is `forward` again.
        only: to the next request with these bytes in it, such as b"COMMIT".
        answers: how often the server's side spoke up after the client's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.mode: Mode = "forward"
        self.only = b""
        self.answers = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._target)
            for number in (client, server):
                number.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(self, client, server)
            for work in (pair.upstream, pair.downstream):
                thread = threading.Thread(target=work, daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class _Pair:
    """One client's connection and the server's."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._asked = False
        self._lose_answer = False

    def upstream(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(1 << 16):
                if self._proxy.only in data and self._proxy.mode != "forward":
                    mode, self._proxy.mode = self._proxy.mode, "forward"
                    if mode == "lose request":
                        break
                    self._lose_answer = True
                self._asked = True
                self._server.sendall(data)
        self._end()

    def downstream(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1 << 16):
                if self._asked:
                    self._asked = False
                    self._proxy.answers += 1
                if self._lose_answer:
                    break
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
