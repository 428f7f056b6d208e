"""Only what has changed since the last time is read, and nothing of it twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api_server import Api, Reply, Request, Site, api
from tests.unit.api_sites import lines_of

from penstock.connectors.http import HttpApi, Incremental, Offset
from penstock.core.errors import BadData, ConfigurationError
from penstock.core.ports.data import Batch
from penstock.testing.clock import FakeClock

START = datetime(2026, 1, 1, tzinfo=UTC)
FORMATS: dict[str, Any] = {
    "iso": lambda moment: moment.isoformat().replace("+00:00", "Z"),
    "iso with an offset": lambda moment: moment.astimezone(_east()).isoformat(),
    "iso without a zone": lambda moment: moment.replace(tzinfo=None).isoformat(sep=" "),
    "unix": lambda moment: moment.timestamp(),
    "unix_ms": lambda moment: int(moment.timestamp() * 1000),
    "day": lambda moment: moment.date().isoformat(),
    "%d.%m.%Y %H:%M": lambda moment: moment.strftime("%d.%m.%Y %H:%M"),
}


def _east() -> Any:
    from datetime import timezone

    return timezone(timedelta(hours=5, minutes=30))


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with FakeClock("2027-01-01T00:00:00").running() as fake:
        yield fake


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]


def since_site(records: list[dict[str, Any]], parse: Any, random: Random) -> Site:
    """Gives those that changed at or after `since`, in any order, page after page of a list that stands still."""

    def site(request: Request) -> Any:
        since = request.query.get("since")
        found = [record for record in records if since is None or parse(record["at"]) >= parse(since)]
        Random(len(records)).shuffle(found)
        start = int(request.query["offset"])
        return found[start : start + 5]

    return site


def _parser(form: str) -> Any:
    def parse(value: Any) -> float:
        if form in ("unix", "unix_ms"):
            return float(value)
        moment = datetime.strptime(value, form) if form.startswith("%") else datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    return parse


@settings(max_examples=20)
@given(
    form=st.sampled_from(sorted(FORMATS)),
    lookback=st.sampled_from([None, timedelta(minutes=1), timedelta(hours=3), timedelta(days=2)]),
    keyed=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_every_version_of_a_record_comes_once(
    server: Api, form: str, lookback: timedelta | None, keyed: bool, seed: int
) -> None:
    random, moment = Random(seed), START
    records: list[dict[str, Any]] = []
    versions: list[tuple[int, Any]] = []
    back = lookback or timedelta(0)
    since = Incremental(
        parameter="since", column="at", lookback=lookback, key="id" if keyed else (),
        format=form if form.startswith("%") else "",
    )  # fmt: skip
    server.site = since_site(records, _parser(form), random)
    source = HttpApi(f"{server.url}/orders", since=since, pages=Offset(limit=""), batch_rows=random.randint(1, 20))
    taken: list[dict[str, Any]] = []
    position: Any = None
    for _ in range(random.randint(1, 6)):
        for _ in range(random.randint(0, 12)):
            moment += timedelta(seconds=random.choice([0, 0, 1, 59, 4000]), milliseconds=random.choice([0, 7]))
            late = timedelta(seconds=random.randint(0, int(back.total_seconds())))
            number = random.randint(1, 30)
            at = FORMATS[form](moment - (late if records else timedelta(0)))
            if (number, at) not in versions:
                records[:] = [record for record in records if record["id"] != number]
                records.append({"id": number, "at": at})
                versions.append((number, at))
        landed = {(row["id"], row["at"]) for row in taken}
        wanted = [record for record in records if (record["id"], record["at"]) not in landed]
        got = []
        while True:
            reading = source.batches(position)
            batch = next(reading)
            reading.close()  # type: ignore[attr-defined]
            position = json.loads(json.dumps(batch.position))
            got += rows([batch])
            if batch.last:
                break
        assert sorted((row["id"], str(row["at"])) for row in got) == sorted(
            (record["id"], str(record["at"])) for record in wanted
        )
        taken += got


def ask(server: Api, source: HttpApi, position: Any = None) -> tuple[dict[str, str], list[dict[str, Any]], Any]:
    """What is asked first, what comes, and the position after it."""
    server.asked.clear()
    batches = list(source.batches(position))
    return server.asked[0].query, rows(batches), batches[-1].position


@pytest.mark.parametrize(
    ("options", "value", "first", "second"),
    [
        ({}, "2026-03-01T10:00:00Z", None, "2026-03-01T10:00:00Z"),
        ({"lookback": timedelta(hours=1)}, "2026-03-01T10:00:00Z", None, "2026-03-01T09:00:00Z"),
        ({"lookback": timedelta(hours=1)}, "2026-03-01 10:00:00.25", None, "2026-03-01 09:00:00.250000"),
        ({"lookback": timedelta(hours=1)}, "2026-03-01T10:00:00+02:00", None, "2026-03-01T09:00:00+02:00"),
        ({"lookback": timedelta(days=1), "start": date(2026, 1, 1)}, "2026-03-01", "2025-12-31", "2026-02-28"),
        ({"start": datetime(2026, 1, 1)}, "2026-03-01T10:00:00Z", "2026-01-01T00:00:00+00:00", "2026-03-01T10:00:00Z"),
        ({"format": "unix"}, "2026-03-01T10:00:00.9Z", None, "1772359200"),
        ({"format": "unix_ms"}, "2026-03-01T10:00:00.9Z", None, "1772359200900"),
        ({"format": "%d/%m/%Y"}, "2026-03-01T23:30:00-02:00", None, "02/03/2026"),
        ({"lookback": timedelta(seconds=5)}, 1772359200, None, "1772359195"),
        ({"lookback": timedelta(seconds=5)}, 1772359200000, None, "1772359195000"),
        ({"lookback": 10, "start": 0}, 500, "-10", "490"),
        ({"start": "a0"}, "a7", "a0", "a7"),
    ],
)
def test_what_is_asked_for(server: Api, options: Any, value: Any, first: str | None, second: str) -> None:
    server.site = lambda request: [{"id": 1, "at": value}]
    source = HttpApi(f"{server.url}/x", since=Incremental(parameter="since", column="at", **options))
    query, got, position = ask(server, source)
    assert query.get("since") == first
    assert [row["id"] for row in got] == [1]
    query, got, _ = ask(server, source, position)
    assert query["since"] == second
    assert got == [], "it came before"


def test_it_does_not_advance_before_the_list_has_been_read(server: Api) -> None:
    records = [{"id": number, "at": 100 - number} for number in range(20)]
    server.site = lambda request: records[int(request.query["offset"]) :][:5]
    since = Incremental(parameter="since", column="at", start=0, key="id")
    source = HttpApi(f"{server.url}/x", since=since, pages=Offset(), batch_rows=5)
    first = next(iter(source.batches(None)))
    query, got, position = ask(server, source, first.position)
    assert (query["since"], len(got)) == ("0", 15)
    assert ask(server, source, position)[0]["since"] == "100"


def test_a_value_in_the_future_is_not_believed(server: Api, caplog: pytest.LogCaptureFixture) -> None:
    records = [{"id": 1, "at": "2026-05-01T00:00:00Z"}, {"id": 2, "at": "9999-12-31T00:00:00Z"}]
    server.site = lambda request: records
    source = HttpApi(f"{server.url}/x", since=Incremental(parameter="since", column="at", key="id"))
    _, got, position = ask(server, source)
    assert len(got) == 2
    query, got, _ = ask(server, source, position)
    assert query["since"] == "2026-05-01T00:00:00Z"
    assert got == []
    assert "lie in the future" in caplog.text


def test_records_without_the_column_come_and_do_not_count(server: Api) -> None:
    server.site = lambda request: [{"id": 1, "at": None}, {"id": 2, "at": 7}, {"id": 3}, {"id": 4, "at": "n/a"}]
    source = HttpApi(f"{server.url}/x", since=Incremental(parameter="since", column="at"))
    _, got, position = ask(server, source)
    assert len(got) == 4
    assert ask(server, source, position)[0]["since"] == "7"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": 1}, "at is nowhere"),
        ({"at": {"x": 1}}, "an object with x"),
        ({"at": "12/31/2025"}, "nothing that sorts"),
    ],
)
def test_a_column_that_cannot_be_followed_is_an_error(server: Api, record: Any, message: str) -> None:
    server.site = lambda request: [record]
    source = HttpApi(f"{server.url}/x", since=Incremental(parameter="since", column="at"))
    with pytest.raises(BadData, match=message):
        ask(server, source)


def test_a_lookback_that_is_none_for_times_is_an_error(server: Api) -> None:
    server.site = lambda request: [{"id": 1, "at": "2026-01-01T00:00:00Z"}]
    source = HttpApi(f"{server.url}/x", since=Incremental(parameter="since", column="at", lookback=60))
    with pytest.raises(ConfigurationError, match="give a timedelta"):
        ask(server, source)


def test_too_many_at_one_moment_is_an_error_that_tells_what_to_do(server: Api) -> None:
    server.site = lambda request: [{"id": number, "at": 5} for number in range(30)]
    since = {"parameter": "since", "column": "at", "key": "id"}
    source = HttpApi(f"{server.url}/x", since=Incremental(**since, remember=29))  # type: ignore[arg-type]
    with pytest.raises(BadData, match="remember=0"):
        ask(server, source)
    source = HttpApi(f"{server.url}/x", since=Incremental(**since, remember=0))  # type: ignore[arg-type]
    _, _, position = ask(server, source)
    assert len(ask(server, source, position)[1]) == 30


def test_each_set_of_parameters_advances_by_itself(server: Api) -> None:
    server.site = lambda request: [{"id": 1, "at": 10 if request.query["shop"] == "a" else 90}]
    sets = [{"shop": "a"}, {"shop": "b"}]
    source = HttpApi(f"{server.url}/x", parameters=sets, since=Incremental(parameter="since", column="at", key="id"))
    _, got, position = ask(server, source)
    assert len(got) == 2
    ask(server, source, position)
    assert [request.query["since"] for request in server.asked] == ["10", "90"]


EDITION = [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("header", ["ETag", "Last-Modified", ""])
def test_what_has_not_changed_is_not_read_again(server: Api, header: str) -> None:
    value = {"ETag": '"v1"', "Last-Modified": "Sat, 03 Jan 2026 00:00:00 GMT"}.get(header, "")
    records = list(EDITION)

    def site(request: Request) -> Any:
        told = request.headers.get("if-none-match") or request.headers.get("if-modified-since")
        if value and told == value:
            return Reply(b"", status=304)
        return Reply(list(records), headers={header: value} if header else {})

    server.site = site
    source = HttpApi(f"{server.url}/x")
    _, got, position = ask(server, source)
    assert got == EDITION
    _, got, same = ask(server, source, position)
    assert got == []
    assert same == position
    records.append({"id": 3})
    value = '"v2"'
    assert ask(server, source, position)[1] == records


def test_again_reads_everything_again(server: Api) -> None:
    server.site = lambda request: EDITION[int(request.query.get("offset", 0)) :][:1]
    once = HttpApi(f"{server.url}/x", pages=Offset())
    position = list(once.batches(None))[-1].position
    server.asked.clear()
    assert rows(list(once.batches(position))) == []
    assert server.asked == []
    again = HttpApi(f"{server.url}/x", pages=Offset(), again=True)
    assert rows(list(again.batches(position))) == EDITION


def test_lines_that_were_added_are_read_and_a_new_file_is_read_from_its_beginning(server: Api) -> None:
    records = [{"id": number} for number in range(5)]
    server.site = lambda request: Reply(lines_of(records))
    source = HttpApi(f"{server.url}/x", format="ndjson")
    position = list(source.batches(None))[-1].position
    records.append({"id": 5})
    _, got, position = ask(server, source, position)
    assert got == [{"id": 5}]
    records[:] = [{"id": 70}]
    assert ask(server, source, position)[1] == [{"id": 70}]
