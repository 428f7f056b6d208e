"""The warehouse that models are made in: a Warehouse, a URL, or a function that gives one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from penstock.core.connections import Connection
from penstock.core.errors import ConfigurationError
from penstock.stores.warehouse.warehouse import Warehouse

Where: TypeAlias = "Warehouse | str | os.PathLike[str] | Connection | Callable[[], Warehouse] | None"

_EMBEDDED = "duckdb://"
_turns: dict[str, threading.Lock] = {}
_turns_lock = threading.Lock()


@contextmanager
def opened(where: Where) -> Iterator[Warehouse]:
    """The warehouse; one that was made here is closed at the end.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(where, Warehouse):
        yield where
        return
    if callable(where) and not isinstance(where, (os.PathLike, Connection)):
        made = where()
        if not isinstance(made, Warehouse):
            raise ConfigurationError(
                f"The function that is to give the warehouse gave {type(made).__name__}.",
                hint="such as warehouse=lambda: Warehouse(url)",
            )
    else:
        made = Warehouse(where)
    with made:
        yield made


@contextmanager
def turn(warehouse: Warehouse) -> Iterator[None]:
    """Of models in one file, one at a time is made; the others wait here, for as long as it takes."""
    namespace = warehouse.place.namespace
    if not namespace.startswith(_EMBEDDED):
        yield
        return
    with _turns_lock:
        lock = _turns.setdefault(namespace, threading.Lock())
    with lock:
        yield


def dialect_of(warehouse: Warehouse) -> str:
    """What the parser calls its SQL."""
    return "duckdb" if warehouse.place.namespace.startswith(_EMBEDDED) else "postgres"
