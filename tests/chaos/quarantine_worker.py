"""Processes whose flows put rows into quarantine and take them out again, struck before or after a chosen step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import deltalake  # noqa: F401 - these are imported once here, for all workers
import pandas  # noqa: F401 - PyArrow does, when it is given a list
import polars  # noqa: F401
import pyarrow.parquet  # noqa: F401

import penstock.stores.lake  # noqa: F401
from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core import files
from penstock.core.model import RunFilter
from penstock.data import Dataset
from penstock.engine import datasets
from penstock.quality import Checks, validated
from penstock.quality.steps.retrying import Retried, records_of, retry

ROWS = 60
RULES = {"rules": [{"rule": "between", "column": "amount", "min": 0, "name": "not negative"}]}
FIXED = {**RULES, "repairs": [{"repair": "clip", "column": "amount", "min": 0}]}
HALF = {"rules": [{"rule": "between", "column": "id", "max": ROWS // 2}]}


def rows() -> list[dict[str, Any]]:
    return [{"id": number, "amount": float(number if number % 3 else -number)} for number in range(1, ROWS + 1)]


class Strikes:
    """Kills this process before the step of a number. Steps are calls of what writes anything, and ends of them."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.taken = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: Any, name: str, after: bool = False) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.step()
            value = real(*args, **kwargs)
            if after:
                self.step()
            return value

        setattr(owner, name, call)

    def everywhere(self) -> None:
        self.before(files.os, "replace", after=True)
        self.before(Path, "unlink")
        self.before(datasets, "_append", after=True)
        opened = Dataset.open

        def opens(dataset: Dataset, pipe: str) -> Any:
            landing = opened(dataset, pipe)
            self.before(landing, "land", after=True)
            return landing

        Dataset.open = opens  # type: ignore[method-assign]


def target(address: str, checked: bool) -> Dataset:
    return Dataset("orders", address, checks=Checks(RULES, "quarantine") if checked else None)


def bring(folder: str, address: str, checked: bool, strike_at: int = 0) -> int:
    """Run the flow, or go on with the run that was killed; how many steps it took."""
    os.chdir(folder)
    orders = target(address, checked)

    @task
    @validated({"rules": []} | ({"repairs": ["trim"]} if checked else RULES), on_failure="quarantine", dataset=orders)
    def load() -> list[dict[str, Any]]:
        return rows()

    @task
    def write(given: list[dict[str, Any]]) -> int:
        return orders.write(given).counts.landed

    @flow
    def nightly() -> int:
        return write(load())

    app = Penstock(Settings(home=f"{folder}/home", log_console=False))
    strikes = Strikes(strike_at)
    strikes.everywhere()
    with app.activate():
        begun = app.journal.runs(RunFilter(limit=1))
        if begun:
            app.resume(begun[0].id, nightly)
        else:
            nightly()
    app.close()
    return strikes.taken


def take_out(folder: str, address: str, checked: bool, half: bool = False, strike_at: int = 0) -> dict[str, int]:
    """Take out of quarantine what follows the rules now; how many steps it took, and how many rows stay."""
    os.chdir(folder)
    app = Penstock(Settings(home=f"{folder}/home", log_console=False))
    strikes = Strikes(strike_at)
    with app.activate():
        orders = target(address, False)
        records = list(records_of(orders.table.rejected())) if checked else []
        strikes.everywhere()
        rules = {**FIXED, "rules": [*FIXED["rules"], *HALF["rules"]]} if half else FIXED
        done: Retried = retry("orders", orders, rules, records=records, schema=orders.schema())
    app.close()
    return {"taken": strikes.taken, "waiting": done.waiting}
