"""Finds out when automations fire.

It reads the events of the journal in their order, from a durable cursor on. What an automation has to remember, its
firings, and the cursor's step are one commit, so that each event is taken into account once, whatever dies and however
many do this at once: only one of several can make the step, and the others go on from where it led to. The
declarations of automations are events of the same order, so that each event meets the automations as they were then.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from penstock.core.automations import Automation
from penstock.core.errors import PenstockError, SequenceConflict
from penstock.core.events import Append, Record, Stored, now_us, stored_name
from penstock.core.plans import AutomationDeclared, AutomationDeleted, stream_of
from penstock.core.ports import Journal
from penstock.core.triggers import Firing, State, begins, group_of, met, silence, step, wanted_types
from penstock.orchestrator.facts import Facts
from penstock.orchestrator.known import (
    CHAIN_SECONDS,
    LONGEST_CHAIN,
    SELF,
    Known,
    Spread,
    fired,
    of_silence,
    same_trigger,
)

_log = logging.getLogger("penstock.automations")
CURSOR = "automations"
BEGINNING = -1
"""Where the cursor is before the first event of all, so that it is not where it is before anything was declared."""

_BATCH = 1000
_AT_ONCE = 5
_PERSIST_US = 10_000_000
_MOST_FIRINGS = 200
_SKEW_US = 60_000_000
_NEVER = 2**62
_DECLARATIONS = frozenset({"AutomationDeclared", "AutomationDeleted"})


@contextlib.contextmanager
def _apart(known: Known) -> Iterator[None]:
    """An automation that cannot be must not hold up the others: it is paused."""
    try:
        yield
    except PenstockError:
        raise
    except Exception as error:
        known.loop = f"It could not take an event into account ({type(error).__name__}: {error})."
        known.automation = None


class Evaluator:
    """Takes events into account, a bounded number at a time.

    Args:
        journal: whose events; firings go there too.
        spread: where and when actions are owed.

    Attributes:
        behind: there was more than fitted into the last turn.
    """

    def __init__(self, journal: Journal, spread: Spread | None = None) -> None:
        self.journal = journal
        self._spread = spread or Spread()
        self._facts = Facts(journal)
        self._known: dict[str, Known] = {}
        self.behind = False
        self._loaded = False
        self._stored = self._position = self._kept_at = 0
        self._looked_at = _NEVER
        self._types: tuple[str, ...] = ()
        self._concerned: dict[str, list[Known]] = {}
        self._fired = 0

    def turn(self, now: int | None = None) -> int:
        """Take what is new into account, and the time; returns how many firings that made."""
        now = now_us() if now is None else now
        total, self.behind = 0, False
        try:
            for _ in range(_AT_ONCE):
                if not self._loaded and not self._load():
                    break
                self.behind, made = self._batch(now)
                total += made
                if not self.behind:
                    break
        except BaseException:
            self._loaded = False  # what is known here may be ahead of what is written, or behind it
            raise
        return total

    def next_silence(self) -> int | None:
        """When the next silence is too long, as far as is known."""
        found = [at for known in self._awake() if (at := known.next_silence()) is not None]
        return min(found, default=None)

    def _load(self) -> bool:
        """What automations remember as of the cursor. The ends of streams are read first: see `_commit`."""
        self._spread.settle(False)  # whatever has fired here and was not written, did not fire
        names: set[str] = set()
        while True:
            seqs = {name: self.journal.last_seq(stream_of("automation", name)) for name in names}
            self._stored = self._position = self.journal.cursor(CURSOR)
            rows = self.journal.remembered()
            if {row.automation for row in rows} <= names:
                break
            names |= {row.automation for row in rows}
        if not rows and not self._stored and not self.journal.automations():
            return False  # none was ever declared: there is nothing to read all those events for
        self._known = {name: Known(name, seq) for name, seq in seqs.items()}
        self._looked_at = _NEVER
        for row in sorted(rows, key=lambda row: (row.state.get("position", 0), row.group)):
            if row.group == SELF:
                self._known[row.automation].declare(row.state)
            else:
                self._known[row.automation].groups[row.group] = row.state
        self._want()
        self._loaded = True
        return True

    def _want(self) -> bool:
        """Find out which events matter; True when that has changed."""
        self._concerned = {}
        for known in self._awake():
            for name in wanted_types(known.automation.trigger):  # type: ignore[union-attr]
                self._concerned.setdefault(name, []).append(known)
        before, self._types = self._types, tuple(sorted(_DECLARATIONS | self._concerned.keys()))
        return before != self._types

    def _awake(self) -> Iterable[Known]:
        return [known for known in self._known.values() if known.automation is not None]

    def _batch(self, now: int) -> tuple[bool, int]:
        """Take some events into account; whether there are more, and how many firings that made."""
        self._fired = 0
        head = self.journal.head()
        rows = self.journal.read(self._position, _BATCH, self._types) if head > self._position else []
        more = len(rows) == _BATCH
        reached = rows[-1].position if more else max(head, self._position, *(row.position for row in rows[-1:]))
        for stored in rows:
            if isinstance(stored.event, (AutomationDeclared, AutomationDeleted)):
                if not self._declare(stored, stored.event, now):
                    self._loaded = False
                    return True, 0
                if self._want():  # the rest was read for other automations
                    more, reached = True, stored.position
                    break
            self._meet(stored, now)
            if self._fired >= _MOST_FIRINGS:
                more, reached = True, stored.position
                break
        if not more:
            self._silences(now)
        return (more, self._fired) if self._commit(reached, now) else (True, 0)

    def _declare(self, stored: Stored, event: AutomationDeclared | AutomationDeleted, now: int) -> bool:
        """An automation was declared, changed, paused or deleted; False when what is known of it is out of date."""
        known = self._known.get(event.name)
        if known is None:
            seq = self.journal.last_seq(stream_of("automation", event.name))
            known = self._known[event.name] = Known(event.name, seq)
        if stored.seq > known.seq + 1:  # somebody else has written to its stream since
            return False
        known.seq = max(known.seq, stored.seq)
        state: State = {}
        if isinstance(event, AutomationDeclared):
            state = {"spec": event.spec, "paused": event.paused, "position": stored.position}
        with _apart(known):
            self._pass(known, event.at, now)  # its silences end here, whenever this is read
        before = known.declared
        known.declare(state)
        known.changed[SELF] = state or None
        if same_trigger(before, state):
            return True
        for key in list(known.groups):
            known.remember(key, None)
        if known.automation is not None:
            start = begins(known.automation.trigger, stored.position, event.at)
            if start is not None:
                known.remember("[]", start)
        return True

    def _meet(self, stored: Stored, now: int) -> None:
        """Let the automations meet an event."""
        name = stored_name(stored.event)[0]
        facts: dict[str, Any] | None = None
        for known in self._concerned.get(name, ()):
            automation = known.automation
            if automation is None:
                continue
            facts = facts or self._facts.of(stored)
            with _apart(known):
                self._take(known, automation, stored, facts, now)

    def _take(self, known: Known, automation: Automation, stored: Stored, facts: dict[str, Any], now: int) -> None:
        trigger = automation.trigger
        at = min(stored.event.at, now + _SKEW_US)  # what is told of the future does not count from there
        event = met(trigger, stored_name(stored.event)[0], facts, stored.position, at)
        if event is None:
            return
        key, values = group_of(trigger, facts)
        before = known.groups.get(key)
        after = step(trigger, before, event)
        for firing in after.firings:
            told = facts if firing.events else of_silence(automation, before or {}, firing)
            chain = self._facts.chain_of(stored) if firing.events else tuple((before or {}).get("chain", ()))
            self._fire(known, automation, firing, told, chain, now)
        state = after.state
        if state is not None and state is not before and "since" in state:
            begun = {"values": values, "chain": list(self._facts.chain_of(stored))}
            state = state | {name: value for name, value in begun.items() if value}
        known.remember(key, state)
        known.prune(event.at)

    def _silences(self, now: int) -> None:
        """Let the time pass for those that wait for something that does not come."""
        waiting = [known for known in self._awake() if known.automation.trigger.timed]  # type: ignore[union-attr]
        if not waiting or not self.journal.settled():
            return
        was, self._looked_at = self._looked_at, now
        for known in waiting:
            with _apart(known):
                if now < was:
                    known.set_back(now)
                self._pass(known, now, now)

    def _pass(self, known: Known, until: int, now: int) -> None:
        automation = known.automation
        if automation is None or not automation.trigger.timed:
            return
        for key, state in known.waiting(until):
            over = silence(automation.trigger, state, until)
            if over is None:
                continue
            for firing in over.firings:
                told = of_silence(automation, state, firing)
                self._fire(known, automation, firing, told, tuple(state.get("chain", ())), now)
            known.remember(key, over.state)

    def _fire(
        self,
        known: Known,
        automation: Automation,
        firing: Firing,
        facts: dict[str, Any],
        chain: tuple[int, ...],
        now: int,
    ) -> None:
        if len(chain) >= LONGEST_CHAIN and now - chain[-LONGEST_CHAIN] < CHAIN_SECONDS * 1_000_000:
            known.loop = (
                f"It is part of a loop: automations fired {LONGEST_CHAIN} times in a row within "
                f"{CHAIN_SECONDS // 60} minutes, each because of the one before."
            )
            return
        self._fired += 1
        known.fired.append(fired(automation, firing, facts, chain, now, self._spread))

    def _commit(self, reached: int, now: int) -> bool:
        """Write what is new and make the step; False when somebody else was faster, and it must begin anew.

        A step from here to here (time has passed, and nothing else) is refused by the stream of the automation that
        fires, for its end was read before what it remembers.
        """
        appends = {}
        for known in self._known.values():
            if records := known.records(now):
                appends[known.name] = Append(stream_of("automation", known.name), known.seq, records)
        if appends or (reached > self._stored and not 0 <= now - self._kept_at < _PERSIST_US):
            try:
                self.journal.commit(list(appends.values()), (CURSOR, self._stored, reached))
            except SequenceConflict:
                self._loaded = False
                return False
            self._spread.settle(True)
            self._stored, self._kept_at = reached, now
        self._position = reached
        for name, append in appends.items():
            self._known[name].written(len(append.records))
        self._pause_loops(now)
        return True

    def _pause_loops(self, now: int) -> None:
        for known in self._known.values():
            if known.loop is None:
                continue
            reason, known.loop = known.loop, None
            _log.error("The automation %r is paused. %s", known.name, reason)
            event = AutomationDeclared(at=now, name=known.name, spec=known.declared["spec"], paused=True, reason=reason)
            try:
                self.journal.append(stream_of("automation", known.name), known.seq, [Record(event)])
            except SequenceConflict:
                self._loaded = False
                return
            known.seq += 1
            known.automation = None
