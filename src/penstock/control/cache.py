"""Answers that take long to make, kept until something is written: in Redis where there is one, else in this process.

The key of an answer has the journal's `moment` in it, which is another one after every commit, and which is read
before the answer is made. So no answer is older than the request it is given for, whichever server wrote meanwhile; how
long it is kept only says when it is forgotten.
"""

from __future__ import annotations

import hashlib
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.extras import require
from penstock.core.ports import Journal
from penstock.observability import REGISTRY

KEPT_SECONDS = 60
_MOST_BYTES = 32 * 1024 * 1024
_LARGEST = 1024 * 1024
_REST_SECONDS = 5.0
_WAIT_SECONDS = 0.25
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
ASKED = REGISTRY.counter("penstock_cache_requests_total", "Answers that may be kept.", ("name", "outcome"))
DOWN = REGISTRY.counter("penstock_cache_errors_total", "Times that Redis did not answer as it should.")


class Store(ABC):
    """Where answers are kept. None of its methods raises where the store is away."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """What is kept under a key; None where nothing is, or nobody knows."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Keep it for `KEPT_SECONDS`, or not."""

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what it holds."""


class InProcess(Store):
    """In the memory of this process, so many bytes at most; what was not asked for longest goes first."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        with self._lock:
            until, data = self._kept.get(key, (0.0, b""))
            if until <= time.monotonic():
                return None
            self._kept.move_to_end(key)
            return data

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        with self._lock:
            self._size += len(data) - len(self._kept.pop(key, (0.0, b""))[1])
            self._kept[key] = (time.monotonic() + KEPT_SECONDS, data)
            while self._size > self._most:
                _, (_, gone) = self._kept.popitem(last=False)
                self._size -= len(gone)


class InRedis(Store):
    """In Redis, for all servers of a journal. While it is away, in this process.

    Args:
        url: such as redis://127.0.0.1:6379/0.

    Raises:
        MissingExtra: its client is not installed.
        ValueError: the URL is none.
    """

    def __init__(self, url: str) -> None:
        redis = require("redis", "redis")
        self._errors = (redis.exceptions.RedisError, OSError)
        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=_WAIT_SECONDS, socket_connect_timeout=_WAIT_SECONDS, retry=None
        )
        self._instead = InProcess()
        self._away_until = 0.0

    def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        found: bytes | None = self._ask(lambda: self._client.get(key), lambda: self._instead.get(key))
        return found

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        self._ask(lambda: self._client.set(key, data, ex=KEPT_SECONDS), lambda: self._instead.put(key, data))

    def _ask(self, ask: Callable[[], Any], instead: Callable[[], Any]) -> Any:
        if time.monotonic() < self._away_until:
            return instead()
        try:
            return ask()
        except self._errors:
            DOWN.add()
            self._away_until = time.monotonic() + _REST_SECONDS
            return instead()

    def close(self) -> None:
        """Release its connections."""
        self._client.close()


class Cache:
    """Answers of one server.

    Args:
        journal: what they are made of.
        store: where they are kept.
    """

    def __init__(self, journal: Journal, store: Store) -> None:
        self._journal = journal
        self._identity = ""
        self.store = store

    def of(self, name: str, asked: Any, make: Callable[[], Any]) -> Any:
        """An answer as plain data: one that is kept, or one that is made.

        Args:
            name: of what is asked.
            asked: what makes it another answer; plain data.
            make: makes it, of nothing but events and what is projected from them.
        """
        moment = self._journal.moment()
        self._identity = self._identity or self._journal.identity()
        told = _encode([self._identity, name, asked, moment])
        key = f"penstock:{hashlib.blake2b(told, digest_size=16).hexdigest()}"
        data = self.store.get(key)
        if data is not None:
            ASKED.add(name=name, outcome="kept")
            return _decode(data)
        ASKED.add(name=name, outcome="made")
        made = make()
        data = _encode(made)
        if len(data) <= _LARGEST:
            self.store.put(key, data)
        return _decode(data)


def cache_of(journal: Journal, redis_url: str) -> Cache:
    """The cache that the settings name."""
    return Cache(journal, InRedis(redis_url) if redis_url else InProcess())
