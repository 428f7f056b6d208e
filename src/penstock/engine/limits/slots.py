"""What this process holds of limits, and what it waits for.

A slot is a ticket in the journal, which counts as long as the run it was drawn for is alive: its process extends the
run's lease. The journal decides whose turn it is, so that limits hold over processes and machines. Who is not
admitted at once goes to the doorman.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from penstock.core.clock import now_us
from penstock.core.errors import PenstockError
from penstock.core.interruptions import SlotLost
from penstock.core.model import Limit
from penstock.core.ports import Journal
from penstock.engine.limits.doorman import Doorman
from penstock.engine.limits.waiters import Waiter, Wish
from penstock.engine.logs import engine_logger

_JUMP_US = 1_000_000
_SETTLES_SECONDS = 2.0
_QUIET_CHECKS = 2
_TAGS_SECONDS = 2.0
TAG = "tag:"
"""How the name of the limit of a tag begins."""
_ALL = 100_000


class Slots:
    """The slots of one process.

    Args:
        engine: the local engine, whose keeper looks after the leases.

    Attributes:
        tagged: the limits of tags, as of a moment ago (see `stale`).
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.journal: Journal = engine.journal
        self.doorman = Doorman(self)
        self._known: dict[int, Waiter] = {}
        self._owed: deque[int] = deque()
        self._strange: set[int] = set()
        self._quiet = 0
        self._offset = _clock_offset()
        self._jumped: float | None = None
        self.tagged: dict[str, Limit] = {}
        self._asked = -_TAGS_SECONDS
        engine.keeper.checks.append(self.check)

    def stale(self) -> bool:
        """Whether it is time to ask which tags are limited."""
        return time.monotonic() - self._asked >= _TAGS_SECONDS

    def refresh(self) -> None:
        """Ask which tags are limited."""
        found = self.journal.limits(counted=False)
        self.tagged = {limit.name: limit for limit in found if limit.name.startswith(TAG)}
        self._asked = time.monotonic()

    def wanted(
        self, live: Any, step: str | None, wish: Wish, deadline: int | None, abandoned: Callable[[], bool]
    ) -> Waiter:
        """A waiter for this, which has nothing yet."""
        return Waiter(self, live, step, wish, deadline, abandoned)

    def enter(self, waiter: Waiter) -> bool:
        """Draw, and ask once. True when everything is had; otherwise the doorman asks on, and the waiter waits."""
        self._known[id(waiter)] = waiter
        self._quiet = 0
        granted = self.advance(waiter)
        if waiter.left:  # cancelled, while a thread of its own did this
            self.give_back(waiter)
        elif granted:
            waiter.settle(granted=True)
        else:
            self.doorman.take(waiter)
        return waiter.granted

    def advance(self, waiter: Waiter) -> bool:
        """Draw the next ticket and ask for it, as far as it goes. True when everything is had.

        A ticket that is gone belonged to a run that was thought dead, and is drawn anew. With several limits, the
        first ones are looked at again after the last, because they may have been lost meanwhile.
        """
        slots = waiter.wish.slots
        while waiter.has < len(slots):
            if waiter.left:
                return False
            drawn = waiter.tickets[waiter.has :]
            ticket = drawn[0] if drawn else self._draw(waiter)
            answer = self.journal.admitted(ticket, self._as_of(), waiter.wish.most)
            if answer is None:
                waiter.forget(ticket)
            elif not answer:
                return False
            else:
                waiter.has += 1
                if waiter.has == len(slots) > 1 and not self.holds(waiter):
                    self.journal.hand_back(waiter.tear_off())
                    waiter.has = 0
        return self._turn(waiter)

    def _draw(self, waiter: Waiter) -> int:
        limit, occupy = waiter.wish.slots[waiter.has]
        owner = self._engine.owner
        ticket = self.journal.queue_up(limit, waiter.live.id, owner, waiter.step, occupy, now_us())
        waiter.tickets.append(ticket)
        return ticket

    def _turn(self, waiter: Waiter) -> bool:
        if not waiter.wish.rates:
            return True
        now = now_us()
        if waiter.turn is None:
            latest = waiter.deadline
            waiter.turn = max(self.journal.reserve(*rate, now=now, latest=latest) for rate in waiter.wish.rates)
            if latest is not None and waiter.turn > latest:
                raise waiter.too_late()
        return waiter.turn <= now

    def holds(self, waiter: Waiter) -> bool:
        """Whether its tickets are all there."""
        as_of = self._as_of()
        return all(self.journal.admitted(ticket, as_of) is not None for ticket in list(waiter.tickets))

    def _as_of(self) -> int:
        """The time to judge leases by. After the machine has slept, everybody gets a moment to extend his own."""
        offset = _clock_offset()
        jump = offset - self._offset
        if jump > _JUMP_US:
            self._jumped = self._jumped or time.monotonic()
            if time.monotonic() - self._jumped < _SETTLES_SECONDS:
                return now_us() - jump
        self._offset, self._jumped = offset, None
        return now_us()

    def give_back(self, waiter: Waiter) -> SlotLost | None:
        """Hand its tickets back, once; where that cannot be done now, the keeper does it later.

        Returns:
            The reason to stop, where they had been given to somebody else while it thought to hold them.
        """
        if os.getpid() != self._engine.pid:
            return None
        self._known.pop(id(waiter), None)
        tickets = waiter.tear_off()
        if not tickets:
            return None
        lapsed = self._engine.keeper.lapsed()
        try:
            count = self.journal.hand_back(tickets)
        except BaseException as error:
            self._owed.extend(tickets)
            if not isinstance(error, PenstockError):
                raise
            return None
        if count == len(tickets) or not waiter.granted or waiter.lost:
            return None
        if lapsed:
            return self.lose(waiter)
        named = ", ".join(repr(limit) for limit, _ in waiter.wish.slots)
        engine_logger().warning("The limit %s was reset while %s held a slot of it.", named, waiter.step or "the flow")
        return None

    def lose(self, waiter: Waiter) -> SlotLost:
        """Stop the run whose slot was given to somebody else; nothing more of it is recorded here."""
        waiter.lost = True
        named = ", ".join(repr(limit) for limit, _ in waiter.wish.slots)
        reason = SlotLost(
            f"The slot of {named} that run {waiter.live.id} held was given to somebody else, because nothing was heard "
            "of the run for longer than its lease (or the limit was reset); this process stops."
        )
        self._engine.keeper.stop(waiter.live, reason)
        return reason

    def check(self, lapsed: bool) -> None:
        """For the keeper, when it has extended the leases: is everything still there, and nothing else?

        Args:
            lapsed: the leases had expired meanwhile, so that tickets may have been removed.
        """
        while self._owed:
            self.journal.hand_back([self._owed[0]])
            self._owed.popleft()
        self._quiet = 0 if self._known else self._quiet + 1
        if self._quiet > _QUIET_CHECKS:
            return
        held = [(waiter, list(waiter.tickets)) for waiter in list(self._known.values()) if waiter.granted]
        there = {ticket.id for ticket in self.journal.tickets(owner=self._engine.owner, most=_ALL)}
        for waiter, tickets in held:
            if lapsed and not waiter.left and not there.issuperset(tickets):
                self.lose(waiter)
        ours = {ticket for waiter in list(self._known.values()) for ticket in waiter.tickets}
        strange = there - ours
        self.journal.hand_back(sorted(strange & self._strange))  # drawn, and its number never arrived
        self._strange = strange


def _clock_offset() -> int:
    return now_us() - time.monotonic_ns() // 1000
