"""How fast to ask: what we allow ourselves, and what the server tells us."""

from __future__ import annotations

import email.utils
import logging
import threading
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from penstock.core.clock import clock, now_us
from penstock.core.context import current_scope

_EPOCH_FROM = 1_000_000_000
_LOOK_SECONDS = 1.0


class Stopped(Exception):
    """Nobody wants the answer any more."""


class _Own:
    """When this process may ask again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next = 0
        self.held_until = 0


class Pace:
    """Turns to ask one host.

    Inside a run the turns are those of a rate limit of the journal, and are shared by all runs, processes and machines
    that use it. Elsewhere they are this process's own.

    Args:
        name: of the rate limit.
        per_second: None for as fast as it goes.
    """

    def __init__(self, name: str, per_second: float | None) -> None:
        self._name, self._per_second = name, per_second
        self._own = _Own()
        self.stop = threading.Event()

    def afresh(self) -> Pace:
        """The same turns for another reading, which is stopped by itself."""
        other = Pace(self._name, self._per_second)
        other._own = self._own
        return other

    def turn(self) -> None:
        """Wait until the next request may be sent.

        Raises:
            Stopped: nobody wants it any more.
        """
        while (early := self._own.held_until - now_us()) > 0:
            self.wait(early / 1_000_000)
        if self.stop.is_set():
            raise Stopped
        if self._per_second is None:
            return
        scope = current_scope.get()
        if scope is not None and not scope.closed:
            from penstock.engine.limits.calls import sync_rate_limit

            sync_rate_limit(self._name, per_second=self._per_second)
            return
        with self._own.lock:
            mine = max(self._own.next, now_us())
            self._own.next = mine + int(1_000_000 / self._per_second)
        self.wait((mine - now_us()) / 1_000_000)

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long, in any thread."""
        with self._own.lock:
            self._own.held_until = max(self._own.held_until, now_us() + int(seconds * 1_000_000))

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Stopped: nobody wants it any more.
        """
        until = now_us() + int(seconds * 1_000_000)
        while (left := until - now_us()) > 0:
            if clock().wait(self.stop, min(left / 1_000_000, _LOOK_SECONDS)):
                raise Stopped


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds the server wants us to wait: `Retry-After`, or when the rate limit begins anew; None if it says nothing.

    Source: RFC 9110 section 10.2.3 for Retry-After (seconds or a date). The reset is a number of seconds, or an
    instant where it is too large for that: both are in use.
    """
    if told := headers.get("retry-after", "").strip():
        seconds = _number(told)
        return max(seconds, 0.0) if seconds is not None else _until(told)
    for name in ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"):
        seconds = _number(headers.get(name, ""))
        if seconds is not None:
            return max(seconds - now_us() / 1_000_000 if seconds >= _EPOCH_FROM else seconds, 0.0)
    return None


def used_up(headers: Mapping[str, str]) -> bool:
    """The server says that no request is left before the reset."""
    names = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
    return any(_number(headers.get(name, "")) == 0 for name in names)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def _until(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(moment.timestamp() - now_us() / 1_000_000, 0.0)


def logger() -> Any:
    """The run's logger inside a run, else one of Python's."""
    if current_scope.get() is not None:
        from penstock.engine.logs import get_run_logger

        return get_run_logger()
    return logging.getLogger("penstock.connectors.http")
