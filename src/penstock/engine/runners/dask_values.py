"""Values that tasks gave on a Dask cluster: on record, and in the memory of a worker as long as somebody may need them.

In the flow's process a value is a `Kept`. Among the arguments of another task it is pickled as a place: the worker
takes it from its memory, from another worker's, or, where those that had it are gone, from the result store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.events import Saved
from penstock.core.ports import ResultStore
from penstock.core.states import Elsewhere

_here = threading.local()
_NOTHING = object()


class Kept(Elsewhere):
    """A value on a cluster, in the flow's process.

    Attributes:
        key: Dask's.
        future: keeps it in the memory of workers; None where it is not there (any more).
    """

    __slots__ = ("_fetched", "_value", "future", "key")

    def __init__(
        self,
        saved: Saved,
        data: bytes | None,
        results: ResultStore,
        future: Any = None,
        fetched: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(saved, data, results.load)
        self._fetched = fetched
        self._value: Any = _NOTHING
        self.future = future
        self.key: str | None = None if future is None else future.key

    def fetch(self) -> Any:
        """The value, out of the record or the result store; from the cluster where it is nowhere else."""
        if self._value is _NOTHING and self.saved.serializer == "none" and self._fetched is not None:
            self._value = self._fetched(self.future)
        elif self._value is _NOTHING:
            self._value = super().fetch()
        return self._value

    def __reduce__(self) -> Any:
        found = getattr(_here, "found", None)
        if found is None:
            return _plain, (self.fetch(),)
        there = self.future is not None and self.future.status == "finished"
        if there:
            found[self.key] = self.future
        return _arrived, (self.key if there else None, self.saved, self.data)


def _plain(value: Any) -> Any:
    return value


def _arrived(key: str | None, saved: Saved, data: bytes | None) -> Any:
    values, results = _here.values
    value = values.get(key, _NOTHING)
    return results.load(saved, data) if value is _NOTHING else value


def places(dump: Callable[[], bytes]) -> tuple[bytes, dict[str, Any]]:
    """Pickle arguments: their bytes, and the futures of the values among them that are on the cluster."""
    found: dict[str, Any] = {}
    _here.found = found
    try:
        return dump(), found
    finally:
        _here.found = None


def arriving(values: Mapping[str, Any], results: ResultStore, load: Callable[[], Any]) -> Any:
    """On a worker: the arguments again.

    Args:
        values: those of the values among them that were on the cluster, by their keys.
        results: where the others are.
        load: reads the pickle.
    """
    _here.values = (values, results)
    try:
        return load()
    finally:
        _here.values = None
