"""SQL models in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.elt_duties import DAILY, IncrementDuties, Making, MistakeDuties, ModelDuties, ParameterDuties
from tests.unit.elt_folders import FolderDuties, Foldered, RecordDuties

from penstock.core.errors import DataError
from penstock.stores.elt import SqlFolder
from penstock.stores.warehouse import Warehouse

pytestmark = pytest.mark.integration


class OnPostgres:
    @pytest.fixture(autouse=True)
    def system(self, postgres_url: str) -> Iterator[None]:
        with Warehouse(postgres_url) as self.warehouse:
            yield


class TestModelsInPostgres(OnPostgres, ModelDuties):
    pass


class TestIncrementsInPostgres(OnPostgres, IncrementDuties):
    pass


class TestParametersInPostgres(OnPostgres, ParameterDuties):
    pass


class TestMistakesInPostgres(OnPostgres, MistakeDuties):
    pass


class TestFoldersInPostgres(OnPostgres, FolderDuties):
    pass


class TestRecordsInPostgres(OnPostgres, RecordDuties):
    pass


class TestWhatHangsOnATable(OnPostgres, Making):
    def test_views_and_grants_stay_where_the_columns_do(self) -> None:
        daily = self.task(DAILY)
        daily()
        self.warehouse.execute("CREATE VIEW analytics.best AS SELECT max(revenue) AS best FROM analytics.model")
        self.order(4, "2026-01-03", "Cy", 500)
        daily()
        assert self.rows("SELECT CAST(best AS integer) FROM analytics.best") == [(500,)]

    def test_a_view_that_would_be_lost_is_told(self) -> None:
        self.task(DAILY)()
        self.warehouse.execute("CREATE VIEW analytics.best AS SELECT max(revenue) AS best FROM analytics.model")
        with pytest.raises(DataError, match="depend"):
            self.task(DAILY.replace("AS orders", "AS pieces"))()
        assert self.rows("SELECT sum(orders) FROM analytics.model") == [("3",)]

    def test_readers_see_the_old_rows_until_the_new_ones_are_there(self, postgres_url: str) -> None:
        daily = self.task(DAILY)
        daily()
        with Warehouse(postgres_url) as other, ThreadPoolExecutor(4) as pool:
            made = [pool.submit(daily) for _ in range(8)]
            seen = {other.read("SELECT count(*) AS n FROM analytics.model")["n"][0].as_py() for _ in range(50)}
            assert {one.result().rows for one in made} == {2}
        assert seen == {2}


class TestManyAtOnce(OnPostgres, Foldered):
    def test_models_of_a_schema_that_is_not_there_yet(self) -> None:
        names = [f"m{number}" for number in range(12)]
        for name in names:
            (self.folder / f"{name}.sql").write_text("SELECT 1 AS n")
        made = self.run(SqlFolder(self.folder, warehouse=self.warehouse))
        assert sorted(made) == sorted(names)
        assert self.rows("SELECT count(DISTINCT model) FROM analytics.penstock_models") == [(12,)]

    def test_rows_that_are_added_by_several_at_once(self) -> None:
        log = self.task('{{ config(materialized="incremental") }} SELECT count(*) AS n FROM {{ ref("orders") }}')
        with ThreadPoolExecutor(4) as pool:
            assert [one.result().rows for one in [pool.submit(log) for _ in range(8)]] == [1] * 8
        assert self.rows("SELECT count(*), min(n) FROM analytics.model") == [(8, 3)]
