"""What a function or a block needs: time, processor, memory, and how many rows it brings through."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Sized
from types import TracebackType
from typing import Any, TypeVar, overload

from penstock.core.context import current_scope
from penstock.core.errors import ConfigurationError
from penstock.engine.limits.wishes import current_task
from penstock.engine.logs import get_run_logger
from penstock.observability.metrics import REGISTRY, Registry
from penstock.observability.peaks import Peak, Traced

_log = logging.getLogger("penstock.performance")
F = TypeVar("F", bound=Callable[..., Any])


class Measured:
    """What was measured.

    Attributes:
        name: of what.
        seconds: by the clock on the wall.
        cpu_seconds: of the processor, by all threads of this process.
        peak_bytes: the most memory that the process had meanwhile, with all that it had before.
        grown_bytes: the same without what it had at the beginning; 0 where it never had more.
        traced_bytes: the most that Python objects had which were made meanwhile; None where that was not asked for.
        rows: how many rows came through; None where nobody told. A number below 0 is refused when it is set.
        failed: whether it ended with an exception.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds = self.cpu_seconds = 0.0
        self.peak_bytes = self.grown_bytes = 0
        self.traced_bytes: int | None = None
        self._rows: int | None = None
        self.failed = False

    @property
    def rows(self) -> int | None:  # noqa: D102 (see the class)
        return self._rows

    @rows.setter
    def rows(self, rows: int | None) -> None:
        whole: Any = rows  # of any library of numbers
        if rows is not None and not (hasattr(whole, "__index__") and whole >= 0):
            raise ConfigurationError(f"The rows of {self.name} are a whole number from 0 on, and not {rows!r}.")
        self._rows = rows

    @property
    def rows_per_second(self) -> float | None:
        """Rows by seconds; None where nobody told of rows."""
        return self.rows / self.seconds if self.rows is not None and self.seconds else None

    def told(self) -> str:
        """In one line."""
        parts = [f"{self.seconds:.3g} s", f"{self.cpu_seconds:.3g} s of processor", f"peak {_size(self.peak_bytes)}"]
        if self.traced_bytes is not None:
            parts.append(f"{_size(self.traced_bytes)} of Python objects")
        if self.rows is not None:
            speed = f" ({self.rows_per_second:,.0f} rows/s)" if self.rows_per_second is not None else ""
            parts.append(f"{self.rows:,} rows{speed}")
        return f"{self.name}: {', '.join(parts)}{', failed' if self.failed else ''}"


class _Monitor:
    """See `performance_monitor`."""

    def __init__(self, name: str | None, rows: int | None, trace: bool, registry: Registry) -> None:
        Measured(name or "block").rows = rows  # refused here and not first where it is used
        self._name = name
        self._rows = rows
        self._trace = trace
        self._registry = registry
        self._open: dict[object, list[_Measuring]] = {}

    def __call__(self, function: F) -> F:
        name = str(self._name or getattr(function, "__qualname__", type(function).__name__))
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def measured_async(*args: Any, **kwargs: Any) -> Any:
                with self._measuring(name) as measured:
                    return self._counted(measured, await function(*args, **kwargs))

            return measured_async  # type: ignore[return-value]

        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def measured_values(*args: Any, **kwargs: Any) -> Any:
                with self._measuring(name):
                    async with contextlib.aclosing(function(*args, **kwargs)) as values:
                        async for value in values:
                            yield value

            return measured_values  # type: ignore[return-value]

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def measured_generator(*args: Any, **kwargs: Any) -> Any:
                with self._measuring(name):
                    return (yield from function(*args, **kwargs))

            return measured_generator  # type: ignore[return-value]

        @functools.wraps(function)
        def measured_call(*args: Any, **kwargs: Any) -> Any:
            with self._measuring(name) as measured:
                return self._counted(measured, function(*args, **kwargs))

        return measured_call  # type: ignore[return-value]

    def _counted(self, measured: Measured, value: Any) -> Any:
        if measured.rows is None:
            measured.rows = rows_of(value)
        return value

    def _measuring(self, name: str) -> _Measuring:
        return _Measuring(name, self._rows, self._trace, self._registry)

    def __enter__(self) -> Measured:
        one = self._measuring(self._name or "block")
        self._open.setdefault(_here(), []).append(one)
        return one.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        here = _here()
        one = self._open[here].pop()
        if not self._open[here]:
            del self._open[here]
        one.__exit__(kind, error, at)

    async def __aenter__(self) -> Measured:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)


