"""Points written to a real server, and read back from it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.conftest import service_url

from penstock.core.ports.data import Batch, Counts, Part
from penstock.data import ingest
from penstock.stores.timeseries import TimeSeries
from penstock.testing.data_memory import MemorySource, table_of

pytestmark = pytest.mark.integration

START = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


class Server:
    """VictoriaMetrics, with measurements of a test's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.measurement = f"m{uuid4().hex}"
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def series(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]]:
        """Times and values of each field and its tags, as they are kept."""
        self._client.get("/internal/force_flush").raise_for_status()
        answer = self._client.get("/api/v1/export", params={"match[]": f'{{__name__=~"{self.measurement}.*"}}'})
        answer.raise_for_status()
        found: dict[Any, list[tuple[int, float]]] = {}
        for line in answer.text.splitlines():
            told = json.loads(line)
            labels = {name: value for name, value in told["metric"].items() if name not in ("__name__", "db")}
            key = (told["metric"]["__name__"].removeprefix(self.measurement), tuple(sorted(labels.items())))
            found.setdefault(key, []).extend(zip(told["timestamps"], told["values"], strict=True))
        return {key: sorted(values) for key, values in found.items()}

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(service_url("timeseries"))
    yield server
    server.close()


def milliseconds(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_points_are_read_back_as_they_were(server: Server) -> None:
    rooms = ["plain", "with space", "a,b=c", "ünï ✓", 'quo"te', "back\\slash", None]
    rows = [
        {
            "at": START + datetime.timedelta(seconds=number),
            "room": room,
            "house": "h1",
            "degrees": number * 0.1 - 5,
            "count": 1 << 40,
            "open": number % 2 == 0,
        }
        for number, room in enumerate(rooms)
    ]
    sink = TimeSeries(server.url, measurement=server.measurement, time="at", tags=["room", "house"], bucket="shop")
    with sink.open("pipe") as landing:
        assert landing.land(Batch(parts=(Part(table_of(rows)),), position={"next": 1})).counts == Counts(7, 7)
    found = server.series()
    for row in rows:
        tags = tuple(sorted({name: row[name] for name in ("room", "house") if row[name]}.items()))
        at = milliseconds(row["at"])
        assert found[("_degrees", tags)] == [(at, row["degrees"])]
        assert found[("_count", tags)] == [(at, float(1 << 40))]
        assert found[("_open", tags)] == [(at, float(row["open"]))]
    assert len(found) == 3 * len(rows)


@pytest.mark.parametrize("precision", ["s", "ms", "us", "ns"])
def test_every_precision_names_the_same_moment(server: Server, precision: Any) -> None:
    sink = TimeSeries(server.url, measurement=server.measurement, time="at", precision=precision)
    with sink.open("pipe") as landing:
        landing.land(Batch(parts=(Part(table_of([{"at": START, "v": 1.5}])),), position={"next": 1}))
    assert server.series() == {("_v", ()): [(milliseconds(START), 1.5)]}


def test_what_is_written_twice_is_there_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    rows = [
        {"at": START + datetime.timedelta(seconds=number), "sensor": f"s{number % 5}", "v": number}
        for number in range(1000)
    ]
    sink = TimeSeries(server.url, measurement=server.measurement, time="at", tags=["sensor"], points=64)
    source = MemorySource(rows, rows=300)
    real, calls = sink._ledger.commit, iter([False, True])

    def commit(*args: Any) -> None:
        if next(calls, False):
            raise Killed
        real(*args)

    monkeypatch.setattr(sink._ledger, "commit", commit)
    with pytest.raises(Killed):
        ingest(source, sink, name="pipe")
    assert ingest(source, sink, name="pipe").counts == Counts(700, 700)
    found = server.series()
    assert sum(len(points) for points in found.values()) == 1000
    for (_, tags), points in found.items():
        expected = [(milliseconds(row["at"]), row["v"]) for row in rows if row["sensor"] == dict(tags)["sensor"]]
        assert points == expected
