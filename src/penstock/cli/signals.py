"""Ctrl-C and SIGTERM as a wish: end soon, with what there is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """Set once one of the two came; the next one ends the process as it always does."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: Any) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, told)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
