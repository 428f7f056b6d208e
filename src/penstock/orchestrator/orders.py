"""What a worker and its nurseries say to each other: a line of JSON for each message."""

from __future__ import annotations

import msgspec

from penstock.core import typed


class Begin(msgspec.Struct, tag=True):
    """Begin a run in a process of its own."""

    run_id: str
    takes_over: str


class Ready(msgspec.Struct, tag=True):
    """The flow is imported.

    Attributes:
        alone: no thread was started by the import, so that forking is safe.
        sources: the files it came from, and when they were changed last.
    """

    alone: bool
    sources: dict[str, float]


class NotReady(msgspec.Struct, tag=True):
    """The flow cannot be imported."""

    reason: str


class Begun(msgspec.Struct, tag=True):
    """A run has its process."""

    run_id: str
    pid: int


class Ended(msgspec.Struct, tag=True):
    """The process of a run has ended, with this status (negative: a signal)."""

    run_id: str
    pid: int
    status: int


Told = Ready | NotReady | Begun | Ended
encode = msgspec.json.Encoder().encode
read_order = typed.json_decoder(Begin).decode
read_told = typed.json_decoder(Told).decode
