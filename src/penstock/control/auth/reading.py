"""The audit read again: whether nobody has changed it, and as a file for others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core.audit import FIRST, STREAM, Audited, AuditFilter, hash_of
from penstock.core.clock import iso
from penstock.core.ports import Journal

_MOST_BREAKS = 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "number", "at", "who", "role", "action", "target", "detail", "via", "address", "request", "agent", "route",
    "before", "after", "previous", "hash",
)  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the audit.

    Attributes:
        entries: so many there are.
        head: the hash of the last one. Noted elsewhere, it tells later whether what was before is as it was.
        breaks: numbers of entries that are not as they were written, and what is wrong with them; the first ones.
    """

    entries: int
    head: str
    breaks: list[tuple[int, str]]

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not self.breaks


def verify(journal: Journal, number: int | None = None, noted: str | None = None) -> Verdict:
    """Compute the hash of every entry anew.

    Args:
        journal: where they are.
        number: an entry whose hash was noted elsewhere.
        noted: its hash.
    """
    entries, head, seen = 0, FIRST, False
    breaks: list[tuple[int, str]] = []
    for stored in journal.load(STREAM):
        entries += 1
        entry: Any = stored.event
        wrong = _wrong(entry, entries, head) if isinstance(entry, Audited) else "it is no entry"
        if number == entries:
            seen = True
            if wrong is None and noted is not None and entry.hash != noted:
                wrong = "its hash is not the one that was noted"
        if wrong is not None and len(breaks) < _MOST_BREAKS:
            breaks.append((entries, wrong))
        head = getattr(entry, "hash", "")
    if number is not None and not seen:
        breaks.append((number, "it is gone"))
    return Verdict(entries=entries, head=head, breaks=breaks)


def _wrong(entry: Audited, number: int, previous: str) -> str | None:
    if entry.number != number:
        return f"it has the number {entry.number}"
    if entry.previous != previous:
        return "it does not follow the one before"
    return None if hash_of(entry) == entry.hash else "it was changed"


def record(entry: Audited) -> dict[str, Any]:
    """An entry for people and programs."""
    told = {name: getattr(entry, name) for name in COLUMNS}
    for name in ("before", "after"):
        told[name] = msgspec.json.decode(told[name]) if told[name] is not None else None
    return {**told, "at": iso(entry.at)}


def listed(journal: Journal, where: AuditFilter) -> list[dict[str, Any]]:
    """Entries, the newest first."""
    return [record(each.event) for each in journal.audit(where) if isinstance(each.event, Audited)]


def ndjson(journal: Journal) -> Iterator[bytes]:
    """Every entry in order, an object in each line."""
    for stored in journal.load(STREAM):
        if isinstance(stored.event, Audited):
            yield msgspec.json.encode(record(stored.event)) + b"\n"


def as_csv(journal: Journal) -> Iterator[bytes]:
    """Every entry in order; no cell is one that a spreadsheet would compute."""
    yield _row(COLUMNS)
    for stored in journal.load(STREAM):
        if isinstance(stored.event, Audited):
            told = {**{name: getattr(stored.event, name) for name in COLUMNS}, "at": iso(stored.event.at)}
            yield _row(["" if told[name] is None else _harmless(str(told[name])) for name in COLUMNS])


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(cells: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()
