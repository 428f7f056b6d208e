"""What every detector promises: batch and online are one computation, and the state between two values can be kept.

A detector looks at values in their order. What it says of a value depends on those before it, and on the value itself,
never on those that follow. `score` takes any number of values, `update` one; both go on from where the detector is, and
however a series is cut, the answers are the same to the last bit.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import msgspec

from penstock.core.errors import BadData, ConfigurationError
from penstock.quality.extras import np

Array = Any
"""A numpy array."""

MOST = 1e9
"""A score is no greater than this: from a series that never moved, anything is infinitely far."""
_LARGEST = 1e150
_FORMAT = 1


class Score(msgspec.Struct, frozen=True):
    """What is said of one value.

    Attributes:
        value: as it was given.
        score: how strange it is, in the unit of its detector; 0 while there is nothing to compare it with.
        anomaly: whether the score has reached the threshold.
        expected: what would have been usual, where the detector knows.
        reason: of an anomaly, in words.
    """

    value: float
    score: float
    anomaly: bool
    expected: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Scores:
    """What is said of many values; each array has shape (n,).

    Attributes:
        values: as they were given; missing ones are NaN.
        scores: how strange each is; 0 of a missing one, infinite of an infinite one.
        anomalies: whether the score has reached the threshold.
        expected: what would have been usual; NaN where the detector does not know.
    """

    values: Array
    scores: Array
    anomalies: Array
    expected: Array
    _detector: Detector = field(repr=False)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, place: int) -> Score:
        value, score, expected = (float(each[place]) for each in (self.values, self.scores, self.expected))
        anomaly = bool(self.anomalies[place])
        known = None if np.isnan(expected) else expected
        return Score(value, score, anomaly, known, self._detector.told(value, score, known) if anomaly else "")

    def __iter__(self) -> Iterator[Score]:
        return (self[place] for place in range(len(self)))


@dataclass
class Detector(ABC):
    """Tells what is strange in a series, value by value.

    Missing values (None, NaN) are not judged. Infinite ones are anomalies, and nothing is learned from them. Numbers
    are taken as 64-bit floats: an integer beyond 2^53 as the nearest one.

    Attributes:
        threshold: from which score on a value is an anomaly.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    gaps: ClassVar[bool] = False
    """Whether a missing value takes a place in the series; else it is as if it were not there."""
    threshold: float

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            if each.init:
                self._check(each.name, getattr(self, each.name))
        self._memory = self._beginning()

    def _check(self, name: str, value: Any) -> None:
        whole = name not in _FRACTIONS
        right = isinstance(value, int) if whole else isinstance(value, int | float) and value == value
        if isinstance(value, bool) or not right or value < (0 if name in _MAY_BE_ZERO else 1 if whole else 1e-12):
            least = "from 0 up" if name in _MAY_BE_ZERO else "greater than 0"
            kind = "a whole number" if whole else "a number"
            raise ConfigurationError(f"{name} of {self.name} is {value!r}.", hint=f"give {kind} {least}")

    @abstractmethod
    def _beginning(self) -> dict[str, Any]:
        """What is known before the first value: numbers, lists, and arrays of one dimension or two."""

    @abstractmethod
    def _judge(self, values: Array) -> tuple[Array, Array]:
        """Scores, and what would have been usual, of the next values; `_memory` goes on.

        Args:
            values: shape (n,), n >= 1, finite; NaN where one is missing, if the detector knows gaps.
        """

    @abstractmethod
    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""

    def score(self, values: Any) -> Scores:
        """Judge the next values, and learn from them."""
        given = floats(values)
        finite = np.isfinite(given)
        scores, expected = np.zeros(len(given)), np.full(len(given), np.nan)
        scores[np.isinf(given)] = np.inf
        seen = np.clip(given, -_LARGEST, _LARGEST)
        if self.gaps:
            if len(given):
                judged, usual = self._judge(np.where(finite, seen, np.nan))
                scores[finite], expected[finite] = judged[finite], usual[finite]
        elif finite.any():
            scores[finite], expected[finite] = self._judge(seen[finite])
        return Scores(given, scores, scores >= self.threshold, expected, self)

    def fit(self, values: Any) -> Self:
        """Learn from values whose scores nobody asks for."""
        self.score(values)
        return self

    def update(self, value: float | None) -> Score:
        """Judge the next value, and learn from it."""
        return self.score([value])[0]

    def state(self) -> bytes:
        """All that is needed to go on, in this process or another one; see `resume`."""
        settings = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.init}
        document = {
            "format": _FORMAT,
            "detector": self.name,
            "version": self.version,
            "settings": settings,
            "memory": {name: _packed(value) for name, value in self._memory.items()},
        }
        return msgspec.msgpack.encode(document)

    def _resume(self, memory: dict[str, Any]) -> None:
        if set(memory) != set(self._memory):
            raise BadData(f"This is no state of {self.name}.")
        self._memory = {name: _unpacked(value) for name, value in memory.items()}


