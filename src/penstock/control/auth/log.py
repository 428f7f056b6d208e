"""The audit, as it is written: by whom, in the transaction of the change, each entry bound to the one before."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import msgspec

from penstock.core.access import Credential
from penstock.core.audit import FIRST, STREAM, Audited, chained
from penstock.core.clock import now_us
from penstock.core.errors import JournalUnavailable, SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.ports import Journal
from penstock.core.secrets import masked

_ATTEMPTS = 50
_LONGEST_TEXT = 300
_LONGEST_CONTENT = 64 * 1024
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Actor(NamedTuple):
    """Who acts, and from where; see `Audited`."""

    who: str
    role: str | None = None
    via: str | None = None
    address: str | None = None
    request: str | None = None
    agent: str | None = None
    route: str | None = None


ACTOR: ContextVar[Actor | None] = ContextVar("penstock_actor", default=None)
"""Whoever acts here and now; what has an actor is audited."""
SYSTEM = Actor("system")


class Change(NamedTuple):
    """What happens to credentials, and what the audit says of it.

    Attributes:
        entry: see `entry_of`.
        kept, dropped: see `Journal.keep_credentials`.
    """

    entry: Audited
    kept: Sequence[Credential] = ()
    dropped: Sequence[Credential] = ()


class AuditLog:
    """Appends entries, one after the other.

    Args:
        journal: where they are.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lock = threading.Lock()
        self._last: tuple[int, str] | None = None

    def record(self, action: str, target: str = "", **told: Any) -> None:
        """An entry about something that changes nothing else; see `entry_of`."""
        self.change(lambda: Change(entry_of(action, target, **told)))

    def change(self, work: Callable[[], Change]) -> None:
        """Change credentials as `work` says, which may raise instead.

        What it reads is what is there when the change is made: where an entry came between, it is called again.
        """

        def commit(told: Append, change: Change) -> None:
            if change.kept or change.dropped:
                self.journal.keep_credentials(told, change.kept, change.dropped)
            else:
                self.journal.commit([told])

        self._write(work, commit)

    def write(self, entry: Callable[[], Audited], commit: Callable[[Append], None]) -> None:
        """Have something committed together with an entry about it.

        Raises:
            SequenceConflict: what is committed besides is not as expected.
        """
        self._write(lambda: Change(entry()), lambda told, _: commit(told))

    def _write(self, work: Callable[[], Change], commit: Callable[[Append, Change], None]) -> None:
        for _ in range(_ATTEMPTS):
            with self._lock:
                try:
                    number, previous = self._last or self._newest()
                    change = work()
                    entry = chained(change.entry, number + 1, previous)
                    self._last = None
                    commit(Append(STREAM, number, [Record(entry)]), change)
                    self._last = (entry.number, entry.hash)
                    return
                except SequenceConflict as error:
                    ours = error.stream == STREAM or (error.stream is None and (change.kept or change.dropped))
                    if not ours:
                        raise
        raise JournalUnavailable("Others write to the audit all the time.", hint="try again")

    def _newest(self) -> tuple[int, str]:
        number = self.journal.last_seq(STREAM)
        last = next(iter(self.journal.load(STREAM, number - 1)), None) if number else None
        return number, getattr(last.event, "hash", FIRST) if last is not None else FIRST


def entry_of(
    action: str,
    target: str = "",
    *,
    before: Any = None,
    after: Any = None,
    detail: str | None = None,
    actor: Actor | None = None,
) -> Audited:
    """An entry about what whoever acts here does.

    Args:
        action: what.
        target: to what.
        before: what it was; what is secret in it is left out.
        after: what it is.
        detail: for people.
        actor: who; whoever acts here when left out.
    """
    found = actor or ACTOR.get() or SYSTEM
    told = {name: storable(value) for name, value in found._asdict().items() if value is not None}
    return Audited(
        at=now_us(),
        number=0,
        action=action,
        target=storable(target),
        before=_content(before),
        after=_content(after),
        detail=storable(detail) if detail is not None else None,
        **told,
    )


def storable(text: str) -> str:
    """A text as every database keeps it, and no longer than is of use: the hash of an entry is made of it."""
    return _plain(text)[:_LONGEST_TEXT]


def _plain(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _content(value: Any) -> str | None:
    if value is None:
        return None
    data = masked(msgspec.to_builtins(value), _plain)
    text = _encode(data).decode()
    if len(text) <= _LONGEST_CONTENT:
        return text
    return _encode({"left_out": "it is too large", "characters": len(text)}).decode()
