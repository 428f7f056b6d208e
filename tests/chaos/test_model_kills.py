"""Kill a flow of SQL models before any statement, and resume it: each model is made once, and no row comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.chaos import modelling
from tests.chaos.lab import Lab

pytestmark = pytest.mark.chaos
WORKERS = modelling


class Story:
    """Runs of the models, one after the other, on the same tables. Most are killed and resumed."""

    def __init__(self, lab: Lab, url: str, folder: Path) -> None:
        self.lab, self.url, self.folder = lab, url, folder
        (folder / "sql").mkdir()
        modelling.prepare(url, str(folder / "sql"), "story")
        self.runs = 0
        self.live()
        self.live()  # which makes the index that rows are merged by
        self.statements = self.live()

    def run(self, **options: Any) -> Any:
        where = {"folder": str(self.folder / "sql"), "home": str(self.folder / "home")}
        return self.lab.run(modelling.make, url=self.url, schema="story", **where, **options)

    def live(self) -> list[str]:
        """A run that is let be; its statements."""
        self.runs += 1
        statements: list[str] = self.run().value
        self.check("let be")
        return statements

    def die(self, kill_at: int) -> None:
        """A run that is killed before that statement, and resumed."""
        self.runs += 1
        assert self.run(kill_at=kill_at).killed
        assert self.run(again=True).value is not None
        self.check(f"killed before statement {kill_at}, {self.statements[kill_at - 1]!r}")

    def check(self, what: str) -> None:
        """Each model was made once for each run, and no row came twice."""
        found = modelling.found(self.url, "story")
        assert found["made"] == dict.fromkeys(modelling.FILES, self.runs), what
        assert found["log"] == sorted(str({"id": n, "batch": 7}) for n in (1, 2, 3) for _ in range(self.runs)), what
        assert found["seen"] == [str({"n": 3 * self.runs})], what
        assert found["tables"] == sorted([*modelling.TABLES, "penstock_models"]), what
        assert len(found["totals"]) == 2, what
        for name in ("merged", "replaced"):
            assert found[name] == found["totals"], what


def test_killed_after_commits_and_in_the_middle(lab: Lab, warehouse_url: str, tmp_path: Path) -> None:
    story = Story(lab, warehouse_url, tmp_path)
    commits = [number for number, statement in enumerate(story.statements, 1) if statement == "COMMIT"]
    assert len(commits) == len(modelling.FILES)
    for kill_at in [*(number + 1 for number in commits[:-1]), commits[0], commits[2] - 3]:
        story.die(kill_at)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_before_each_statement(lab: Lab, warehouse_url: str, tmp_path: Path) -> None:
    story = Story(lab, warehouse_url, tmp_path)
    for kill_at in range(1, len(story.statements) + 1):
        story.die(kill_at)
