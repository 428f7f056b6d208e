"""Checks that fail reach people: `[tool.penstock.alerts]`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.automations_world import ended, found

from penstock import flow
from penstock.automations import declare
from penstock.core.errors import ConfigurationError
from penstock.core.plans import AutomationFired
from penstock.orchestrator.automations import automations_in_project
from penstock.quality import check
from penstock.testing import Simulation

ROWS = [{"id": 1, "amount": 5.0}, {"id": 1, "amount": -1.0}]
RULES = [
    {"rule": "between", "column": "amount", "min": 0, "name": "not negative"},
    {"rule": "unique", "column": "id", "severity": "warning"},
]


@flow
def nightly(rules: list[dict[str, object]]) -> None:
    check(ROWS, rules, dataset="orders")


@pytest.mark.parametrize(
    ("least", "levels"), [("error", ["error"]), ("warning", ["error", "warning"]), ("info", ["error", "warning"])]
)
def test_a_check_that_fails_is_told(tmp_path: Path, least: str, levels: list[str]) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f'[tool.penstock.alerts]\nchecks = "{least}"\nto = "file"\n')
    with Simulation("2026-01-01", flows={"nightly": nightly}) as simulation:
        declare(*automations_in_project(file).values())
        nightly(RULES)
        nightly(RULES[1:])
        nightly([{"rule": "not_null", "column": "id"}])
        simulation.run(seconds=10)
        assert sorted(alert.level for alert in simulation.alerts) == levels
        first = next(alert for alert in simulation.alerts if alert.level == "error")
        assert first.title == "orders: a check failed"
        assert "not negative: 1 of 2 rows do not follow it" in first.message
        assert first.facts["run"]["flow"] == "nightly"
        assert ended(simulation) == [None] * len(levels)
        assert len(found(simulation, AutomationFired)) == len(levels)


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    for wrong in ('checks = "fatal"', 'too = "file"', "to = 3"):
        file.write_text(f"[tool.penstock.alerts]\n{wrong}\n")
        with pytest.raises(ConfigurationError, match=r"tool\.penstock\.alerts"):
            automations_in_project(file)
    file.write_text("[tool.penstock]\n")
    assert automations_in_project(file) == {}
