"""Silences: people are not told of certain things for a while. They are events of one stream."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.clock import iso, now_us
from penstock.core.errors import BadAlerts, PlanNotFound
from penstock.core.plans import SilenceEnded, SilenceStarted, stream_of
from penstock.core.ports import Journal
from penstock.core.templates import is_path
from penstock.core.triggers import passes
from penstock.orchestrator.plans import change_plan

_KIND, _NAME = "alerts", "silences"
STREAM = stream_of(_KIND, _NAME)
_LONGEST_US = 366 * 86_400_000_000
_MOST_FILTERS = 20
_LONGEST_TEXT = 1000


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence as it is now.

    Attributes:
        until: to when; when it was ended, if that was before.
    """

    id: str
    since: int
    until: int
    where: dict[str, Any]
    reason: str | None = None
    by: str | None = None

    def over(self, now: int) -> bool:
        """Whether it has ended."""
        return now >= self.until

    def covers(self, facts: Mapping[str, Any], at: int) -> bool:
        """Whether nobody is told of this at that time."""
        return self.since <= at < self.until and passes(self.where, facts)


def silence_record(silence: Silence, now: int) -> dict[str, Any]:
    """A silence, as `--json` and the API have it."""
    return {
        "id": silence.id,
        "state": "over" if silence.over(now) else "on" if silence.since <= now else "later",
        "where": silence.where,
        "since": iso(silence.since),
        "until": iso(silence.until),
        "reason": silence.reason,
        "by": silence.by,
    }


class Silences:
    """The silences of a journal; what is known of them is read on from where it ended."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seq = 0
        self._known: dict[str, Silence] = {}

    def catch_up(self) -> None:
        """Read what is new."""
        for stored in self._journal.load(STREAM, self._seq):
            self._seq, event = stored.seq, stored.event
            if isinstance(event, SilenceStarted):
                fields = {name: getattr(event, name) for name in ("id", "since", "until", "reason", "by")}
                self._known[event.id] = Silence(where=_filters(event.where), **fields)
            elif isinstance(event, SilenceEnded) and event.id in self._known:
                was = self._known[event.id]
                self._known[event.id] = msgspec.structs.replace(was, until=max(was.since, min(was.until, event.at)))

    def all(self) -> list[Silence]:
        """Every silence there has been, the newest first."""
        self.catch_up()
        return list(self._known.values())[::-1]

    def by_id(self) -> dict[str, Silence]:
        """The same, by their ids."""
        return {each.id: each for each in self.all()}

    def covering(self, facts: Mapping[str, Any], at: int) -> Silence | None:
        """A silence that keeps people from being told of this, as far as was read by now."""
        return next((each for each in reversed(self._known.values()) if each.covers(facts, at)), None)


def start(
    journal: Journal,
    where: Mapping[str, Any],
    seconds: float,
    *,
    since: int | None = None,
    reason: str | None = None,
    by: str | None = None,
    key: str | None = None,
) -> Silence:
    """Begin a silence.

    Args:
        journal: whose alerts.
        where: facts and what they must be, as in `Trigger.where`; nothing is every alert.
        seconds: for how long.
        since: from when; from now on when left out.
        reason: for people.
        by: who wants it.
        key: whoever asks with it again is told of the same silence.

    Raises:
        BadAlerts: it lists every mistake.
    """
    now = now_us()
    since = now if since is None else since
    mistakes = [
        ("where", f"{path!r} cannot name a fact, or may be nothing at all")
        for path, wanted in where.items()
        if not is_path(path) or len(path) > 200 or wanted in ((), []) or not _plain(wanted)
    ]
    if len(where) > _MOST_FILTERS:
        mistakes.append(("where", f"it holds more than {_MOST_FILTERS} facts"))
    if not 0 < seconds * 1_000_000 <= _LONGEST_US:
        mistakes.append(("for", "it must last for more than nothing, and for a year at most"))
    elif since + seconds * 1_000_000 <= now or since > now + _LONGEST_US:
        mistakes.append(("since", "it would be over already, or begin in more than a year"))
    if reason is not None and len(reason) > _LONGEST_TEXT:
        mistakes.append(("reason", f"it has more than {_LONGEST_TEXT} characters"))
    if mistakes:
        raise BadAlerts(mistakes)
    event = SilenceStarted(
        at=now,
        id=secrets.token_hex(6) if key is None else hashlib.blake2b(key.encode(), digest_size=6).hexdigest(),
        since=since,
        until=since + int(seconds * 1_000_000),
        where=dict(where),
        reason=reason,
        by=by,
    )
    change_plan(journal, _KIND, _NAME, lambda: None if event.id in Silences(journal).by_id() else event)
    return find(journal, event.id)


def _filters(where: Mapping[str, Any]) -> dict[str, Any]:
    return {path: tuple(wanted) if isinstance(wanted, list) else wanted for path, wanted in where.items()}


def _plain(wanted: Any) -> bool:
    """A value that a filter can have."""
    values = wanted if isinstance(wanted, (list, tuple)) else (wanted,)
    return len(values) <= _MOST_FILTERS and all(
        isinstance(each, (int, float, bool)) or (isinstance(each, str) and len(each) <= _LONGEST_TEXT)
        for each in values
    )


def find(journal: Journal, silence_id: str) -> Silence:
    """One silence; the beginning of its id is enough where no other begins so.

    Raises:
        PlanNotFound: there is none.
    """
    found = [each for each in Silences(journal).all() if silence_id and each.id.startswith(silence_id)]
    exact = [each for each in found if each.id == silence_id]
    if len(exact or found) != 1:
        told = "more than one silence begins with" if found else "no silence"
        raise PlanNotFound(f"There is {told} {silence_id!r}.", hint="penstock alerts silences lists them")
    return (exact or found)[0]


def end(journal: Journal, silence_id: str, by: str | None = None) -> bool:
    """End a silence before its time; False where it is over already.

    Raises:
        PlanNotFound: there is none.
    """
    found = find(journal, silence_id)

    def event() -> SilenceEnded | None:
        now = now_us()
        return None if find(journal, found.id).over(now) else SilenceEnded(at=now, id=found.id, by=by)

    return change_plan(journal, _KIND, _NAME, event)