_FRACTIONS = frozenset({"threshold", "share", "drift"})
_MAY_BE_ZERO = frozenset({"period", "quiet", "seed"})


def resume(state: bytes, detectors: dict[str, type[Detector]]) -> Detector:
    """The detector that gave this state, as it was then.

    Raises:
        BadData: it is no such state, or of a version that this one does not know.
    """
    try:
        document = msgspec.msgpack.decode(state)
        made, kept = document["detector"], (document["format"], document["version"])
        settings, memory = document["settings"], document["memory"]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise BadData("This is no state of a detector.", hint="give what Detector.state() returned") from error
    kind = detectors.get(made)
    if kind is None or kept != (_FORMAT, kind.version):
        raise BadData(
            f"The state is of {made} {kept[1]}, which this Penstock does not know.",
            hint="start with a new detector, and let it learn from the last values with fit()",
        )
    try:
        detector = kind(**settings)
        detector._resume(memory)
    except (TypeError, ValueError, KeyError) as error:
        raise BadData(f"This is no state of {made}: {error}") from error
    return detector


def floats(values: Any) -> Array:
    """Numbers of any kind as 64-bit floats, shape (n,); what is missing is NaN.

    Raises:
        BadData: there is something else among them.
    """
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray):
        values = _of_column(values)
    try:
        if isinstance(values, Sequence):
            values = [np.nan if value is None else value for value in values]
        made = np.asarray(values)
        if made.dtype.kind in "OUSMm" and not _numbers(made):
            raise ValueError("there is something that is no number")
        made = made.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadData(f"The values are no numbers: {error}", hint="choose a column of numbers") from error
    if made.ndim != 1:
        raise BadData(f"The values have {made.ndim} dimensions; a series has one.")
    return made


def _of_column(values: Any) -> Any:
    """A column of Polars, pandas or Arrow; others hand out numpy arrays as well."""
    if type(values).__module__.startswith("pyarrow"):
        return values.to_pylist()
    return (
        values.to_list()
        if hasattr(values, "to_list") and str(values.dtype).startswith("Decimal")
        else values.to_numpy()
    )


def _numbers(made: Array) -> bool:
    return made.dtype.kind == "O" and all(hasattr(value, "__float__") for value in made.tolist())


def distance(difference: Array, spread: Array, around: Array) -> Array:
    """How far, in deviations; where nothing ever moved, what rounding alone can do is no distance."""
    size = np.abs(difference)
    least = 1e-12 * np.abs(around)
    with np.errstate(over="ignore"):
        found = np.minimum(size / np.maximum(np.maximum(spread, least), 1e-300), MOST)
    return np.where((size <= least) | np.isnan(found), 0.0, found)


def number(value: float | None) -> str:
    """A number as people write it."""
    return "" if value is None else f"{value:,.6g}"


def size_of(score: float) -> str:
    """A score as people write it."""
    if score >= 1e6:
        return "more than a million"
    return f"{score:,.0f}" if score >= 100 else f"{score:.3g}"


def _packed(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return {"shape": list(value.shape), "bytes": np.ascontiguousarray(value, dtype="<f8").tobytes()}


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return np.frombuffer(value["bytes"], dtype="<f8").astype(np.float64).reshape(value["shape"])
