"""The warehouse in a DuckDB file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.warehouse_duties import EvolutionDuties, HistoryDuties, ModeDuties, TypeDuties
from tests.unit.warehouse_helpers import EventDuties, ModelDuties, ReadingDuties, RecordDuties
from tests.unit.warehouses import SeveralTables, WarehouseTables

from penstock.stores.warehouse import Warehouse
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance


class OnDuckDB:
    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> None:
        self.warehouse = Warehouse(tmp_path / "shop.duckdb")


class TestDuckDB(OnDuckDB, WarehouseTables, SinkConformance):
    pass


class TestMergeInDuckDB(OnDuckDB, WarehouseTables, MergeConformance):
    pass


class TestReplaceInDuckDB(OnDuckDB, WarehouseTables, ReplaceConformance):
    pass


class TestChangesInDuckDB(OnDuckDB, WarehouseTables, ChangesConformance):
    pass


class TestTablesOfDuckDB(OnDuckDB, SeveralTables, ChangesConformance):
    pass


class TestEvolutionInDuckDB(OnDuckDB, EvolutionDuties):
    def depend_on_n(self) -> None:
        self.warehouse.index("raw_data.rows", ["n"])


class TestTypeInDuckDB(OnDuckDB, TypeDuties):
    pass


class TestModeInDuckDB(OnDuckDB, ModeDuties):
    pass


class TestHistoryInDuckDB(OnDuckDB, HistoryDuties):
    pass


class TestEventInDuckDB(OnDuckDB, EventDuties):
    pass


class TestModelInDuckDB(OnDuckDB, ModelDuties):
    pass


class TestReadingInDuckDB(OnDuckDB, ReadingDuties):
    pass


class TestRecordInDuckDB(OnDuckDB, RecordDuties):
    pass
