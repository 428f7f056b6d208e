"""How well a detector does on the Numenta Anomaly Benchmark, by the formulas of its paper.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark", 2015 (section II).
A file has windows around what people labelled. The earliest alarm in a window earns up to one point, less the later it
comes; a window without one costs; every alarm outside of windows costs, little where a window has just ended. The first
15 % of a file are for learning. One threshold holds for all files: the one with the highest sum. The sum is told
between 0 (a detector that says nothing) and 100 (one that raises an alarm at the start of each window, and no other).
"""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PROBATION = 0.15
LONGEST_PROBATION = 5000
"""Of longer files no more than 15 % of so many rows are for learning."""


@dataclass(frozen=True)
class Profile:
    """What alarms earn and cost.

    Attributes:
        hit: a window with an alarm.
        false_alarm: an alarm outside of windows.
        miss: a window without an alarm.
    """

    hit: float
    false_alarm: float
    miss: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class File:
    """A series of the benchmark.

    Attributes:
        name: family and file.
        times: seconds since 1970, shape (n,).
        values: shape (n,).
        windows: first and last row of each labelled window.
    """

    name: str
    times: Any
    values: Any
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows at the start whose alarms do not count."""
        return int(PROBATION * min(len(self.values), LONGEST_PROBATION))


@dataclass(frozen=True)
class Outcome:
    """A detector's result at one threshold.

    Attributes:
        raw: the sum of points.
        score: the same between 0 (nothing said) and 100 (perfect).
        threshold: alarms are rows with this score or more.
        files: the points of each file.
    """

    raw: float
    score: float
    threshold: float
    files: Mapping[str, float]


def read_corpus(folder: Path, families: Iterable[str] | None = None) -> list[File]:
    """The series in a copy of the benchmark's `data` and `labels`, all or those of some families."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text("utf-8"))
    wanted = None if families is None else set(families)
    found = []
    for path in sorted((folder / "data").glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        if wanted is None or path.parent.name in wanted:
            found.append(_read(path, name, labels[name]))
    return found


def _read(path: Path, name: str, windows: list[list[str]]) -> File:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    times = np.array([_seconds(row[0]) for row in rows])
    values = np.array([float(row[1]) for row in rows])
    places = []
    for first, last in windows:
        inside = np.flatnonzero((times >= _seconds(first)) & (times <= _seconds(last)))
        places.append((int(inside[0]), int(inside[-1])))
    return File(name, times, values, tuple(places))


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def _sigmoid(place: Any) -> Any:
    """What an alarm is worth so many window lengths after a window's end; -1 is its start, and 3 far away."""
    place = np.asarray(place, dtype=np.float64)
    return np.where(place > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(place, 3))) - 1)


def worth(file: File) -> Any:
    """What an alarm in each row is worth before weights: above 0 in windows, below 0 elsewhere. Shape (n,)."""
    rows = np.arange(len(file.values))
    points = np.full(len(rows), -1.0)
    for first, last in file.windows:
        after = rows > last
        points[after] = _sigmoid((rows[after] - last) / max(last - first, 1))
    for first, last in file.windows:
        inside = (rows >= first) & (rows <= last)
        points[inside] = _sigmoid(-(last - rows[inside] + 1) / (last - first + 1)) / float(_sigmoid(-1.0))
    return points


def points_of(file: File, scores: Any, threshold: float, profile: Profile) -> float:
    """The points of one file at a threshold."""
    return float(sum(weight for _, weight in _steps(file, scores, profile, threshold))) - profile.miss * len(
        file.windows
    )


def _steps(file: File, scores: Any, profile: Profile, lowest: float = -np.inf) -> list[tuple[float, float]]:
    """How the points change as the threshold sinks: (score at which, by how much)."""
    rows = np.arange(len(scores))
    counted = (rows >= file.probation) & (scores >= lowest)
    points = worth(file)
    in_windows = np.zeros(len(rows), dtype=bool)
    steps: list[tuple[float, float]] = []
    for first, last in file.windows:
        in_windows[first : last + 1] = True
        inside = np.arange(first, last + 1)
        inside = inside[counted[inside]]
        order = inside[np.argsort(-scores[inside], kind="stable")]
        best = -profile.miss
        for row in order.tolist():
            gain = profile.hit * float(points[row])
            if gain > best:
                steps.append((float(scores[row]), gain + profile.miss if best == -profile.miss else gain - best))
                best = gain
    outside = counted & ~in_windows
    steps += zip(scores[outside].tolist(), (points[outside] * profile.false_alarm).tolist(), strict=True)
    return steps


def sweep(corpus: list[File], scores: Mapping[str, Any], profile: Profile) -> Outcome:
    """The best that one threshold for all files gets."""
    steps = [step for file in corpus for step in _steps(file, np.asarray(scores[file.name]), profile)]
    ordered = np.array(sorted(steps, key=lambda step: -step[0]))
    heights, sums = ordered[:, 0], np.cumsum(ordered[:, 1])
    last_of_height = np.append(heights[1:] != heights[:-1], True)
    best = int(np.argmax(np.where(last_of_height, sums, -np.inf)))
    threshold = float(heights[best]) if sums[best] > 0 else float(heights[0]) + 1
    return at_threshold(corpus, scores, threshold, profile)


def at_threshold(corpus: list[File], scores: Mapping[str, Any], threshold: float, profile: Profile) -> Outcome:
    """What a given threshold gets."""
    files = {file.name: points_of(file, np.asarray(scores[file.name]), threshold, profile) for file in corpus}
    raw = sum(files.values())
    return Outcome(raw, normalized(raw, corpus, profile), threshold, files)


def normalized(raw: float, corpus: list[File], profile: Profile) -> float:
    """Points between those of a detector that says nothing (0) and of a perfect one (100)."""
    windows = sum(len(file.windows) for file in corpus)
    nothing, perfect = -profile.miss * windows, profile.hit * windows
    return 100 * (raw - nothing) / (perfect - nothing)
