"""The time series sink against a server that answers as it is told to, and keeps points as InfluxDB does."""

from __future__ import annotations

import datetime
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.ports import nobody
from tests.unit.line_protocol_oracle import Point, read

from penstock.core.errors import ConfigurationError, PipeTakenOver, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Part, Rejected
from penstock.data import ingest
from penstock.stores.timeseries import TimeSeries
from penstock.stores.timeseries.server import retry_after
from penstock.testing.data_memory import MemorySource, table_of
from penstock.testing.sink_landing import LandingDuties

Answer = tuple[int, dict[str, str], str]
GOOD: Answer = (204, {}, "")


class Influx:
    """Keeps points by measurement, tags and time; `answers` come first, `judge` decides about each write."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, tuple[tuple[str, str], ...], int], dict[str, Any]] = {}
        self.answers: list[Answer | None] = []
        self.judge: Callable[[list[Point]], Answer] = lambda points: GOOD
        self.requests: list[tuple[dict[str, list[str]], dict[str, str], list[Point]]] = []
        influx = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                influx.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        points = read(body.decode())
        where = urlsplit(handler.path)
        assert where.path == "/api/v2/write"
        self.requests.append((parse_qs(where.query), dict(handler.headers), points))
        given = self.answers.pop(0) if self.answers else self.judge(points)
        if given is None:  # the points are kept, and the answer is lost
            self._keep(points)
            handler.close_connection = True
            return
        status, headers, text = given
        if status == 204:
            self._keep(points)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text.encode())))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def _keep(self, points: list[Point]) -> None:
        for one in points:
            self.points.setdefault((one.measurement, tuple(sorted(one.tags.items())), one.time), {}).update(one.fields)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def influx() -> Iterator[Influx]:
    server = Influx()
    yield server
    server.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the sink would have waited."""
    waits: list[float] = []
    real = TimeSeries.__init__

    def make(self: TimeSeries, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        self._server._sleep = waits.append

    monkeypatch.setattr(TimeSeries, "__init__", make)
    return waits


def sink(influx: Influx, **options: Any) -> TimeSeries:
    return TimeSeries(influx.url, **{"measurement": "heat", "time": "ts", "tags": ["room"]} | options)


def rows(*times: int) -> list[dict[str, Any]]:
    return [{"ts": at, "room": f"r{at % 2}", "degrees": at * 0.5} for at in times]


def batch(*times: int, number: int = 1, **more: Any) -> Batch:
    return Batch(parts=(Part(table_of(rows(*times))),), position={"next": number}, **more)


def test_points_arrive_with_bucket_token_and_precision(influx: Influx) -> None:
    with sink(influx, bucket="b", org="o", token="secret token", precision="s").open("pipe") as landing:
        assert landing.land(batch(1, 2)).counts == Counts(2, 2)
    ((query, headers, points),) = influx.requests
    assert query == {"bucket": ["b"], "org": ["o"], "precision": ["s"]}
    assert headers["Authorization"] == "Token secret token"
    assert headers["Content-Encoding"] == "gzip"
    assert points == [Point("heat", {"room": f"r{at % 2}"}, {"degrees": at * 0.5}, at) for at in (1, 2)]


def test_requests_hold_so_many_points_at_most(influx: Influx) -> None:
    with sink(influx, points=4, compress=False).open("pipe") as landing:
        landed = landing.land(batch(*range(10)))
    assert [len(points) for _, _, points in influx.requests] == [4, 4, 2]
    assert landed.written == sum(len(f"heat,room=r0 degrees={at * 0.5:g} {at}") for at in range(10)) + 7


def test_a_server_that_asks_to_wait_gets_what_it_asks_for(influx: Influx, slept: list[float]) -> None:
    soon = format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=40), usegmt=True)
    influx.answers = [(429, {"Retry-After": "7"}, ""), (503, {"Retry-After": soon}, ""), (500, {}, ""), (502, {}, "")]
    with sink(influx).open("pipe") as landing:
        landing.land(batch(1))
    assert slept[0] == 7
    assert 10 < slept[1] <= 40
    assert slept[2:] == sorted(slept[2:])
    assert len(influx.points) == 1


