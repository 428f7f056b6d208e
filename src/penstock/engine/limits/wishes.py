"""What is asked of limits: checked, and put together with what is declared and what is held already."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, NamedTuple

from penstock.core.errors import BadLimit, LimitNotFound
from penstock.core.ports import Journal
from penstock.engine.limits.waiters import Rate, Wish
from penstock.engine.logs import engine_logger

_LONGEST_NAME = 200
_warned: set[str] = set()


class Holding(NamedTuple):
    """Slots that the code around holds, and which thread or asyncio task of it took them."""

    limit: str
    occupy: int
    thread: int
    task: Any


around: ContextVar[tuple[Holding, ...]] = ContextVar("penstock_slots", default=())


class Request(NamedTuple):
    """What `concurrency` and `rate_limit` ask for; it can be sent to another process.

    Attributes:
        names: sorted, each once.
        rate: turns are wanted, and not slots.
    """

    names: tuple[str, ...]
    occupy: int
    timeout_seconds: float | None
    strict: bool
    rate: bool = False
    per_second: float | None = None
    burst: int | None = None


def wish_of(journal: Journal, request: Request, held: dict[str, int]) -> Wish:
    """What is wanted, of limits that are declared as they must be.

    Args:
        journal: which knows them.
        request: what was asked for.
        held: see `held_here`.

    Raises:
        BadLimit, LimitNotFound: it can never be had.
    """
    if request.rate:
        return Wish(rates=tuple(rate for name in request.names for rate in _rate_of(journal, name, request)))
    for name in request.names:
        found = journal.limits(name, counted=False)
        slots = found[0].slots if found else None
        if slots is None:
            _tell_undeclared(name, bool(found), request.strict)
        elif 0 < slots < request.occupy:
            raise too_many(name, request.occupy, slots)
        elif 0 < slots < request.occupy + held.get(name, 0):
            raise BadLimit(
                f"This code holds {held[name]} of the {counted_slots(slots)} of {name!r} already, and would wait for "
                "itself.",
                hint="leave the outer block first, or take all the slots there with occupy=",
            )
    return Wish(slots=tuple((name, request.occupy) for name in request.names))


def _tell_undeclared(name: str, has_rate: bool, strict: bool) -> None:
    if has_rate:
        raise BadLimit(
            f"The limit {name!r} has a rate, and no slots.",
            hint=f"use rate_limit({name!r}), or give it slots as well: penstock limits set {name} 3",
        )
    hint = f"declare it: penstock limits set {name} 3"
    if strict:
        raise LimitNotFound(f"There is no limit {name!r}.", hint=hint)
    _warn(name, hint)


def _rate_of(journal: Journal, name: str, request: Request) -> Iterable[Rate]:
    found = journal.limits(name, counted=False)
    if (found and found[0].per_second is not None) or request.per_second is not None:
        return (Rate(name, request.occupy, request.per_second, request.burst),)
    hint = f"give rate_limit a per_second=, or declare it: penstock limits set {name} --per-second 10"
    if found:
        raise BadLimit(f"The limit {name!r} has slots, and no rate.", hint=hint)
    if request.strict:
        raise LimitNotFound(f"There is no rate limit {name!r}.", hint=hint)
    _warn(name, hint)
    return ()


def _warn(name: str, hint: str) -> None:
    if name not in _warned:
        _warned.add(name)
        engine_logger().warning("There is no limit %r, so that it holds nobody back; %s", name, hint)


def held_here() -> dict[str, int]:
    """How many slots of each limit this very thread or asyncio task holds: what waited for these, would for ever."""
    held: dict[str, int] = {}
    me = (threading.get_ident(), current_task())
    for holding in around.get():
        if holding[2:] == me:
            held[holding.limit] = held.get(holding.limit, 0) + holding.occupy
    return held


def current_task() -> Any:
    """The asyncio task of this code; None outside an event loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def checked_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names of limits in their order, each once.

    Raises:
        BadLimit: one cannot be a name.
    """
    found = [names] if isinstance(names, str) else list(names)
    for name in found:
        check_name(name)
    return tuple(sorted(set(found)))


def check_name(name: Any) -> None:
    """Refuse what cannot be the name of a limit.

    Raises:
        BadLimit: it is empty, too long, or no text.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadLimit(
            f"{name!r} cannot be the name of a limit.",
            hint=f"use up to {_LONGEST_NAME} printable characters, such as database or tag:api",
        )


def checked_count(occupy: Any) -> int:
    """How many slots or turns.

    Raises:
        BadLimit: no whole number from 1.
    """
    if not isinstance(occupy, int) or isinstance(occupy, bool) or occupy < 1:
        raise BadLimit(f"occupy must be a whole number from 1, and is {occupy!r}.")
    return occupy


def checked_seconds(timeout: Any) -> float | None:
    """How long to wait.

    Raises:
        BadLimit: no seconds from 0.
    """
    if timeout is not None and (not isinstance(timeout, (int, float)) or not timeout >= 0):
        raise BadLimit(f"timeout_seconds must be seconds from 0, and is {timeout!r}.")
    return timeout


def check_rate(per_second: Any, burst: Any, of: str = "") -> None:
    """Refuse what cannot be a rate, of this limit.

    Raises:
        BadLimit: a rate that is not above 0, a burst below 1.
    """
    number = isinstance(per_second, (int, float)) and not isinstance(per_second, bool)
    if per_second is not None and (not number or not 0 < per_second < 1_000_000):
        raise BadLimit(f"per_second{of} must be above 0 and below a million, and is {per_second!r}.")
    if burst is not None and (not isinstance(burst, int) or isinstance(burst, bool) or burst < 1):
        raise BadLimit(f"burst{of} must be a whole number from 1, and is {burst!r}.")


def counted_slots(slots: int) -> str:
    """So many slots, in words."""
    return "1 slot" if slots == 1 else f"{slots:,} slots"


def too_many(limit: str, occupy: int, slots: int) -> BadLimit:
    """The error of a wish that cannot come true."""
    return BadLimit(
        f"The limit {limit!r} has {counted_slots(slots)}, so that nobody can ever hold {occupy} of them.",
        hint=f"occupy fewer, or allow more: penstock limits set {limit} {occupy}",
    )
