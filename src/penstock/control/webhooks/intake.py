"""Requests to webhooks as a server gets them: those that wait are looked at together, and kept in one transaction.

The loop that reads requests hands them to a thread, all that have come at once. While that thread is at work others
come, and are the next batch: the busier it is, the larger the batches. What takes long goes another way, so that one
slow template or one large body holds up nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from penstock.control.webhooks.current import Known, Now
from penstock.control.webhooks.deliveries import (
    REFUSED_BURST,
    REFUSED_PER_SECOND,
    Deliveries,
    JournalDeliveries,
    Keeping,
)
from penstock.control.webhooks.hooks import Hook
from penstock.control.webhooks.receiving import Decided, Outcome, decide, keep, secret_of
from penstock.control.webhooks.requests import Request
from penstock.core.errors import PenstockError
from penstock.core.networks import customer_of
from penstock.core.ports import Journal
from penstock.core.webhooks import REFUSED
from penstock.engine.connections.shelf import Shelf

MOST_WAITING = 2000
_MOST_AT_ONCE = 200
_LARGE = 100_000
_SLOW_SECONDS = 0.05
_SLOW_AT_ONCE = 2
_MOST_ADDRESSES = 10_000


class Busy(PenstockError):
    """There are more requests to webhooks than can be looked at."""

    code = "busy"
    hint = "send it again in a moment"


class _Waiting(NamedTuple):
    slug: str
    request: Request
    answer: asyncio.Future[Outcome]


class Intake:
    """Takes requests in. It belongs to the loop of one server.

    Args:
        known: the webhooks and their secrets.
        deliveries: keeps deliveries; the journal, where left out.
    """

    def __init__(self, known: Known, deliveries: Deliveries | None = None) -> None:
        self._known = known
        self._deliveries = _Sparing(deliveries or JournalDeliveries(known.journal))
        self._rates = Rates()
        self._waiting: deque[_Waiting] = deque()
        self._slow: dict[str, Hook] = {}
        self._slow_now = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="penstock-hooks")
        self._apart = ThreadPoolExecutor(_SLOW_AT_ONCE, thread_name_prefix="penstock-slow-hooks")
        self._loop: asyncio.AbstractEventLoop | None = None
        """Whose requests are looked at now."""

    async def receive(self, slug: str, request: Request) -> Outcome:
        """Take a request in. When this returns that it is accepted, it is in the journal with its events.

        Raises:
            Busy: too many wait already.
            JournalError: it could not be stored; the sender is to try again.
        """
        loop = asyncio.get_running_loop()
        if len(self._waiting) + self._slow_now >= MOST_WAITING:
            raise Busy("More requests wait than can be looked at.")
        if len(request.body) > _LARGE or slug in self._slow:
            return await self._received_apart(slug, request)
        waiting = _Waiting(slug, request, loop.create_future())
        self._waiting.append(waiting)
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._hand_over, loop)  # with all that has come at once
        return await waiting.answer

    async def _received_apart(self, slug: str, request: Request) -> Outcome:
        self._slow_now += 1
        try:
            loop = asyncio.get_running_loop()
            (found,) = await loop.run_in_executor(self._apart, self.receive_all, [(slug, request)])
        finally:
            self._slow_now -= 1
        if isinstance(found, Exception):
            raise found
        return found

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have what waits looked at; when that is over, what has come meanwhile."""
        batch = [self._waiting.popleft() for _ in range(min(_MOST_AT_ONCE, len(self._waiting)))]
        if not batch:
            self._loop = None
            return

        def tell(done: Future[list[Outcome | Exception]]) -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(self._tell, loop, batch, done)

        self._thread.submit(self.receive_all, [(each.slug, each.request) for each in batch]).add_done_callback(tell)

    def _tell(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], done: Future[list[Outcome | Exception]]
    ) -> None:
        error = done.exception()  # of the journal: nothing of the batch was kept
        found: Sequence[Outcome | BaseException] = done.result() if error is None else [error] * len(batch)
        for waiting, outcome in zip(batch, found, strict=True):
            if waiting.answer.done():  # its sender has gone
                continue
            if isinstance(outcome, BaseException):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)
        if self._loop is loop:
            self._hand_over(loop)

    def receive_all(self, requests: Sequence[tuple[str, Request]]) -> list[Outcome | Exception]:
        """Take requests in, all of them in one transaction. What goes wrong with one is its own affair.

        Raises:
            JournalError: nothing could be kept.
        """
        now = Now(self._known)
        decided: list[Decided | Exception] = []
        for slug, request in requests:
            try:
                decided.append(self._decided(now, slug, request))
            except PenstockError:
                raise
            except Exception as error:  # a mistake of ours, which the others are not to pay for
                decided.append(error)
        kept = iter(keep([each for each in decided if not isinstance(each, Exception)], self._deliveries))
        return [each if isinstance(each, Exception) else next(kept) for each in decided]

    def _decided(self, now: Now, slug: str, request: Request) -> Decided:
        hook = now.hook(slug)
        if hook is None:
            told = f"There is no webhook {slug!r}."
            return Decided(Outcome(status=REFUSED, status_code=404, reason="unknown", message=told))
        if hook.per_second_each is not None and not self._rates.turn(hook, request):
            told = f"There are more than {hook.per_second_each:g} requests in a second from {request.client}."
            return Decided(Outcome(status=REFUSED, status_code=429, reason="rate", message=told))
        if self._slow.get(slug, hook) is not hook:
            self._slow.pop(slug, None)
        began = time.perf_counter()
        found = decide(hook, request, now.secrets(hook, request.at), self._deliveries)
        if time.perf_counter() - began > _SLOW_SECONDS and len(request.body) <= _LARGE:
            self._slow[slug] = hook
        return found


def intake_of(journal: Journal, shelf: Shelf) -> Intake:
    """What takes in requests to the webhooks of a journal, whose secrets are connections of a project."""

    def described(name: str) -> bool:
        return shelf.environment.find(name) is not None

    return Intake(Known(journal, secret_of(shelf.load), described))


class _Bucket:
    """So many turns at once, and so many more each second."""

    def __init__(self, burst: float, at: int) -> None:
        self.left = burst
        self.at = at

    def turn(self, per_second: float, burst: float, at: int) -> bool:
        self.left = min(burst, self.left + max(0, at - self.at) * per_second / 1_000_000)
        self.at = max(at, self.at)
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Rates:
    """How many requests come from each address, to each webhook. Those that came longest ago are forgotten first."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def turn(self, hook: Hook, request: Request) -> bool:
        """Whether one more may come now; it counts then."""
        key = (hook.slug, customer_of(request.client or ""))
        bucket = self._buckets.pop(key, None) or _Bucket(hook.burst, request.at)
        self._buckets[key] = bucket
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket.turn(hook.per_second_each or 0.0, hook.burst, request.at)


class _Sparing(Deliveries):
    """Asks the journal for a turn only where this server has one itself: a flood of refused requests writes nothing.

    Args:
        deliveries: keeps them.
    """

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._refused: dict[str, _Bucket] = {}

    def keep(self, deliveries: Sequence[Keeping]) -> list[bool]:
        """See `Deliveries.keep`."""
        return self._deliveries.keep(deliveries)

    def turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.turn`."""
        return self._deliveries.turn(hook, now)

    def refusal_turn(self, hook: Hook, now: int) -> bool:
        """See `Deliveries.refusal_turn`."""
        bucket = self._refused.setdefault(hook.slug, _Bucket(REFUSED_BURST, now))
        return bucket.turn(REFUSED_PER_SECOND, REFUSED_BURST, now) and self._deliveries.refusal_turn(hook, now)
