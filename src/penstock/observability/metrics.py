"""Metrics of this process, and their text for Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

import bisect
import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from penstock.core.errors import ConfigurationError

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_SERIES = 10_000
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

Labels = tuple[str, ...]


class _Metric(ABC):
    """One metric: a number for each combination of labels."""

    kind = ""

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self.name = name
        self.about = about
        self.labels = tuple(labels)
        self._lock = threading.Lock()

    def _key(self, given: Mapping[str, object], known: Mapping[Labels, object]) -> Labels:
        if set(given) != set(self.labels):
            raise ConfigurationError(
                f"The metric {self.name} has the labels {', '.join(self.labels) or '(none)'}, not {', '.join(given)}."
            )
        key = tuple(str(given[label]) for label in self.labels)
        if key not in known and len(known) >= _MOST_SERIES:
            return tuple("(others)" for _ in self.labels)
        return key

    @abstractmethod
    def lines(self) -> Iterable[str]:
        """Its lines for Prometheus."""

    @abstractmethod
    def kept(self) -> list[tuple[Labels, list[float]]]:
        """What it is, to be kept."""

    @abstractmethod
    def restore(self, kept: Iterable[tuple[Sequence[str], Sequence[float]]]) -> None:
        """Make it what was kept."""

    def _line(self, suffix: str, key: Labels, value: float, more: Sequence[tuple[str, str]] = ()) -> str:
        pairs = [*zip(self.labels, key, strict=True), *more]
        inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs)
        return (
            f"{self.name}{suffix}{{{inside}}} {_number(value)}" if inside else f"{self.name}{suffix} {_number(value)}"
        )


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        super().__init__(name, about, labels)
        self._values: dict[Labels, float] = {}

    def add(self, amount: float = 1.0, **labels: object) -> None:
        """Add to it.

        Raises:
            ConfigurationError: less than nothing, or other labels than the metric has.
        """
        if not amount >= 0:
            raise ConfigurationError(f"The counter {self.name} only grows, and {amount} was to be added.")
        with self._lock:
            key = self._key(labels, self._values)
            self._values[key] = self._values.get(key, 0.0) + amount

    def value(self, **labels: object) -> float:
        """What it is."""
        with self._lock:
            return self._values.get(self._key(labels, self._values), 0.0)

    def lines(self) -> Iterable[str]:
        """See `_Metric.lines`."""
        with self._lock:
            values = sorted(self._values.items())
        return [self._line("", key, value) for key, value in values]

    def kept(self) -> list[tuple[Labels, list[float]]]:
        """See `_Metric.kept`."""
        with self._lock:
            return [(key, [value]) for key, value in self._values.items()]

    def restore(self, kept: Iterable[tuple[Sequence[str], Sequence[float]]]) -> None:
        """See `_Metric.restore`."""
        with self._lock:
            self._values = {tuple(key): values[0] for key, values in kept}


class Gauge(Counter):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, **labels: object) -> None:
        """Say what it is.

        Raises:
            ConfigurationError: other labels than the metric has.
        """
        with self._lock:
            self._values[self._key(labels, self._values)] = float(value)


class Histogram(_Metric):
    """How often values were at most so much."""

    kind = "histogram"

    def __init__(self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS) -> None:
        super().__init__(name, about, labels)
        self.bounds = tuple(sorted(float(bound) for bound in bounds))
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, **labels: object) -> None:
        """Count a value.

        Raises:
            ConfigurationError: other labels than the metric has.
        """
        with self._lock:
            key = self._key(labels, self._counts)
            counts = self._counts.setdefault(key, [0] * (len(self.bounds) + 1))
            counts[bisect.bisect_left(self.bounds, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self) -> Iterable[str]:
        """See `_Metric.lines`."""
        with self._lock:
            known = sorted((key, list(counts), self._sums[key]) for key, counts in self._counts.items())
        for key, counts, total in known:
            reached = 0
            for bound, count in zip((*self.bounds, math.inf), counts, strict=True):
                reached += count
                yield self._line("_bucket", key, reached, [("le", _number(bound))])
            yield self._line("_sum", key, total)
            yield self._line("_count", key, reached)

    def kept(self) -> list[tuple[Labels, list[float]]]:
        """See `_Metric.kept`."""
        with self._lock:
            return [(key, [*counts, self._sums[key]]) for key, counts in self._counts.items()]

    def restore(self, kept: Iterable[tuple[Sequence[str], Sequence[float]]]) -> None:
        """See `_Metric.restore`. What was kept with other bounds is forgotten."""
        found = {tuple(key): values for key, values in kept if len(values) == len(self.bounds) + 2}
        with self._lock:
            self._counts = {key: [int(count) for count in values[:-1]] for key, values in found.items()}
            self._sums = {key: float(values[-1]) for key, values in found.items()}


M = TypeVar("M", bound=_Metric)


class Registry:
    """Metrics by name. Asking for one that is there gives that one."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}
        self._lock = threading.Lock()

    def counter(self, name: str, about: str = "", labels: Sequence[str] = ()) -> Counter:
        """A counter. Raises ConfigurationError where the name is taken by another kind, or cannot be."""
        return self._known(Counter(name, about, labels))

    def gauge(self, name: str, about: str = "", labels: Sequence[str] = ()) -> Gauge:
        """A gauge. Raises ConfigurationError where the name is taken by another kind, or cannot be."""
        return self._known(Gauge(name, about, labels))

    def histogram(
        self, name: str, about: str = "", labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> Histogram:
        """A histogram. Raises ConfigurationError where the name is taken by another kind, or cannot be."""
        return self._known(Histogram(name, about, labels, bounds))

    def _known(self, made: M) -> M:
        if not _NAME.fullmatch(made.name) or not all(_LABEL.fullmatch(label) for label in made.labels):
            raise ConfigurationError(
                f"{made.name!r} with the labels {list(made.labels)} is no metric.", hint="letters, digits and _"
            )
        with self._lock:
            known = self._metrics.setdefault(made.name, made)
        if type(known) is not type(made) or known.labels != made.labels:
            raise ConfigurationError(
                f"The metric {made.name} is there, as a {known.kind} with the labels {list(known.labels)}."
            )
        return known

    def kept(self) -> dict[str, list[tuple[Labels, list[float]]]]:
        """What all of them are, to be kept."""
        with self._lock:
            return {name: metric.kept() for name, metric in self._metrics.items()}

    def restore(self, kept: Mapping[str, Iterable[tuple[Sequence[str], Sequence[float]]]]) -> None:
        """Make those that are there what was kept; those that were not kept are nothing."""
        with self._lock:
            for name, metric in self._metrics.items():
                metric.restore(kept.get(name, ()))

    def text(self) -> str:
        """All of them as Prometheus reads them."""
        with self._lock:
            metrics = sorted(self._metrics.values(), key=lambda metric: metric.name)
        lines: list[str] = []
        for metric in metrics:
            if metric.about:
                lines.append(f"# HELP {metric.name} {_escaped(metric.about, quotes=False)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += metric.lines()
        return "".join(f"{line}\n" for line in lines)


def _escaped(text: str, quotes: bool = True) -> str:
    made = text.replace("\\", "\\\\").replace("\n", "\\n")
    return made.replace('"', '\\"') if quotes else made


def _number(value: float) -> str:
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1 << 53 else repr(float(value))


REGISTRY = Registry()
"""Of this process."""
