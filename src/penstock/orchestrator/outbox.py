"""The alerts that were told, those that wait, and those that could not be told: lists of them, and another try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from penstock.core.automations import action_of, several
from penstock.core.clock import iso, now_us
from penstock.core.errors import InvalidTransition, PlanNotFound, SequenceConflict
from penstock.core.events import Record
from penstock.core.model import OwedAction
from penstock.core.plans import ActionEnded, ActionTried, AutomationFired, Owed, stream_of
from penstock.core.ports import Journal
from penstock.orchestrator.telling import alert_of

_NEVER = 2**62
_PAGE = 500
_MOST_PAGES = 20
_LOOK_BACK = 5000


class ToldAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, and what became of it.

    Attributes:
        id: of the firing, and which of its actions.
        state: waiting, sending, told, silenced, skipped or failed.
        to: the places.
        at: when it ended; when it fired, as long as it has not.
        error: why it failed, or why the last attempt did.
        tags: of the run it is about.
    """

    id: str
    state: str
    automation: str
    to: tuple[str, ...]
    at: int
    title: str = ""
    level: str = ""
    attempts: int = 0
    due_at: int | None = None
    error: str | None = None
    tags: tuple[str, ...] = ()


def alert_record(each: ToldAlert) -> dict[str, Any]:
    """An alert, as `--json` and the API have it."""
    return {
        "id": each.id,
        "state": each.state,
        "automation": each.automation,
        "to": list(each.to),
        "title": each.title,
        "level": each.level,
        "at": iso(each.at),
        "due_at": iso(each.due_at),
        "attempts": each.attempts,
        "error": each.error,
    }


def alerts_of(
    journal: Journal,
    states: Sequence[str] = (),
    limit: int = 50,
    seen: Callable[[Sequence[str]], bool] = lambda tags: True,
) -> list[ToldAlert]:
    """Alerts: those that wait first, then those that have ended, the newest first.

    Args:
        journal: whose.
        states: only these; every one when left out.
        limit: at most so many.
        seen: whether what has these tags is there for whoever asks.
    """
    ended = not states or bool(set(states) - {"waiting", "sending"})
    every = chain(_waiting(journal), _ended(journal) if ended else ())
    return list(islice((each for each in every if (not states or each.state in states) and seen(each.tags)), limit))


def _waiting(journal: Journal) -> Iterator[ToldAlert]:
    waiting = [each for each in journal.owed_actions(_NEVER, True, _PAGE) if each.do.get("type") == "notify"]
    errors = _last_errors(journal, {(each.firing, each.action) for each in waiting if each.attempt > each.under_way})
    for owed in waiting:
        try:
            action = action_of(owed.do)
        except msgspec.ValidationError:
            continue
        yield _waits(owed, action, errors.get((owed.firing, owed.action)))


def _last_errors(journal: Journal, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Why the last attempts of these actions failed, as far as it is among the newest events."""
    found: dict[tuple[str, int], str] = {}
    before: int | None = None
    for _ in range(_MOST_PAGES):
        if len(found) == len(wanted):
            break
        rows = journal.read_back(before, _PAGE, ["ActionTried"])
        for row in rows:
            if isinstance(row.event, ActionTried) and row.event.error:
                key = (row.event.id, row.event.action)
                if key in wanted:
                    found.setdefault(key, row.event.error)
        if len(rows) < _PAGE:
            break
        before = rows[-1].position
    return found


def _waits(owed: OwedAction, action: Any, error: str | None) -> ToldAlert:
    alert = alert_of(owed, action)
    return ToldAlert(
        id=alert.key,
        state="sending" if owed.under_way else "waiting",
        automation=owed.automation,
        to=several(action.to),
        at=owed.fired_at,
        title=alert.title,
        level=alert.level,
        attempts=owed.attempt,
        due_at=owed.due_at,
        error=error,
        tags=tuple(map(str, owed.facts.get("tags") or ())),
    )


def _ended(journal: Journal) -> Iterator[ToldAlert]:
    before: int | None = None
    for _ in range(_MOST_PAGES):
        rows = journal.read_back(before, _PAGE, ["ActionEnded"])
        for row in rows:
            if isinstance(row.event, ActionEnded) and "to" in row.event.facts and "level" in row.event.facts:
                yield _of_end(row.event)
        if len(rows) < _PAGE:
            return
        before = rows[-1].position


def _of_end(event: ActionEnded) -> ToldAlert:
    facts = event.facts
    states = (("silence", "silenced"), ("skipped", "skipped"))
    state = next((told for name, told in states if name in facts), "told")
    return ToldAlert(
        id=f"{event.id}/{event.action}",
        state="failed" if event.error is not None else state,
        automation=event.name,
        to=tuple(facts["to"]),
        at=event.at,
        title=str(facts.get("title", "")),
        level=str(facts["level"]),
        error=event.error or facts.get("skipped"),
        tags=tuple(map(str, facts.get("tags", ()))),
    )


def find(journal: Journal, alert_id: str) -> ToldAlert:
    """An alert that has ended.

    Raises:
        PlanNotFound: there is none of this id.
    """
    for row in journal.load(f"action/{alert_id}"):
        if isinstance(row.event, ActionEnded) and "to" in row.event.facts and "level" in row.event.facts:
            return _of_end(row.event)
    raise PlanNotFound(f"There is no alert {alert_id!r} that has ended.", hint="penstock alerts list --failed")


def retry(journal: Journal, alert_id: str) -> str:
    """Have an alert that could not be told be tried anew; the id that it has then.

    Raises:
        PlanNotFound: there is none of this id that has ended, or what it said is not known any more.
        InvalidTransition: it was told, or is tried already.
    """
    found = find(journal, alert_id)
    if found.state not in ("failed", "skipped"):
        raise InvalidTransition(f"The alert {alert_id!r} did not fail.", hint="penstock alerts list --failed")
    firing_id, _, place = alert_id.rpartition("/")
    stream = stream_of("automation", found.automation)
    again = f"{firing_id}.{place}"
    while True:
        seq = journal.last_seq(stream)
        fired = _fired(journal, stream, seq)
        if again in fired:
            raise InvalidTransition(f"The alert {alert_id!r} is tried again already, as {again}/0.")
        was = fired.get(firing_id)
        if was is None or int(place) >= len(was.actions):
            raise PlanNotFound(f"What the alert {alert_id!r} said is not known any more.")
        owed = was.actions[int(place)]
        event = AutomationFired(
            at=now_us(),
            name=found.automation,
            id=again,
            position=was.position,
            facts=was.facts,
            actions=(Owed(owed.do, True, None, owed.lane),),
            chain=was.chain,
        )
        try:
            journal.append(stream, seq, [Record(event)])
            return f"{again}/0"
        except SequenceConflict:
            continue


def _fired(journal: Journal, stream: str, seq: int) -> dict[str, AutomationFired]:
    rows = journal.load(stream, max(0, seq - _LOOK_BACK))
    return {row.event.id: row.event for row in rows if isinstance(row.event, AutomationFired)}
