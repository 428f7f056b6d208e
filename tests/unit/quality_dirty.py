"""How many wrong cells of real tables rules find, where the table is known clean, too.

`python -m tests.unit.quality_dirty` writes the table that docs/profiling.md shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from penstock.quality import DataValidator, Rule
from penstock.quality.profiles import suggest
from penstock.quality.rules import Configuration

TABLES = ("hospital", "beers")
WAYS = ("no nulls", "suggested rules")


class Score(NamedTuple):
    """Cells that differ from the clean table, cells that were told, and those that are both."""

    wrong: int
    told: int
    found: int

    @property
    def precision(self) -> float:
        """Of what was told, so much was wrong."""
        return self.found / self.told if self.told else 1.0

    @property
    def recall(self) -> float:
        """Of what was wrong, so much was told."""
        return self.found / self.wrong if self.wrong else 1.0


def scores(folder: Path) -> dict[str, Score]:
    """Of one table, by way of looking: a rule that no value is null, and the rules that the dirty table suggests."""
    dirty, clean = (pl.read_csv(folder / f"{each}.csv", infer_schema=False) for each in ("dirty", "clean"))
    wrong = {
        (row, dirty.columns[column])
        for row, (have, want) in enumerate(zip(dirty.rows(), clean.rows(), strict=True))
        for column, (one, two) in enumerate(zip(have, want, strict=True))
        if (one or "") != (two or "")
    }
    ways = {
        "no nulls": tuple(Rule("not_null", (column,)) for column in dirty.columns),
        "suggested rules": suggest(folder / "dirty.csv").rules,
    }
    made = {}
    for way, rules in ways.items():
        told = cells(folder / "dirty.csv", rules, dirty.height)
        made[way] = Score(len(wrong), len(told), len(told & wrong))
    return made


def cells(path: Path, rules: tuple[Rule, ...], rows: int) -> set[tuple[int, str]]:
    """Rows and columns that do not follow rules on one column."""
    report = DataValidator(Configuration(rules, samples=rows)).validate_dataset(path)
    return {
        (sample.row, result.rule.columns[0])
        for result in report.results
        if len(result.rule.columns) == 1
        for sample in result.samples
    }


def table(data: Path) -> str:
    """Of both tables and ways, as Markdown."""
    lines = ["| table | wrong cells | rules | told | precision | recall |", "|---|---|---|---|---|---|"]
    for name in TABLES:
        for way, score in scores(data / "dirty_clean" / name).items():
            figures = f"{score.told:,} | {score.precision:.2f} | {score.recall:.2f}"
            lines.append(f"| {name} | {score.wrong:,} | {way} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    import os

    root = Path(__file__).parents[2]
    print(table(Path(os.environ.get("PENSTOCK_TEST_DATA", root / "../shared/data"))))
