"""SQL models in a DuckDB file."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.elt_duties import IncrementDuties, MistakeDuties, ModelDuties, ParameterDuties
from tests.unit.elt_folders import FolderDuties, Foldered, RecordDuties

from penstock import Penstock, flow
from penstock.stores.elt import SqlFolder, sql_task
from penstock.stores.warehouse import Warehouse
from penstock.task_runners import ProcessPoolTaskRunner


class OnDuckDB:
    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> None:
        self.warehouse = Warehouse(tmp_path / "shop.duckdb")


class TestModelsInDuckDB(OnDuckDB, ModelDuties):
    pass


class TestIncrementsInDuckDB(OnDuckDB, IncrementDuties):
    pass


class TestParametersInDuckDB(OnDuckDB, ParameterDuties):
    pass


class TestMistakesInDuckDB(OnDuckDB, MistakeDuties):
    pass


class TestFoldersInDuckDB(OnDuckDB, FolderDuties):
    pass


class TestRecordsInDuckDB(OnDuckDB, RecordDuties):
    pass


class TestTurnsInDuckDB(OnDuckDB, Foldered):
    def test_one_model_after_the_other_however_long_it_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two at once would wait for each other in the database, and give up after a while."""
        inside, together = threading.Barrier(2), list[str]()
        materialize = Warehouse.materialize

        def watched(warehouse: Warehouse, name: Any, plan: Any) -> Any:
            with contextlib.suppress(threading.BrokenBarrierError):
                inside.wait(0.3)
                together.append(str(name))
            return materialize(warehouse, name, plan)

        monkeypatch.setattr(Warehouse, "materialize", watched)
        for name in "abc":
            (self.folder / f"{name}.sql").write_text("SELECT 1 AS n")
        made = self.run(SqlFolder(self.folder, warehouse=self.warehouse))
        assert list(made) == ["a", "b", "c"]
        assert not together


def test_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "m.sql").write_text('SELECT {{ param("n") }} AS n')
    model = sql_task(tmp_path / "m.sql", warehouse=tmp_path / "shop.duckdb")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def models() -> Any:
        return model.submit(n=7).result()

    with Penstock().activate():
        assert models().rows == 1
    assert Warehouse(tmp_path / "shop.duckdb").read("SELECT n FROM analytics.m").to_pylist() == [{"n": 7}]
