"""What goes to workers of a Dask cluster, and what comes back."""

from __future__ import annotations

from typing import Any, NamedTuple


class Head(NamedTuple):
    """What the tasks of a pack have in common.

    Attributes:
        client: the id of the flow's connection: what is kept here is kept for it.
        asks: the queue of the scheduler that the flow's process listens to.
        paths: where it finds modules.
        results: the pickled result store.
        run: what tasks are told of the run, pickled.
        keys: of the values on the cluster that come with the pack.
        functions: pickled.
    """

    client: str
    asks: str
    paths: tuple[str, ...]
    results: bytes
    run: bytes
    keys: tuple[str, ...]
    functions: tuple[bytes, ...]


class Job(NamedTuple):
    """A task of a pack.

    Attributes:
        number: in the flow's process.
        function: which of those in the head.
        arguments: pickled; where they are large, the key under which they come with the pack.
        seconds: how long it may take.
        saves: a large result is saved, too.
        facts: what it may ask of itself.
    """

    number: int
    function: int
    arguments: bytes | str
    seconds: float | None
    saves: bool
    facts: dict[str, Any]


class Receipt(NamedTuple):
    """What came of a task.

    Attributes:
        kind: kept (a value: `saved`, and `data` or the `key` in the memory of the worker), plain (a pickle in `data`),
            raised (`data` and `text`), late, stopped, or left (it was not begun).
        seconds: how long it took.
        lines: what it logged.
    """

    kind: str
    saved: Any = None
    data: bytes | None = None
    key: str | None = None
    text: str = ""
    seconds: float = 0.0
    lines: tuple[tuple[int, int, str, str], ...] = ()