def _here() -> object:
    """The async task or the thread: one monitor may be open in several at once."""
    return current_task() or threading.get_ident()


class _Measuring:
    """One measurement."""

    def __init__(self, name: str, rows: int | None, trace: bool, registry: Registry) -> None:
        self._measured = Measured(name)
        self._measured.rows = rows
        self._trace = trace
        self._registry = registry

    def __enter__(self) -> Measured:
        self._traced = Traced() if self._trace else None
        self._peak = Peak()
        self._cpu = time.process_time()
        self._began = time.perf_counter()
        return self._measured

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        one = self._measured
        one.seconds = time.perf_counter() - self._began
        one.cpu_seconds = time.process_time() - self._cpu
        one.peak_bytes, one.grown_bytes = self._peak.ended()
        one.traced_bytes = self._traced.ended() if self._traced is not None else None
        one.failed = kind not in (None, GeneratorExit)
        _count(one, self._registry)
        logger: Any = get_run_logger() if current_scope.get() is not None else _log
        logger.info("%s", one.told())


@overload
def performance_monitor(name: F, /) -> F: ...
@overload
def performance_monitor(
    name: str | None = None, *, rows: int | None = None, trace: bool = False, registry: Registry | None = None
) -> _Monitor: ...
def performance_monitor(
    name: Any = None, *, rows: int | None = None, trace: bool = False, registry: Registry | None = None
) -> Any:
    """Measure a function, or a block of code: wall time, processor time, peak memory, and rows a second.

    As a decorator (with or without parentheses), and in `with` and `async with`; functions may be async, or generators,
    which are measured from their first value to their end, with what is done between the values. What was measured
    goes into the metrics of this process, and into the log of the run around (elsewhere of `penstock.performance`). Two
    measurements at once in one process share its processor and its memory: each tells of all that the process did
    meanwhile.

    Args:
        name: what it is called; by default the name of the function.
        rows: how many rows come through. In a block it can be said later (`measured.rows = n`); of a function that
            returns a frame or a list, its length is taken.
        trace: also measure the memory of Python objects (`tracemalloc`), which takes several times as long.
        registry: where metrics go.

    Example:
        @performance_monitor
        def load() -> pl.DataFrame: ...


        with performance_monitor("parse") as measured:
            measured.rows = parse(file)
        print(measured.told())
    """
    monitor = _Monitor(None if callable(name) else name, rows, trace, registry or REGISTRY)
    return monitor(name) if callable(name) else monitor


def rows_of(value: Any) -> int | None:
    """How many rows a value has: a frame, a table, a list; None for anything else."""
    for name in ("num_rows", "height"):
        found = getattr(value, name, None)
        if isinstance(found, int):
            return found
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return shape[0]
    return len(value) if isinstance(value, Sized) and isinstance(value, list | tuple) else None


def _count(one: Measured, registry: Registry) -> None:
    labels = ("name",)
    registry.histogram("penstock_block_seconds", "How long it took.", labels).observe(one.seconds, name=one.name)
    registry.counter("penstock_block_cpu_seconds_total", "Time of the processor.", labels).add(
        max(0.0, one.cpu_seconds), name=one.name
    )
    registry.gauge(
        "penstock_block_peak_bytes", "The most memory of the process meanwhile, of the last one.", labels
    ).set(one.peak_bytes, name=one.name)
    if one.rows:
        registry.counter("penstock_block_rows_total", "Rows that came through.", labels).add(one.rows, name=one.name)
    if one.failed:
        registry.counter("penstock_block_failures_total", "Ended with an exception.", labels).add(name=one.name)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} GB"
