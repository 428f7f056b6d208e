"""Messages between the flow's process and a task's: a length of eight bytes, then a pickle."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

from penstock.core.errors import ResultNotSaved

_LENGTH = struct.Struct("!Q")


def send(handle: int, message: tuple[Any, ...]) -> None:
    """Write one message."""
    data = pickle.dumps(message, protocol=5)
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(handle, view) :]


def receive(handle: int) -> tuple[Any, ...]:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = _LENGTH.unpack(_read(handle, _LENGTH.size))
    message: tuple[Any, ...] = pickle.loads(_read(handle, length))
    return message


def _read(handle: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(handle, min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def dumps(value: Any, what: str) -> bytes:
    """Pickle anything that can be: functions of modules by name, those of scripts and closures by value.

    Raises:
        ResultNotSaved: it cannot be, and why.
    """
    import io

    from penstock.engine.runners.pickling import Pickler

    buffer = io.BytesIO()
    try:
        Pickler(buffer, protocol=5).dump(value)
        return buffer.getvalue()
    except Exception as error:
        raise ResultNotSaved(
            f"{what} cannot be sent to another process: {type(error).__name__}: {error}",
            hint="pass plain data, or make connections and clients inside the task",
        ) from error
