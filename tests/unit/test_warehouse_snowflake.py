"""The warehouse in Snowflake: the real connector, before a stand-in of the service that speaks its protocol."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from tests.ports import nobody
from tests.unit.api_server import api
from tests.unit.cloud_duties import CloudDuties
from tests.unit.snowflake_site import SnowflakeSite
from tests.unit.warehouses import SeveralTables, WarehouseTables

from penstock.connections import ConnectionFailed, SnowflakeConnection
from penstock.core.addresses import parsed
from penstock.core.errors import ConfigurationError, DataError, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Part
from penstock.stores.warehouse import Warehouse, at
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance

SECRET = "open sesame"
os.environ["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"  # the connector asks the network what cloud it is in


def connection(endpoint: str, **more: Any) -> SnowflakeConnection:
    given: dict[str, Any] = {"password": SECRET, "database": "shop", "warehouse": "w"} | more
    return SnowflakeConnection(account="acme-shop", user="ann", endpoint=endpoint, **given)


class OnSnowflake:
    @pytest.fixture(autouse=True)
    def system(self) -> Iterator[None]:
        self.site = SnowflakeSite()
        with api(self.site) as server, Warehouse(connection(server.url)) as self.warehouse:
            self.endpoint = server.url
            yield
        self.site.house.close()


class TestSnowflake(OnSnowflake, WarehouseTables, SinkConformance):
    def test_names_are_only_names(self) -> None:
        """As everywhere else, but that a name comes back in lower case."""
        names = ["select", 'a "b"', "c'; drop table rows; --", "ünï", "with space", "upper", "1st", "x.y"]
        row = {"id": 1} | {name: f"in {name}" for name in names}
        with self.opened() as landing:
            landing.land(Batch((Part(pa.Table.from_pylist([row])),), {"n": 1}))
            new = {**row, "id": 2, "UPPER": "the same", "new; --": 1}
            del new["upper"]
            landing.land(Batch((Part(pa.Table.from_pylist([new])),), {"n": 2}))
        found = sorted(self.rows(), key=lambda one: one["id"])
        assert [{name: one[name] for name in row} for one in found] == [row, row | {"id": 2, "upper": "the same"}]
        assert [one["new; --"] for one in found] == [None, 1]


class TestMergeInSnowflake(OnSnowflake, WarehouseTables, MergeConformance):
    pass


class TestReplaceInSnowflake(OnSnowflake, WarehouseTables, ReplaceConformance):
    pass


class TestChangesInSnowflake(OnSnowflake, WarehouseTables, ChangesConformance):
    pass


class TestTablesOfSnowflake(OnSnowflake, SeveralTables, ChangesConformance):
    pass


class TestDutiesInSnowflake(OnSnowflake, CloudDuties):
    conflict = ("000625", "57014", "Statement has locked table 'ROWS' in a transaction, which was not released.")
    begins, ends = "BEGIN", "COMMIT"


class TestSnowflakeItself(OnSnowflake):
    def land(self, *rows: dict[str, Any]) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            landing.land(Batch((Part(pa.Table.from_pylist(list(rows))),), {"n": 1}))

    def test_a_health_test(self) -> None:
        asked = "SELECT current_version(), current_user(), current_role(), current_warehouse()"
        self.site.known[asked] = ("9.1", "ANN", "LOADER", None)
        assert connection(self.endpoint).test().told == "Snowflake 9.1, ANN as LOADER, no warehouse"

    def test_errors_say_what_to_do(self) -> None:
        self.land({"id": 1})
        for error, kind, told in [
            (
                ("000606", "57P03", "No active warehouse selected in the current session."),
                ConfigurationError,
                "?warehouse=",
            ),
            (
                ("090073", "57014", "Warehouse 'W' cannot be resumed: quota exceeded."),
                SinkUnavailable,
                "resume the warehouse",
            ),
            (("003001", "42501", "Insufficient privileges to operate on table"), DataError, "GRANT"),
            (("390114", "08001", "Authentication token has expired."), SinkUnavailable, "open the warehouse anew"),
            (("100038", "22018", f"Numeric value '{SECRET}' is not recognized"), SchemaRefused, "***"),
        ]:
            self.site.refuse = lambda sql, error=error: error  # type: ignore[misc]
            with pytest.raises(kind) as caught:
                self.warehouse.read("SELECT 1 AS n")
            assert told in str(caught.value)
            assert SECRET not in str(caught.value)

    def test_a_wrong_password(self) -> None:
        with Warehouse(connection(self.endpoint, password="wrong secret")) as warehouse:
            with pytest.raises(ConfigurationError, match="does not let this user in") as caught:
                warehouse.read("SELECT 1")
            assert "wrong secret" not in str(caught.value) + repr(warehouse)
        with pytest.raises(ConnectionFailed) as failed:
            connection(self.endpoint, password="wrong secret").test(5)
        assert "wrong secret" not in str(failed.value)


def test_nobody_is_there() -> None:
    warehouse = Warehouse(connection(nobody()), timeout_seconds=1)
    with pytest.raises(SinkUnavailable, match="snowflake://acme-shop cannot be used") as caught:
        warehouse.table("raw_data.rows").open("pipe")
    assert SECRET not in str(caught.value)


def test_a_url_and_what_it_must_have() -> None:
    url = "snowflake://ann:hidden@acme-shop/shop?warehouse=w&role=loader"
    warehouse = Warehouse(url)
    assert str(warehouse.table("raw_data.rows").place) == "snowflake://acme-shop/shop.raw_data.rows"
    assert "hidden" not in repr(warehouse) + warehouse.address
    told = parsed(f"{url}#raw_data.rows", {"mode": "merge", "keys": "id"})
    assert str(at(told).place) == "snowflake://acme-shop/shop.raw_data.rows"
    with pytest.raises(ConfigurationError, match="names no database"):
        Warehouse("snowflake://ann:hidden@acme-shop")
    with pytest.raises(ConfigurationError, match="keeps no history"):
        warehouse.table("rows", mode="history", keys=["id"])
    with pytest.raises(ConfigurationError, match="has no indexes"):
        warehouse.index("rows", ["id"])
