"""Penstock's detectors on the Numenta Anomaly Benchmark, beside published results on the same files.

python -m benchmarks.anomalies.run             # the table of docs/anomalies.md
python -m benchmarks.anomalies.run --json      # the same for programs
python -m benchmarks.anomalies.run --docs      # and write it into the page
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.anomalies.scorer import PROFILES, File, Outcome, at_threshold, normalized, read_corpus, sweep

from penstock.quality.anomalies import DETECTORS, detector

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("PENSTOCK_TEST_DATA") or HERE.parents[2] / "shared" / "data") / "NAB"
LOOKED_AT = ("artificialNoAnomaly", "artificialWithAnomaly")
"""Families that the detectors were made with; so was every second file of the other one."""
DAY = 86_400
PAGE = HERE.parents[1] / "docs" / "anomalies.md"
BEGIN, END = "<!-- nab -->", "<!-- /nab -->"


def looked_at(corpus: list[File]) -> list[str]:
    """The files that how `tails` puts its views together was chosen with; the others were kept aside."""
    others = [file.name for file in corpus if file.name.split("/")[0] not in LOOKED_AT]
    return [file.name for file in corpus if file.name not in others] + others[::2]


def scores_of(name: str, corpus: list[File]) -> dict[str, Any]:
    """The scores of one of our detectors, with its own settings but for the period, which is a day."""
    found = {}
    for file in corpus:
        day = round(DAY / float(np.median(np.diff(file.times))))
        settings = {"period": day} if "period" in DETECTORS[name].__dataclass_fields__ else {}
        found[file.name] = detector(name, **settings).score(file.values).scores
    return found


def published(corpus: list[File]) -> dict[str, float]:
    """What is published for these files, with the standard profile and thresholds that were chosen on all 58 files."""
    document: Mapping[str, Mapping[str, float]] = json.loads((HERE / "published.json").read_text("utf-8"))
    profile = PROFILES["standard"]
    return {
        name: normalized(sum(points[file.name] for file in corpus), corpus, profile)
        for name, points in document.items()
    }


def measured(folder: Path = DATA) -> dict[str, Any]:
    """Every detector of ours with every profile, and what is published."""
    corpus = read_corpus(folder)
    aside = [file for file in corpus if file.name not in looked_at(corpus)]
    kept = [file for file in corpus if file.name in looked_at(corpus)]
    rows: dict[str, Any] = {}
    for name in DETECTORS:
        scores = scores_of(name, corpus)
        best: dict[str, Outcome] = {each: sweep(corpus, scores, profile) for each, profile in PROFILES.items()}
        carried = at_threshold(aside, scores, sweep(kept, scores, PROFILES["standard"]).threshold, PROFILES["standard"])
        fixed = at_threshold(
            corpus, scores, DETECTORS[name].__dataclass_fields__["threshold"].default, PROFILES["standard"]
        )
        rows[name] = {
            **{each: outcome.score for each, outcome in best.items()},
            "threshold": best["standard"].threshold,
            "default": fixed.score,
            "aside": carried.score,
        }
    return {"penstock": rows, "published": published(corpus), "published_aside": published(aside), "files": len(corpus)}


def table(results: dict[str, Any]) -> str:
    """The same as a table of Markdown."""
    lines = [
        "| detector | standard | few false alarms | few misses | own threshold | files kept aside |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        (row["standard"], f"| {name} | {row['standard']:.1f} | {row['reward_low_FP_rate']:.1f} |"
         f" {row['reward_low_FN_rate']:.1f} | {row['default']:.1f} | {row['aside']:.1f} |")
        for name, row in results["penstock"].items()
    ]  # fmt: skip
    rows += [
        (score, f"| {name} (published) | {score:.1f} | | | | {results['published_aside'][name]:.1f} |")
        for name, score in results["published"].items()
    ]
    return "\n".join(lines + [line for _, line in sorted(rows, reverse=True)])


def write(page: Path, made: str) -> None:
    """Put the table where the page has its place for it."""
    text = page.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest[rest.index(END) :]
    page.write_text(f"{before}{BEGIN}\n{made}\n{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/anomalies.md")
    asked, results = parser.parse_args(), measured()
    print(json.dumps(results, indent=2) if asked.json else table(results))
    if asked.docs:
        write(PAGE, table(results))


if __name__ == "__main__":
    main()
