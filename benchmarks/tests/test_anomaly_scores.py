"""The scorer of the Numenta Anomaly Benchmark agrees with what is published, and our detector keeps its place."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from benchmarks.anomalies.run import DATA, HERE, LOOKED_AT, looked_at, published, scores_of
from benchmarks.anomalies.scorer import PROFILES, File, at_threshold, points_of, read_corpus, sweep, worth

STANDARD = PROFILES["standard"]
TAILS = 62.4
"""Measured; see docs/anomalies.md."""


@pytest.fixture(scope="module")
def corpus() -> list[File]:
    if not (DATA / "labels").exists():
        pytest.skip(f"the benchmark's data is not at {DATA}")
    return read_corpus(DATA)


def made(windows: tuple[tuple[int, int], ...], rows: int = 200) -> File:
    return File("made", np.arange(rows), np.zeros(rows), windows)


def test_points_by_the_formula() -> None:
    file = made(((100, 119),))
    points = worth(file)
    assert points[99] == -1
    assert points[100] == pytest.approx(1.0)
    assert points[110] == pytest.approx((2 / (1 + np.exp(-2.5)) - 1) / (2 / (1 + np.exp(-5)) - 1))
    assert points[120] == pytest.approx(2 / (1 + np.exp(5 / 19)) - 1)
    assert points[119 + 58] == -1
    scores = np.zeros(200)
    assert points_of(file, scores, 0.5, STANDARD) == -1
    scores[[10, 50, 105, 112, 180]] = 1  # 10 is in the probation
    assert points_of(file, scores, 0.5, STANDARD) == pytest.approx(float(points[105]) - 2 * 0.11)
    assert points_of(file, scores, 0.5, PROFILES["reward_low_FP_rate"]) == pytest.approx(float(points[105]) - 4 * 0.11)


def test_nothing_said_is_0_and_perfect_is_100(corpus: list[File]) -> None:
    silent = {file.name: np.zeros(len(file.values)) for file in corpus}
    perfect = {name: scores.copy() for name, scores in silent.items()}
    for file in corpus:
        for first, _ in file.windows:
            perfect[file.name][first] = 1
    for profile in PROFILES.values():
        assert at_threshold(corpus, silent, 0.5, profile).score == 0
        assert sweep(corpus, perfect, profile).score == pytest.approx(100)


def test_the_sweep_finds_the_best_threshold() -> None:
    random = np.random.default_rng(1)
    files = [made(((60, 80), (120, 150))), made(())]
    files[1] = File("other", files[1].times, files[1].values, ((90, 99),))
    for profile, _ in product(PROFILES.values(), range(5)):
        scores = {file.name: random.integers(0, 40, len(file.values)) / 40 for file in files}
        best = max(at_threshold(files, scores, level / 40, profile).raw for level in range(42))
        assert sweep(files, scores, profile).raw == pytest.approx(best)


def test_published_results_are_sums_of_our_points(corpus: list[File]) -> None:
    """Where there is one window, a published score is what one of its rows earns, less false alarms.

    At most one of them soon after the window, where it costs less; more than one was not tried, which leaves six.
    """
    document = json.loads((HERE / "published.json").read_text("utf-8"))
    looked = explained = 0
    for results, file in product(document.values(), corpus):
        score = results[file.name]
        if len(file.windows) == 1 and score > 0:
            (first, last), points = file.windows[0], worth(file)
            soon = np.unique(points[last + 1 :][points[last + 1 :] > -1])
            alarms = np.add.outer(-0.11 * np.arange(16), 0.11 * np.append(soon, 0)).ravel()
            sums = np.add.outer(points[first : last + 1], alarms)
            looked += 1
            explained += bool((np.abs(sums - score) < 1e-9).any())
    assert (explained, looked) == (29, 35)


def test_published_places(corpus: list[File]) -> None:
    found = published(corpus)
    assert {name: round(score, 1) for name, score in found.items()} == {
        "numenta": 67.9,
        "contextOSE": 70.9,
        "relativeEntropy": 50.1,
        "skyline": 37.2,
        "windowedGaussian": 18.7,
    }


def test_our_detector_keeps_its_place(corpus: list[File]) -> None:
    scores: dict[str, Any] = scores_of("tails", corpus)
    assert sweep(corpus, scores, STANDARD).score >= TAILS
    assert all(name.split("/")[0] in LOOKED_AT or name in looked_at(corpus) for name in looked_at(corpus))
    assert len(looked_at(corpus)) == 20
