"""What the tests of the warehouse share: a table of it as the conformance suites ask for one."""

from __future__ import annotations

import json
from typing import Any

from penstock.core.errors import DataError
from penstock.core.ports.data import Rejected, Sink
from penstock.stores.warehouse import Warehouse


class WarehouseTables:
    """Provides what `penstock.testing` asks of a sink, on `self.warehouse`."""

    warehouse: Warehouse

    def make_sink(self, **options: Any) -> Sink:
        return self.warehouse.table("raw_data.rows", **options)

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        return self.warehouse.records(("raw_data", table)).read()

    def rejected(self, table: str = "rows") -> list[Rejected]:
        found = self.warehouse.records(("raw_data", f"{table}__rejected")).read()
        return [Rejected(one["reason"], one["where"], one["raw"]) for one in found]


class SeveralTables(WarehouseTables):
    """The same with a sink for several tables."""

    several = True

    def make_sink(self, **options: Any) -> Sink:
        sink = self.warehouse.tables("raw_data", names={"": "rows"}, **options)
        return sink


def exists(warehouse: Warehouse, table: str) -> bool:
    try:
        warehouse.records(table).read(limit=1)
    except DataError:
        return False
    return True


def position_of(warehouse: Warehouse, schema: str = "raw_data") -> list[Any]:
    found = warehouse.records(f"{schema}.penstock_pipes").read()
    return [one["position"] if not isinstance(one["position"], str) else json.loads(one["position"]) for one in found]
