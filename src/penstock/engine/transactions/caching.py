"""Results of other runs: looked for under a key before a task is executed, and kept under it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from penstock.authoring.caching import identity_of, level_of
from penstock.core.contents import digest_of
from penstock.core.errors import ParameterError, PenstockError, ResultUnavailable
from penstock.core.events import Saved, now_us
from penstock.core.isolation import IsolationLevel
from penstock.core.ports import Journal, ResultStore
from penstock.engine.contexts import TaskRunContext
from penstock.engine.failures import text_of, type_name
from penstock.engine.logs import engine_logger
from penstock.engine.outcome import Path
from penstock.engine.transactions.keys import hold
from penstock.engine.waits import Commit

_LONGEST_KEY = 200
_MICROSECOND = timedelta(microseconds=1)
_END_OF_TIME = 2**62


class Hit:
    """A result that was found: its value, and where it is kept."""

    __slots__ = ("data", "saved", "value")

    def __init__(self, value: Any, saved: Saved, data: bytes | None) -> None:
        self.value = value
        self.saved = saved
        self.data = data


def look_up(journal: Journal, results: ResultStore, key: str) -> Hit | None:
    """The result under a key that has not expired; one whose file is gone is no result."""
    entry = journal.cached(key, now_us())
    if entry is None:
        return None
    try:
        results.renew(entry.saved)
        return Hit(results.load(entry.saved, entry.data), entry.saved, entry.data)
    except ResultUnavailable as error:
        engine_logger().warning("What was cached under %s cannot be used: %s", key, error.message)
        return None


def storable_key(key: str) -> str:
    """A key as it is kept: a long one, or one with characters no database takes, by its digest."""
    if len(key) <= _LONGEST_KEY and key.isprintable():
        return key
    shown = "".join(letter for letter in key[:100] if letter.isprintable())
    return f"{shown}...{digest_of(key)}"


def cache_key(task: Any, scope: Any, flow_parameters: dict[str, Any]) -> str | None:
    """The key of the result that a call of a task will have; one whose key cannot be made is executed without one."""
    policy = task.caching
    try:
        context = TaskRunContext(scope)
        key = policy.compute_key(task_ctx=context, inputs=context.parameters, flow_parameters=flow_parameters)
        if not key:
            return None
        if not isinstance(key, str):
            raise TypeError(f"a cache key must be text, and is {key!r}")
        return digest_of([identity_of(task), key]) if policy.of_one_task else storable_key(str.__str__(key))
    except ParameterError:
        return None  # the call will say what is wrong with its arguments
    except Exception as error:
        told = error.message if isinstance(error, PenstockError) else f"{type_name(error)}: {text_of(error)}"
        hint = f" Hint: {error.hint}." if isinstance(error, PenstockError) and error.hint else ""
        engine_logger().warning("%s is executed without a cache key. %s%s", scope.key, told, hint)
        return None


class CacheUse:
    """What one call of a task has to do with the cache.

    Attributes:
        key: of its result; None where it has none.
        hit: what was found under it.
    """

    __slots__ = ("_known", "call", "hit", "key", "transaction")

    def __init__(self, call: Any, transaction: Any) -> None:
        self.call = call
        self.transaction = transaction
        self.key: str | None = None
        self.hit: Hit | None = None
        self._known = False

    def look(self, scope: Any) -> Path[Hit | None]:
        """The result that is there already, if the task wants to know of it."""
        if not self._known:
            self._known = True
            self.key = self._key(scope)
        if self.key is None:
            return None
        call = self.call
        live, refresh = call.live, call.task.refresh_cache
        fresh = live.engine.refresh_cache if refresh is None else refresh
        if level_of(call.task.caching.isolation_level) is IsolationLevel.SERIALIZABLE:
            if not fresh and (yield from self._find()):
                return self.hit
            yield from hold(self.transaction, live, scope.key, self.key, call.abandoned)
        return None if fresh else (yield from self._find())

    def _find(self) -> Path[Hit | None]:
        live = self.call.live
        self.hit = yield Commit(live.remote, look_up, live.engine.journal, live.results, self.key)
        return self.hit

    def _key(self, scope: Any) -> str | None:
        live = self.call.live
        return cache_key(self.call.task, scope, {} if live.alone else live.parameters)

    def until(self, at: int) -> int | None:
        """Until when the result counts."""
        expiration = self.call.task.cache_expiration
        return None if expiration is None else min(at + expiration // _MICROSECOND, _END_OF_TIME)
