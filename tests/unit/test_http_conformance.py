"""The API source does what every source does, for each way in which servers hand out a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.unit.api_server import Api, Request, api
from tests.unit.api_sites import WAYS, Row

from penstock.connectors.http import HttpApi, Incremental
from penstock.core.ports.data import Source
from penstock.testing.data_sources import SourceConformance


class _Server(SourceConformance):
    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        with api(lambda request: []) as self.api:
            yield

    api: Api
    rows: list[Row]
    grows = False

    def read(self, way: str, records: Sequence[Row], **options: Any) -> Source:
        self.rows = list(records)
        self.api.site, given = WAYS[way](self.rows, 7)
        return HttpApi(f"{self.api.url}/orders", batch_rows=10, **given, **options)

    def add(self, records: Sequence[Row]) -> None:
        self.rows.extend(records)


@pytest.mark.parametrize("way", [way for way in WAYS if "csv" not in way and way != "lines"])
class TestPages(_Server):
    @pytest.fixture(autouse=True)
    def chosen(self, way: str) -> None:
        self.way = way

    def make_source(self, records: Sequence[Row]) -> Source:
        return self.read(self.way, records)


class TestLines(_Server):
    grows = True

    def make_source(self, records: Sequence[Row]) -> Source:
        return self.read("lines", records)


class _Csv(_Server):
    def normal(self, row: Row) -> Row:
        return {**super().normal(row), "name": row["name"] or None}


class TestCsv(_Csv):
    grows = True

    def make_source(self, records: Sequence[Row]) -> Source:
        return self.read("csv", records)


class TestCsvPages(_Csv):
    def make_source(self, records: Sequence[Row]) -> Source:
        return self.read("csv pages", records)


class TestIncremental(_Server):
    grows = True

    def make_source(self, records: Sequence[Row]) -> Source:
        self.rows = list(records)

        def site(request: Request) -> Any:
            since, start = int(request.query.get("since", -1)), int(request.query.get("offset", 0))
            return [row for row in self.rows if row["id"] >= since][start : start + 7]

        self.api.site = site
        _, given = WAYS["offset"](self.rows, 7)
        since = Incremental(parameter="since", column="id", lookback=3, key="id")
        return HttpApi(f"{self.api.url}/orders", batch_rows=10, since=since, pages=given["pages"])
