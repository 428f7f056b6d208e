"""The API source inside runs, and with real public data: a copy of JSONPlaceholder, served as the original is."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import until
from tests.unit.api_server import Api, Reply, Request, api

from penstock import flow, task
from penstock.connectors.http import HttpApi, LinkHeader, Offset, Page, Retries
from penstock.core.errors import SourceUnavailable
from penstock.data import ingest
from penstock.testing.data_memory import Memory, MemorySink

Row = dict[str, Any]


@pytest.fixture
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(scope="module")
def placeholder(test_data: Path) -> Iterator[tuple[Api, dict[str, list[Row]]]]:
    """`GET /posts?_start=0&_limit=20`, `?_page=1&_limit=20`, `/users/3/todos`; X-Total-Count, Link."""
    tables: dict[str, list[Row]] = json.loads((test_data / "jsonplaceholder" / "data.json").read_text())

    def site(request: Request) -> Any:
        rows = tables[request.path.strip("/")]
        most = int(request.query.get("_limit", 10))
        if "_start" in request.query:
            start = int(request.query["_start"])
        else:
            page = int(request.query.get("_page", 1))
            start = (page - 1) * most
        following = f'<{request.url}{request.path}?_page={start // most + 2}&_limit={most}>; rel="next"'
        link = {"Link": following} if start + most < len(rows) else {}
        return Reply(rows[start : start + most], headers={"X-Total-Count": str(len(rows)), **link})

    with api(site) as found:
        yield found, tables


READ_AS: dict[str, dict[str, Any]] = {
    "pages": {"pages": Page(number="_page", size="_limit", per_page=97)},
    "places": {"pages": Offset(offset="_start", limit="_limit", per_page=250), "total_header": "X-Total-Count"},
    "links": {"pages": LinkHeader(), "parameters": {"_limit": 500}},
}


@pytest.mark.parametrize("table", ["posts", "comments", "users", "photos"])
@pytest.mark.parametrize("way", sorted(READ_AS))
def test_real_tables_land_whole(placeholder: tuple[Api, dict[str, list[Row]]], table: str, way: str) -> None:
    server, tables = placeholder
    memory = Memory()
    with HttpApi(f"{server.url}/{table}", batch_rows=1000, **READ_AS[way]) as source:
        done = ingest(source, MemorySink(memory))
    assert memory.tables["rows"] == tables[table]
    assert done.counts.read == done.counts.landed == len(tables[table])
    if way == "places":
        assert done.total.rows == len(tables[table])


def test_an_ingest_that_fails_goes_on_where_it_failed(placeholder: tuple[Api, dict[str, list[Row]]]) -> None:
    server, tables = placeholder
    memory, good = Memory(), server.site
    source = HttpApi(
        f"{server.url}/photos", batch_rows=500, ahead=2, retries=Retries(times=0), total_header="X-Total-Count",
        pages=Offset(offset="_start", limit="_limit", per_page=100),
    )  # fmt: skip
    failures = 0
    try:
        for stop in (0, 700, 1500, 4900):
            server.site = lambda request, stop=stop: (
                Reply(b"", status=500) if int(request.query["_start"]) == stop else good(request)
            )
            with pytest.raises(SourceUnavailable):
                ingest(source, MemorySink(memory), name="photos")
            failures += 1
    finally:
        server.site = good
    ingest(source, MemorySink(memory), name="photos")
    assert failures == 4
    assert memory.tables["rows"] == tables["photos"]


def test_in_a_run_the_rate_is_the_journals_and_retries_are_in_its_log(server: Api, penstock_home: Path) -> None:
    replies = iter([Reply(b"", status=503), [{"id": 1}], [{"id": 2}], []])
    server.site = lambda request: next(replies)
    memory = Memory()

    @task
    def collect() -> int:
        calm = Retries(base_seconds=0)
        with HttpApi(f"{server.url}/x", pages=Page(), per_second=200, retries=calm) as source:
            return ingest(source, MemorySink(memory)).counts.landed

    @flow
    def nightly() -> int:
        return collect()

    assert nightly() == 2
    host = server.url.removeprefix("http://")
    with sqlite3.connect(penstock_home / "journal.db") as journal:
        assert journal.execute("SELECT name FROM limits WHERE turn > 0").fetchall() == [(f"http:{host}",)]
        lines = [message for (message,) in journal.execute("SELECT message FROM logs")]
    journal.close()
    told = [line for line in lines if "retry 1 of 5" in line]
    assert len(told) == 1
    assert told[0].startswith(f"GET {server.url}/x (page=1): the server answered 503; retry")


def test_nothing_stays_behind(server: Api) -> None:
    rows = [{"id": number} for number in range(100)]
    server.site = lambda request: {"r": rows[int(request.query["offset"]) :][:5], "n": 100}
    before = set(threading.enumerate())
    source = HttpApi(f"{server.url}/x", records="r", total="n", pages=Offset(per_page=5), batch_rows=5)
    for _ in range(3):
        reading = iter(source.batches(None))
        next(reading)
        reading.close()  # type: ignore[attr-defined]
    mine = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("penstock-http")]
    assert mine == []
    until(lambda: set(threading.enumerate()) <= before, "the server has nobody to answer")
