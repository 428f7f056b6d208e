"""Kill a pipe into the warehouse before any of its statements: each record lands once, and the counts balance."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos import warehousing
from tests.chaos.lab import Lab

pytestmark = pytest.mark.chaos
WORKERS = warehousing


class Story:
    """What a pipe does when it is let be, and what it has done when it was not."""

    def __init__(self, lab: Lab, url: str, mode: str) -> None:
        self.lab, self.url, self.mode = lab, url, mode
        self.statements: int = lab.run(warehousing.bring_in, url=url, mode=mode, schema="calm").value
        self.calm = warehousing.found(url, mode, "calm")

    def killed(self, schema: str, kill_at: int) -> bool:
        ended = self.lab.run(warehousing.bring_in, url=self.url, mode=self.mode, schema=schema, kill_at=kill_at)
        assert ended.killed or ended.value
        return ended.killed

    def check(self, schema: str, kill_at: Any) -> None:
        found = warehousing.found(self.url, self.mode, schema)
        if self.mode == "replace":  # killed after the last commit, and then everything was read and replaced again
            times = found["counts"]["read"] // self.calm["counts"]["read"]
            assert times in (1, 2)
            found["counts"] = {name: number // times for name, number in found["counts"].items()}
            found["rejected"] = found["rejected"][::times]
        assert found == self.calm, kill_at


@pytest.mark.parametrize("mode", warehousing.MODES)
def test_killed_later_and_later(lab: Lab, warehouse_url: str, mode: str) -> None:
    story = Story(lab, warehouse_url, mode)
    kill_at = 4
    while story.killed("story", kill_at):
        kill_at += 13
    story.check("story", kill_at)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", warehousing.MODES)
def test_killed_before_each_statement(lab: Lab, warehouse_url: str, mode: str) -> None:
    story = Story(lab, warehouse_url, mode)
    for kill_at in range(1, story.statements + 1):
        schema = f"kill_{kill_at}"
        assert story.killed(schema, kill_at)
        assert not story.killed(schema, 0)
        story.check(schema, kill_at)
