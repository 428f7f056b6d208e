"""The doorman: one thread that asks the journal for everybody in this process who waits.

It watches the journal, and asks for the first in each line only: tickets are admitted in the order in which they were
drawn, so that nobody behind can be admitted before. However many wait, a slot that is given back costs each process a
query. It ends when nobody has waited for a while.
"""

from __future__ import annotations

import bisect
import heapq
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from penstock.core.clock import now_us
from penstock.core.ids import owner_is_dead
from penstock.engine.limits.waiters import Waiter
from penstock.engine.limits.wishes import too_many

if TYPE_CHECKING:
    from penstock.core.ports import Watch
    from penstock.engine.limits.slots import Slots

_POLL_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_GAP_SECONDS = 0.002
_LOOK_SECONDS = 0.2
_MOST_HOLDERS = 1000


class Doorman:
    """Asks for those in line, in a thread of its own while there are any."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._arrivals: deque[Waiter] = deque()
        self._lines: dict[str, list[tuple[int, int, Waiter]]] = {}
        self._turns: list[tuple[int, int, Waiter]] = []
        self._looked: dict[str, float] = {}
        self._lock = threading.Lock()
        self._at_work = self._let_in = False
        self._watch: Watch | None = None

    def take(self, waiter: Waiter) -> None:
        """Ask for this one from now on."""
        waiter.in_line = True
        self._arrivals.append(waiter)
        with self._lock:
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._serve, name="penstock-doorman", daemon=True).start()
                return
        self.wake()

    def wake(self) -> None:
        """Look again, now."""
        watch = self._watch
        if watch is not None:
            watch.wake()

    def _serve(self) -> None:
        try:
            watch = self._watch = self._slots.journal.watch()
            try:
                self._ask_until_nobody_waits(watch)
            finally:
                if self._watch is watch:  # else another thread is at work already
                    self._watch = None
                watch.close()
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        """Nobody asks any more: tell everybody, instead of letting them wait for ever."""
        with self._lock:
            self._at_work = False
            waiting = [*self._arrivals, *(entry[2] for line in self._lines.values() for entry in line)]
            waiting += [entry[2] for entry in self._turns]
            self._arrivals.clear()
            self._lines.clear()
            self._turns.clear()
        for waiter in waiting:
            waiter.settle(error)

    def _ask_until_nobody_waits(self, watch: Watch) -> None:
        polled = busy = time.monotonic()
        while True:
            began = time.monotonic()
            poll = began - polled >= _POLL_SECONDS
            if poll:
                polled = began
            self._let_in = False
            self._round(poll)
            if self._lines or self._turns or self._arrivals:
                busy = began
            elif began - busy >= _IDLE_SECONDS and self._ends():
                return
            if watch.wait(self._patience()) and not self._let_in:  # much happens, and little of it is for us
                time.sleep(max(0.0, _GAP_SECONDS - (time.monotonic() - began)))

    def _ends(self) -> bool:
        with self._lock:
            self._at_work = bool(self._arrivals)
            return not self._at_work

    def _patience(self) -> float:
        if not self._turns:
            return 0.0 if self._arrivals else _POLL_SECONDS
        return min(_POLL_SECONDS, max(0.0, (self._turns[0][0] - now_us()) / 1_000_000))

    def _round(self, poll: bool) -> None:
        new = set()
        while self._arrivals:
            new.add(self._put(self._arrivals.popleft()))
        for limit in list(self._lines):
            if poll or (limit in new and time.monotonic() - self._looked.get(limit, 0.0) >= _LOOK_SECONDS):
                self._look_after(limit)
            self._ask(limit)
        if poll:
            for waiter in [entry[2] for entry in self._turns if entry[2].gone()]:
                self._turns = [entry for entry in self._turns if entry[2] is not waiter]
                heapq.heapify(self._turns)
                waiter.settle()
        while self._turns and self._turns[0][0] <= now_us():
            heapq.heappop(self._turns)[2].settle(granted=True)

    def _put(self, waiter: Waiter) -> str | None:
        """Into its line, which is returned."""
        if waiter.turn is not None:
            heapq.heappush(self._turns, (waiter.turn, id(waiter), waiter))
            return None
        ticket = waiter.tickets[-1:]
        if not ticket:  # it has just left
            waiter.settle()
            return None
        limit = waiter.wish.slots[waiter.has][0]
        bisect.insort(self._lines.setdefault(limit, []), (ticket[0], id(waiter), waiter))
        return limit

    def _ask(self, limit: str) -> None:
        """Let in whoever is admitted, one after the other."""
        line = self._lines.get(limit, [])
        while line:
            ticket, _, waiter = line[0]
            if not self._step(waiter):
                if waiter.tickets[-1:] == [ticket] and waiter.turn is None:
                    return
                line.pop(0)
                self._put(waiter)
            else:
                line.pop(0)
        self._lines.pop(limit, None)
        self._looked.pop(limit, None)

    def _step(self, waiter: Waiter) -> bool:
        """Ask once; True when there is nothing more to ask for this one."""
        if waiter.gone():
            waiter.settle()
            return True
        try:
            granted = self._slots.advance(waiter)
        except Exception as error:
            waiter.settle(error)
            return True
        if granted:
            self._let_in = True
            waiter.settle(granted=True)
        return granted

    def _look_after(self, limit: str) -> None:
        """What nobody wakes us for: those that have gone, those that ask too much, and holders that have died."""
        self._looked[limit] = time.monotonic()
        try:
            line = self._lines[limit]
            found = self._slots.journal.limits(limit, counted=False)
            slots = found[0].slots if found else line[0][2].wish.most
            for entry in line[:]:
                waiter = entry[2]
                occupy = waiter.wish.slots[waiter.has][1]
                if waiter.gone():
                    line.remove(entry)
                    waiter.settle()
                elif slots and occupy > slots:
                    line.remove(entry)
                    waiter.settle(too_many(limit, occupy, slots))
            if slots:
                self._bury(limit, min(slots, _MOST_HOLDERS))
        except Exception as error:
            for _, _, waiter in self._lines.pop(limit, []):
                waiter.settle(error)

    def _bury(self, limit: str, most: int) -> None:
        """Give back what processes of this machine hold that are no more. The name of a process is never used again."""
        journal = self._slots.journal
        holders = journal.tickets(limit, most=most)
        dead = {owner for owner in {ticket.owner for ticket in holders} if owner_is_dead(owner)}
        if dead:
            journal.hand_back([ticket.id for ticket in holders if ticket.owner in dead])