def test_a_server_that_stays_away_is_an_error_and_nothing_has_moved(influx: Influx, slept: list[float]) -> None:
    influx.answers = [(503, {"Retry-After": "40"}, "overloaded")] * 3
    with sink(influx).open("pipe") as landing:
        with pytest.raises(SinkUnavailable, match="503 overloaded"):
            landing.land(batch(1))
        assert landing.position is None
    assert slept == [40]
    with sink(influx).open("pipe") as again:
        assert (again.position, again.counts) == (None, Counts())


def test_nobody_listens(slept: list[float]) -> None:
    series = TimeSeries(nobody(), measurement="heat", time="ts", tags=["room"], patience_seconds=1)
    with series.open("pipe") as landing, pytest.raises(SinkUnavailable, match="taken no points"):
        landing.land(batch(1))


def test_an_answer_that_is_lost_makes_no_second_point(influx: Influx, slept: list[float]) -> None:
    influx.answers = [None]
    with sink(influx).open("pipe") as landing:
        assert landing.land(batch(1, 2, 3)).counts == Counts(3, 3)
    assert len(influx.requests) == 2
    assert len(influx.points) == 3


def test_lines_that_the_server_refuses_are_rejected_and_the_others_land(influx: Influx) -> None:
    def judge(points: list[Point]) -> Answer:
        bad = [one for one in points if one.time in (17, 33)]
        return (400, {}, json.dumps({"message": f"field type conflict at {bad[0].time}"})) if bad else GOOD

    influx.judge = judge
    series = sink(influx)
    with series.open("pipe") as landing:
        assert landing.land(batch(*range(40))).counts == Counts(40, 38, 0, 2)
    assert len(influx.points) == 38
    first, second = series.rejected()
    assert "field type conflict at 17" in first.reason
    assert json.loads(second.raw)["ts"] == 33


def test_a_server_that_refuses_everything_refuses_the_table(influx: Influx) -> None:
    influx.judge = lambda points: (400, {}, '{"message": "field type conflict"}')
    with sink(influx).open("pipe") as landing, pytest.raises(SchemaRefused, match="field type conflict"):
        landing.land(batch(*range(1000)))
    assert len(influx.requests) < 60


def test_a_request_that_is_too_large_is_halved(influx: Influx) -> None:
    influx.judge = lambda points: (413, {}, "") if len(points) > 3 else GOOD
    with sink(influx).open("pipe") as landing:
        assert landing.land(batch(*range(10))).counts == Counts(10, 10)
    assert len(influx.points) == 10


@pytest.mark.parametrize(("status", "hint"), [(401, "token"), (403, "token"), (404, "bucket"), (405, "")])
def test_who_is_not_let_in_is_told_what_to_look_at(influx: Influx, status: int, hint: str) -> None:
    influx.judge = lambda points: (status, {}, '{"message": "no, not with topsecret"}')
    landing = sink(influx, token="topsecret").open("pipe")
    with pytest.raises(SinkUnavailable, match=f"{status} no, not with") as told:
        landing.land(batch(1))
    landing.close()
    assert "topsecret" not in str(told.value)
    assert hint in (told.value.hint or "")


def test_rows_that_cannot_be_points_are_rejected(influx: Influx) -> None:
    table = table_of([{"ts": 1, "room": "a", "degrees": 1.0}, {"ts": None, "room": "b\nc", "degrees": None}])
    early = Rejected("no number", "a.csv:3", "x")
    series = sink(influx)
    with series.open("pipe") as landing:
        landed = landing.land(Batch(parts=(Part(table),), position={"next": 1}, rejected=(early,)))
        assert landed.counts == Counts(3, 1, 0, 2)
    assert series.rejected()[0] == early
    assert "needs one" in series.rejected()[1].reason
    assert "needs a time" in series.rejected()[1].reason
    assert json.loads(series.rejected()[1].raw) == {"ts": None, "room": "b\nc", "degrees": None}


