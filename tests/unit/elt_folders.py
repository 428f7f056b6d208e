"""What a folder of SQL models does in every warehouse. A class provides `self.warehouse`."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from tests.unit.elt_duties import Making
from tests.unit.warehouses import exists

from penstock import Penstock, flow
from penstock.core.datasets import KIND, DatasetWritten
from penstock.core.errors import ParameterError
from penstock.core.plans import stream_of
from penstock.stores.elt import ModelFailed, SqlFolder

FILES = {
    "staging/stg_orders": (
        '{{ config(materialized="view", tags=["staging"]) }}\nSELECT * FROM {{ source("raw_data", "orders") }}'
    ),
    "daily": 'SELECT day, sum(total) AS revenue FROM {{ ref("stg_orders") }} GROUP BY 1',
    "customers": (
        'SELECT customer, count(*) AS orders FROM {{ ref("stg_orders") }} WHERE day >= {{ param("since") }} GROUP BY 1'
    ),
    "best": (
        'SELECT max(d.revenue) AS revenue, max(c.orders) AS orders FROM {{ ref("daily") }} d, {{ ref("customers") }} c'
    ),
}
SINCE = datetime.date(2026, 1, 1)


class Foldered(Making):
    def fill(self, **more: str) -> SqlFolder:
        for name, text in {**FILES, **more}.items():
            file = self.folder / f"{name}.sql"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return SqlFolder(self.folder, warehouse=self.warehouse)

    def run(self, folder: SqlFolder, *args: Any, **kwargs: Any) -> Any:
        @flow
        def models() -> Any:
            return folder.run(*args, **kwargs)

        with Penstock().activate():
            return models()


class FolderDuties(Foldered):
    def test_every_model_after_those_it_refers_to(self) -> None:
        folder = self.fill()
        assert list(folder.models) == ["stg_orders", "customers", "daily", "best"]
        made = self.run(folder, since=SINCE)
        assert {name: one.rows for name, one in made.items()} == {
            "stg_orders": 0,
            "customers": 2,
            "daily": 2,
            "best": 1,
        }
        assert self.rows("SELECT CAST(revenue AS integer), orders FROM analytics.best") == [(55, 2)]

    def test_some_of_them(self) -> None:
        folder = self.fill()
        assert folder.select("+daily") == ["stg_orders", "daily"]
        assert folder.select("stg_orders+", exclude="best") == ["stg_orders", "customers", "daily"]
        assert folder.select("tag:staging daily") == ["stg_orders", "daily"]
        assert list(self.run(folder, "+daily")) == ["stg_orders", "daily"]
        assert not exists(self.warehouse, "analytics.best")

    def test_parameters_are_looked_at_before_anything_is_done(self) -> None:
        folder = self.fill()
        with pytest.raises(ParameterError, match="since: missing; customers takes it"):
            self.run(folder)
        with pytest.raises(ParameterError, match="until: no model that was chosen takes it"):
            self.run(folder, since=SINCE, until=SINCE)
        with pytest.raises(ParameterError, match="since: no model that was chosen takes it"):
            self.run(folder, "+daily", since=SINCE)
        assert not exists(self.warehouse, "analytics.stg_orders")

    def test_what_depends_on_a_failure_is_not_made(self) -> None:
        folder = self.fill(daily='SELECT nothing FROM {{ ref("stg_orders") }}')
        with pytest.raises(ModelFailed, match=r"daily\.sql, line 1: .*nothing"):
            self.run(folder, since=SINCE)
        assert exists(self.warehouse, "analytics.customers")
        assert not exists(self.warehouse, "analytics.best")

    def test_in_another_warehouse(self) -> None:
        folder = self.fill()
        asked: list[int] = []

        def where() -> Any:
            asked.append(1)
            return self.warehouse

        assert self.run(folder.on(where), "stg_orders")["stg_orders"].kind == "view"
        assert len(asked) == 1


class RecordDuties(Foldered):
    def test_readings_and_writings_are_on_record(self) -> None:
        folder = self.fill()
        with Penstock().activate() as penstock:

            @flow
            def models() -> Any:
                return folder.run("+daily")

            models()
            known = {one.path.rpartition("analytics.")[2]: one for one in penstock.journal.datasets()}
            stream = stream_of(KIND, known["daily"].place)
            events = [stored.event for stored in penstock.journal.load(stream)]
        daily = known["daily"]
        assert daily.landed == 2
        assert daily.columns is not None
        assert list(daily.columns) == ["day", "revenue"]
        assert daily.written_by is not None
        assert known["stg_orders"].read_by == daily.written_by
        (written,) = [event for event in events if isinstance(event, DatasetWritten)]
        staged = known["stg_orders"].place
        assert written.inputs == (staged,)
        assert written.lineage == {"day": ((staged, "day"),), "revenue": ((staged, "total"),)}
