"""The warehouse in BigQuery: Google's real client, before a stand-in of the service that speaks its REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from tests.ports import nobody
from tests.unit.api_server import api
from tests.unit.bigquery_site import BigQuerySite
from tests.unit.cloud_duties import CloudDuties
from tests.unit.warehouses import SeveralTables, WarehouseTables

from penstock.connections import BigQueryConnection
from penstock.core.errors import ConfigurationError, DataError, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Part
from penstock.stores.warehouse import Warehouse
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance


class OnBigQuery:
    @pytest.fixture(autouse=True)
    def system(self) -> Iterator[None]:
        self.site = BigQuerySite()
        with api(self.site) as server, Warehouse(f"bigquery://shop?endpoint={server.url}") as self.warehouse:
            yield
        self.site.house.close()


class TestBigQuery(OnBigQuery, WarehouseTables, SinkConformance):
    def test_names_are_only_names(self) -> None:
        """As everywhere else, but for the characters that BigQuery has in no name: those are told."""
        names = ["select", "a 'b'", "c: DROP TABLE rows -- x", "ünï", "with space", "UPPER", "1st", "x-y"]
        row = {"id": 1} | {name: f"in {name}" for name in names}
        with self.opened() as landing:
            landing.land(Batch((Part(pa.Table.from_pylist([row])),), {"n": 1}))
            landing.land(Batch((Part(pa.Table.from_pylist([row | {"id": 2, "new --": 1}])),), {"n": 2}))
            with pytest.raises(SchemaRefused, match="can have no column with the name 'a`b'"):
                landing.land(Batch((Part(pa.table({"a`b": [1]})),), {"n": 3}))
        found = sorted(self.rows(), key=lambda one: one["id"])
        assert [{name: one[name] for name in row} for one in found] == [row, row | {"id": 2}]
        assert [one["new --"] for one in found] == [None, 1]


class TestMergeInBigQuery(OnBigQuery, WarehouseTables, MergeConformance):
    pass


class TestReplaceInBigQuery(OnBigQuery, WarehouseTables, ReplaceConformance):
    pass


class TestChangesInBigQuery(OnBigQuery, WarehouseTables, ChangesConformance):
    pass


class TestTablesOfBigQuery(OnBigQuery, SeveralTables, ChangesConformance):
    pass


class TestDutiesInBigQuery(OnBigQuery, CloudDuties):
    conflict = (
        400,
        "invalidQuery",
        "Transaction is aborted due to concurrent update against table shop:raw_data.rows.",
    )
    begins, ends = "BEGIN TRANSACTION", ""


class TestBigQueryItself(OnBigQuery):
    errors: ClassVar[list[Any]] = [
        ((403, "accessDenied", "Access Denied: User does not have permission"), DataError, "roles/bigquery.dataEditor"),
        ((403, "quotaExceeded", "Quota exceeded: your project exceeded quota"), SinkUnavailable, "a larger quota"),
        ((401, "authError", "Request had invalid authentication credentials."), ConfigurationError, "log in"),
        ((400, "invalidQuery", "Syntax error: Unexpected identifier"), DataError, "Syntax error"),
        ((400, "invalidQuery", "Bad int64 value: x"), SchemaRefused, "Bad int64"),
    ]

    def test_errors_say_what_to_do(self) -> None:
        for error, kind, told in self.errors:
            self.site.refuse = lambda sql, error=error: error  # type: ignore[misc]
            with pytest.raises(kind) as caught:
                self.warehouse.read("SELECT 1 AS n")
            assert told in str(caught.value)

    def test_a_health_test(self) -> None:
        assert BigQueryConnection.from_url(self.warehouse.address).test().told == "BigQuery, project shop"

    def test_a_staging_table_is_dropped(self) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            landing.land(Batch((Part(pa.table({"id": [1]})),), {"n": 1}))
        assert self.site.house.tables("raw_data") == ["penstock_pipes", "rows"]
        assert [one for one in self.site.log if one.startswith("LOAD")]


def test_nobody_is_there() -> None:
    warehouse = Warehouse(f"bigquery://shop?endpoint={nobody()}", timeout_seconds=1)
    with pytest.raises(SinkUnavailable, match="bigquery://shop cannot be used"):
        warehouse.table("raw_data.rows").open("pipe")


def test_credentials_that_are_none(tmp_path: Any) -> None:
    (tmp_path / "key.json").write_text('{"private_key": "hidden"')
    for given in ({"credentials_file": f"{tmp_path}/key.json"}, {"credentials_json": '{"private_key": "hidden"}'}):
        warehouse = Warehouse(BigQueryConnection(project="shop", **given))
        with pytest.raises(ConfigurationError, match="credentials") as caught:
            warehouse.read("SELECT 1")
        assert "hidden" not in str(caught.value)


def test_places_and_what_cannot_be() -> None:
    warehouse = Warehouse("bigquery://shop")
    assert str(warehouse.table("raw_data.rows").place) == "bigquery/shop.raw_data.rows"
    with pytest.raises(ConfigurationError, match="no dataset"):
        warehouse.table(("raw-data", "rows"))
    with pytest.raises(ConfigurationError, match="keeps no history"):
        warehouse.tables("raw_data", mode="history")
