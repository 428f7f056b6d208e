"""Idempotency keys: whoever asks with one again is told of what was made with it first."""

from __future__ import annotations

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record, now_us
from penstock.core.plans import KeyTaken, stream_of
from penstock.core.ports import Journal


def key_stream(deployment: str | None, key: str) -> str:
    """Where it is kept what a key of a deployment (or of none) stands for."""
    return stream_of("key", f"{deployment or ''}/{key}")


def take(journal: Journal, deployment: str | None, key: str, made: str, *also: Append) -> str:
    """What a key stands for: this, from now on, unless it stands for something else already.

    Args:
        journal: where.
        deployment: whose key it is; None for what belongs to none.
        key: tells the request from all others. What somebody else may choose begins with their name and a slash.
        made: the id of what is made.
        also: what is written together with it, or not at all.

    Returns:
        The id of what the key stands for.
    """
    stream = key_stream(deployment, key)
    taken = KeyTaken(at=now_us(), deployment=deployment or "", key=key, run_id=made)
    try:
        journal.commit([Append(stream, 0, [Record(taken)]), *also])
    except SequenceConflict:
        first = next(iter(journal.load(stream)), None)
        if first is None or not isinstance(first.event, KeyTaken):
            raise
        return first.event.run_id
    return made