def test_parts_of_other_tables_are_other_measurements(influx: Influx) -> None:
    parts = (Part(table_of(rows(1))), Part(table_of(rows(2)), table="cold", how="upsert"))
    with sink(influx).open("pipe") as landing:
        landing.land(Batch(parts=parts, position={"next": 1}))
        for how in ("delete", "truncate"):
            gone = Batch(parts=(Part(table_of(rows(2)), how=how),), position={"next": 2})  # type: ignore[arg-type]
            with pytest.raises(SchemaRefused, match="deleted"):
                landing.land(gone)
    assert {key[0] for key in influx.points} == {"heat", "cold"}


def test_a_process_that_dies_between_points_and_position_writes_the_same_points_again(
    influx: Influx, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    source = MemorySource(rows(*range(10)), rows=3)
    series = sink(influx)
    real = series._ledger.commit
    deaths = iter([False, True, False, False, True])

    def commit(*args: Any) -> None:
        if next(deaths, False):
            raise Killed
        real(*args)

    monkeypatch.setattr(series._ledger, "commit", commit)
    for _ in range(2):
        with pytest.raises(Killed):
            ingest(source, series, name="pipe")
    ingest(source, series, name="pipe")
    assert sorted(key[2] for key in influx.points) == list(range(10))
    assert sum(len(points) for _, _, points in influx.requests) > 10
    with series.open("pipe") as landing:
        assert landing.counts == Counts(10, 10)


def test_whoever_opens_it_last_goes_on_with_it(influx: Influx, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "positions.db"
    with sink(influx, positions=file).open("pipe") as first:
        first.land(batch(1))
        with sink(influx, positions=file).open("pipe") as second:
            with pytest.raises(PipeTakenOver):
                first.land(batch(2, number=2))
            assert len(influx.points) == 1
            second.land(batch(2, number=2))
            sink(influx, positions=file).forget("pipe")
            with pytest.raises(PipeTakenOver):
                second.land(batch(3, number=3))
    with sink(influx, positions=file).open("pipe") as third:
        assert (third.position, third.counts) == (None, Counts())


def test_positions_that_cannot_be_kept(influx: Influx, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SinkUnavailable, match="cannot be kept"):
        sink(influx, positions=tmp_path / "file" / "pipes.db").open("pipe")
    (tmp_path / "other").write_bytes(b"no database at all" * 100)
    with pytest.raises(SinkUnavailable, match="not a database"):
        sink(influx, positions=tmp_path / "other").open("pipe")


def test_positions_are_kept_in_the_home_folder(influx: Influx, penstock_home: Path) -> None:
    with sink(influx).open("pipe") as landing:
        landing.land(batch(1))
    assert (penstock_home / "pipes.db").is_file()


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        TimeSeries("ftp://user:hidden@host", time="ts", tags=["ts"], fields=[], precision="h", points=0)  # type: ignore[arg-type]
    for word in ("6 mistakes", "url", "measurement", "precision", "tags", "fields", "points"):
        assert word in str(told.value)
    assert "hidden" not in str(told.value)


def test_nothing_secret_is_shown(influx: Influx) -> None:
    series = sink(influx, token="topsecret", bucket="b")
    assert "topsecret" not in repr(series) + str(series.place) + repr(vars(series))
    assert str(series.place) == f"{influx.url}/b/heat"


def test_what_retry_after_may_say() -> None:
    assert retry_after("3") == 3
    assert retry_after("0.5") == 0.5
    assert retry_after("-1") == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


class TestTimeSeries(LandingDuties):
    """What every sink owes to a batch and its position; the key of a row is its time."""

    @pytest.fixture(autouse=True)
    def _influx(self, influx: Influx) -> None:
        self.influx = influx

    def make_sink(self, **options: Any) -> TimeSeries:
        return TimeSeries(self.influx.url, time="id", measurement="rows")

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        return [{"id": key[2]} | fields for key, fields in self.influx.points.items() if key[0] == table]

    def rejected(self, table: str = "rows") -> list[Rejected]:
        return self.make_sink().rejected()
