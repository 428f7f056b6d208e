"""Events of users' own: appended to a stream that no other process appends to, so that nobody waits for a number."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.automation_checks import event_mistake
from penstock.core.context import current_scope
from penstock.core.errors import BadEvent, SequenceConflict
from penstock.core.events import Record, now_us
from penstock.core.ids import new_run_id
from penstock.core.plans import Happened, stream_of
from penstock.core.ports import Journal

_MOST_BYTES = 65_536
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, as `datetime` has them, in microseconds since 1970."""
CHAINED = ("automation", "api")
"""What made the runs that an automation may have led to."""


def emit(
    journal: Journal,
    name: str,
    about: str | None = None,
    facts: Mapping[str, Any] | None = None,
    *,
    at: int | None = None,
    key: str | None = None,
) -> Happened:
    """Record that something happened. When this returns, it is in the journal.

    Args:
        journal: where.
        name: of the event, such as `orders.imported`.
        about: what it is about, such as the name of a dataset.
        facts: more about it; what JSON can hold.
        at: when it happened (microseconds); now when left out.
        key: an idempotency key: a second event with it is the first one.

    Raises:
        BadEvent: it cannot be.
    """
    event = happened(name, about, facts or {}, at)
    if key is not None:
        return _once(journal, key, event)
    emitter = _emitters.get(journal)
    if emitter is None:
        emitter = _emitters.setdefault(journal, _Emitter())
    emitter.append(journal, event)
    return event


def happened(name: str, about: str | None, facts: Mapping[str, Any], at: int | None = None) -> Happened:
    """The event itself.

    Raises:
        BadEvent: it cannot be.
    """
    if told := event_mistake(name):
        raise BadEvent(f"The name of an event {told}.", hint="name it after what happened, such as orders.imported")
    if at is not None and not FIRST <= at <= LAST:
        raise BadEvent("An event happens between the years 1 and 9999.", hint="leave the time out for now")
    try:
        data = msgspec.json.encode(dict(facts))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadEvent(
            f"The facts of the event {name!r} cannot be written as JSON ({error}).", hint="tell plain values"
        ) from None
    if len(data) > _MOST_BYTES:
        raise BadEvent(
            f"The facts of the event {name!r} take {len(data):,} bytes; there is room for {_MOST_BYTES:,}.",
            hint="tell where the data is",
        )
    return Happened(
        at=now_us() if at is None else at,
        name=name,
        about=None if about is None else str(about),
        facts=msgspec.json.decode(data),
        run=_run_id(),
    )


def chain_here(journal: Journal) -> tuple[int, ...]:
    """When automations fired, each because of the one before, until this code came to run."""
    run_id = _run_id()
    run = journal.run(run_id) if run_id is not None else None
    root = journal.run(run.root_id) if run is not None and run.root_id else run
    return chain_of_run(journal, root.id) if root is not None and root.cause in CHAINED else ()


def chain_of_run(journal: Journal, root_id: str) -> tuple[int, ...]:
    """The same, until this run was made."""
    first = next(iter(journal.load(root_id)), None)
    chain: tuple[int, ...] = getattr(first.event, "chain", ()) if first is not None else ()
    return chain


def _run_id() -> str | None:
    """The run that this code is part of."""
    scope = current_scope.get()
    return None if scope is None or scope.live is None or scope.foreign else str(scope.live.id)


def _once(journal: Journal, key: str, event: Happened) -> Happened:
    stream = stream_of("event", f"key/{key}")
    try:
        journal.append(stream, 0, [Record(event)])
    except SequenceConflict:
        first = next(iter(journal.load(stream)), None)
        if first is not None and isinstance(first.event, Happened):
            return first.event
    return event


class _Emitter:
    """The stream of this process in one journal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._stream = stream_of("event", new_run_id())
        self._seq = 0

    def append(self, journal: Journal, event: Happened) -> None:
        """Append; where the stream is not what it was (its end was removed), to a new one."""
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            try:
                journal.append(self._stream, self._seq, [Record(event)])
            except SequenceConflict:
                self._begin()
                journal.append(self._stream, self._seq, [Record(event)])
            self._seq += 1


_emitters: weakref.WeakKeyDictionary[Journal, _Emitter] = weakref.WeakKeyDictionary()


def _in_child() -> None:
    """Locks of the parent mean nothing here."""
    _emitters.clear()


os.register_at_fork(after_in_child=_in_child)
