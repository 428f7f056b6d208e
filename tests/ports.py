"""Ports of this machine: below those that the kernel hands out by itself, each process in an order of its own.

One that was used comes again only after all the others: who still asks the server of a test that has ended asks nobody.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

T = TypeVar("T")


@cache
def _order(pid: int) -> list[int]:
    return random.Random(pid).sample(range(20_000, 32_000), 12_000)


def on_some_port(make: Callable[[int], T]) -> T:
    """What is made at the next port that is free."""
    order = _order(os.getpid())
    for _ in range(500):
        port = order.pop()
        order.insert(0, port)
        try:
            return make(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise RuntimeError("no port is free")


def _held(port: int) -> socket.socket:
    held = socket.socket()
    try:
        held.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        raise
    return held


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody can take, until the end of the block."""
    with on_some_port(_held) as held:
        yield held.getsockname()[1]


def own_port() -> int:
    """A port for a server that is still to be started, or started again: the kernel gives it to nobody by chance."""
    with closed_port() as port:
        return port


_nobodys: list[socket.socket] = []


def nobody() -> str:
    """The URL of a port that nobody listens on, as long as this process lives."""
    if not _nobodys:
        _nobodys.append(on_some_port(_held))
    return f"http://127.0.0.1:{_nobodys[0].getsockname()[1]}"
