"""Flows that put rows into quarantine, and what takes them out, killed around every step: no row is lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos import quarantine_worker
from tests.chaos.lab import Lab
from tests.chaos.quarantine_worker import ROWS

from penstock.app import Penstock, Settings
from penstock.core.datasets import CheckFailed
from penstock.quality.steps.quarantine import Quarantine

pytestmark = pytest.mark.chaos
WORKERS = quarantine_worker
BAD = list(range(3, ROWS + 1, 3))
GOOD = [number for number in range(1, ROWS + 1) if number % 3]
WAYS = {"by a step": ("lake:raw/orders", False), "by the dataset": ("lake:raw/orders", True)}


def ids(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.chdir(folder)
    app = Penstock(Settings(home=str(folder / "home"), log_console=False))
    with app.activate():
        found = quarantine_worker.target(address, False).read().to_pylist()
    app.close()
    return sorted(row["id"] for row in found)


def quarantined(folder: Path, address: str, checked: bool, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    if checked:
        monkeypatch.chdir(folder)
        table = quarantine_worker.target(address, False).table
        return sorted(record.row["id"] for record in quarantine_worker.records_of(table.rejected()))
    store = Quarantine(folder / "home" / "quarantine")
    return sorted(number for filed in store.waiting("orders") for number in store.rows(filed)["id"])


def failed_checks(folder: Path) -> int:
    app = Penstock(Settings(home=str(folder / "home"), log_console=False))
    found = [stored.event for stored in app.journal.read(0, 10_000) if isinstance(stored.event, CheckFailed)]
    app.close()
    return len(found)


@pytest.mark.parametrize("stride", [5, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", WAYS)
def test_a_flow_killed_around_each_of_its_steps(
    lab: Lab, tmp_path: Path, way: str, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each round the flow is killed so many steps later than in the one before, then goes on and ends."""
    address, checked = WAYS[way]
    killed = 0
    while True:
        folder = tmp_path / str(killed)
        folder.mkdir()
        ended = lab.run(
            quarantine_worker.bring, folder=str(folder), address=address, checked=checked, strike_at=stride * killed + 1
        )
        if ended.killed:
            killed += 1
            again = lab.run(quarantine_worker.bring, folder=str(folder), address=address, checked=checked)
            assert again.value >= 0
        else:
            assert ended.value >= 0
        assert ids(folder, address, monkeypatch) == GOOD
        assert quarantined(folder, address, checked, monkeypatch) == BAD
        assert failed_checks(folder) == 1
        if not ended.killed:
            break
    assert killed >= 2


@pytest.mark.parametrize("way", WAYS)
def test_taking_rows_out_killed_around_each_of_its_steps(
    lab: Lab, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time half of the rows follow the rules; each attempt is killed one step later than the one before."""
    address, checked = WAYS[way]
    assert lab.run(quarantine_worker.bring, folder=str(tmp_path), address=address, checked=checked).value >= 0
    for half in (True, False):
        killed = 0
        while True:
            ended = lab.run(
                quarantine_worker.take_out,
                folder=str(tmp_path),
                address=address,
                checked=checked,
                half=half,
                strike_at=killed + 1,
            )
            if not ended.killed:
                break
            killed += 1
        stay = [number for number in BAD if half and number > ROWS // 2]
        assert killed >= 2
        assert ended.value["waiting"] == len(stay)
        assert ids(tmp_path, address, monkeypatch) == sorted([*GOOD, *(n for n in BAD if n not in stay)])
        if not checked:
            assert quarantined(tmp_path, address, checked, monkeypatch) == stay
