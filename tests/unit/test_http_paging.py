"""Every item comes once: for any list, page size and way of paging, whatever breaks, wherever reading is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api_server import Api, Reply, Request, Site, api
from tests.unit.api_sites import PAGED, WAYS

from penstock.connectors.http import (
    Cursor,
    HttpApi,
    Incremental,
    LinkHeader,
    NextUrl,
    Offset,
    Page,
    Retries,
    Timeouts,
)  # fmt: skip
from penstock.connectors.http.guards import Guard
from penstock.connectors.http.links import links
from penstock.core.errors import SourceChanged, SourceUnavailable
from penstock.core.ports.data import Batch
from penstock.testing.clock import FakeClock


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with FakeClock().running() as fake:
        yield fake


def ids(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for part in batch.parts for number in part.rows["id"].to_pylist()]


def faulty(site: Site, random: Random, share: float) -> Site:
    """The same site, which breaks something now and then; never more than twice in a row."""
    in_a_row = [0]

    def other(request: Request) -> Any:
        if random.random() >= share or in_a_row[0] >= 2:
            in_a_row[0] = 0
            return site(request)
        in_a_row[0] += 1
        answer = site(request)
        good = answer if isinstance(answer, Reply) else Reply(answer)
        length = len(good.content)
        faults = [
            Reply({"message": "busy"}, status=503, headers={"Retry-After": "7"}),
            Reply(b"", status=500),
            Reply({"error": "slow down"}, status=429),
            Reply(b"<html>bad gateway</html>", status=502, headers={"Content-Type": "text/html"}),
            Reply(good.body, headers=good.headers, cut=random.randint(0, max(length - 1, 0)), length=length),
            Reply(good.body, headers=good.headers, raw=b""),
        ]
        return random.choice(faults)

    return other


@settings(max_examples=60)
@given(
    way=st.sampled_from(sorted(WAYS)),
    count=st.integers(0, 45),
    size=st.integers(1, 12),
    batch=st.integers(1, 30),
    ahead=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.3, 0.6]),
    seed=st.integers(0, 1 << 30),
)
def test_every_item_comes_once_whatever_breaks(
    server: Api, way: str, count: int, size: int, batch: int, ahead: int, share: float, seed: int
) -> None:
    random = Random(seed)
    rows = [{"id": number, "name": f"n{number}"} for number in range(count)]
    site, options = WAYS[way](rows, size)
    server.site = faulty(site, random, share)
    taken: list[Batch] = []
    position = None
    with HttpApi(f"{server.url}/orders", batch_rows=batch, ahead=ahead, retries=Retries(times=9), **options) as source:
        while not taken or not taken[-1].last:
            reading = source.batches(position)
            for _ in range(random.randint(1, 4)):
                taken.append(next(reading))
                if taken[-1].last:
                    break
            reading.close()  # type: ignore[attr-defined]
            position = json.loads(json.dumps(taken[-1].position))
        again = list(source.batches(position))
    assert ids(taken) == list(range(count))
    assert ids(again) == []


@pytest.mark.parametrize("way", sorted(PAGED))
def test_a_page_that_landed_is_not_fetched_again(server: Api, way: str) -> None:
    rows = [{"id": number} for number in range(30)]
    server.site, options = PAGED[way](rows, 10)
    with HttpApi(f"{server.url}/orders", batch_rows=10, ahead=0, **options) as source:
        first = next(iter(source.batches(None)))
        server.asked.clear()
        rest = list(source.batches(first.position))
    assert ids(rest) == list(range(10, 30))
    assert len(server.asked) <= 3


def test_pages_of_a_known_total_are_fetched_ahead_and_only_so_many(server: Api) -> None:
    rows = [{"id": number} for number in range(1000)]
    server.site, options = PAGED["offset with total"](rows, 10)
    server.asked.clear()
    with HttpApi(f"{server.url}/orders", batch_rows=10, ahead=3, **options) as source:
        reading = iter(source.batches(None))
        next(reading)
        reading.close()  # type: ignore[attr-defined]
        asked = len(server.asked)
        assert ids(list(source.batches(None))) == list(range(1000))
    assert 1 <= asked <= 4


def test_a_wrong_total_and_pages_of_any_size_lose_nothing(server: Api) -> None:
    rows = [{"id": number} for number in range(40)]

    def site(request: Request) -> Any:
        start = int(request.query["offset"])
        return {"rows": rows[start : start + 3 + start % 5], "total": 4000}

    server.site = site
    paging = Offset(per_page=10)
    with HttpApi(f"{server.url}/orders", records="rows", total="total", pages=paging) as source:
        assert ids(list(source.batches(None))) == list(range(40))


def test_a_total_that_is_too_small_is_not_believed(server: Api) -> None:
    rows = [{"id": number} for number in range(40)]
    server.site = lambda request: {"rows": rows[int(request.query["offset"]) :][:7], "total": 5}
    with HttpApi(f"{server.url}/orders", records="rows", total="total", pages=Offset()) as source:
        assert ids(list(source.batches(None))) == list(range(40))


def test_a_server_that_refuses_what_is_behind_its_last_page(server: Api) -> None:
    def site(request: Request) -> Any:
        pages = {"1": [{"id": 1}], "2": [{"id": 2}]}
        page = pages.get(request.query["page"])
        return {"rows": page, "count": 2} if page else Reply({"detail": "Invalid page."}, status=404)

    server.site = site
    blind = HttpApi(f"{server.url}/orders", records="rows", pages=Page())
    with pytest.raises(SourceUnavailable, match=r"404 \(Invalid page\.\)(.|\n)*total="):
        list(blind.batches(None))
    with HttpApi(f"{server.url}/orders", records="rows", pages=Page(), total="count") as source:
        assert ids(list(source.batches(None))) == [1, 2]


def test_several_parameters_are_read_one_after_another(server: Api) -> None:
    def site(request: Request) -> Any:
        shop, start = int(request.query["shop"]), int(request.query["offset"])
        return [{"id": shop * 100 + number} for number in range(25)][start : start + 10]

    server.site = site
    sets = [{"shop": shop, "kind": ["a", "b"], "none": None} for shop in (1, 2, 3)]
    wanted = [shop * 100 + number for shop in (1, 2, 3) for number in range(25)]
    with HttpApi(f"{server.url}/orders", parameters=sets, pages=Offset(), batch_rows=10) as source:
        batches = list(source.batches(None))
        assert ids(batches) == wanted
        for place, batch in enumerate(batches):
            assert ids([*batches[: place + 1], *source.batches(batch.position)]) == wanted
    changed = HttpApi(f"{server.url}/orders", parameters=[{"shop": 9}], pages=Offset())
    with pytest.raises(SourceChanged, match="parameters or the paging"):
        list(changed.batches(batches[0].position))


ENDLESS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "the parameter is not known": ([{"id": 1}, {"id": 2}], {"pages": Page()}, "same records as the page before"),
    "offset is not known": ([{"id": 1}], {"pages": Offset()}, "same records as the page before"),
    "the same cursor": ({"r": [], "c": "x"}, {"records": "r", "pages": Cursor(path="c")}, "read already"),
    "the same URL": ({"r": [], "c": "/orders"}, {"records": "r", "pages": NextUrl("c")}, "read already"),
    "the same link": (
        Reply([], headers={"Link": '<?a=1>; rel="next"'}), {"pages": LinkHeader()}, "read already",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", sorted(ENDLESS))
def test_paging_that_would_never_end_is_an_error(server: Api, which: str) -> None:
    answer, options, message = ENDLESS[which]
    server.site = lambda request: answer
    with HttpApi(f"{server.url}/orders", **options) as source, pytest.raises(SourceUnavailable, match=message):
        list(source.batches(None))


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 10))
def test_a_cycle_of_cursors_is_found_by_whatever_process(cycle: int, before: int, kill: int) -> None:
    def pages() -> None:
        guard = Guard(None, 1 << 30, "error")
        for step in range(3 * (before + cycle) + 3):
            guard.read("page", str(step).encode())
            guard.next("page", str(step if step < before else before + (step - before) % cycle))
            if step % kill == 0:
                guard = Guard(json.loads(json.dumps(guard.kept())), 1 << 30, "error")

    with pytest.raises(SourceUnavailable, match="read already"):
        pages()


def test_cursors_that_are_always_new_end_at_max_pages(server: Api) -> None:
    server.site = lambda request: {"r": [{"id": len(server.asked)}], "c": str(len(server.asked))}
    paging = Cursor(path="c")
    with HttpApi(f"{server.url}/orders", records="r", pages=paging, max_pages=20, batch_rows=5) as source:
        taken: list[Batch] = []
        with pytest.raises(SourceUnavailable, match="max_pages=20"):
            taken.extend(source.batches(None))
        assert len(ids(taken)) >= 15


def test_empty_pages_without_an_end_are_an_error(server: Api) -> None:
    server.site = lambda request: {"r": [], "c": str(len(server.asked))}
    with (
        HttpApi(f"{server.url}/orders", records="r", pages=Cursor(path="c")) as source,
        pytest.raises(SourceUnavailable, match="without a record"),
    ):
        list(source.batches(None))


def test_a_repeated_page_may_be_the_end_or_nothing_special(server: Api) -> None:
    rows = [[{"id": 1}], [{"id": 2}], [{"id": 2}], []]
    server.site = lambda request: rows[min(int(request.query["page"]), 3 if allow else 2) - (0 if allow else 1)]
    allow = False
    with HttpApi(f"{server.url}/orders", pages=Page(), repeated="end") as source:
        assert ids(list(source.batches(None))) == [1, 2]
    allow = True
    with HttpApi(f"{server.url}/orders", pages=Page(start=0), repeated="allow") as source:
        assert ids(list(source.batches(None))) == [1, 2, 2]


def test_a_cursor_that_the_server_has_forgotten_is_said_to_be(server: Api) -> None:
    rows = [{"id": number} for number in range(30)]
    server.site, options = PAGED["cursor"](rows, 10)
    with HttpApi(f"{server.url}/orders", batch_rows=10, **options) as source:
        first = next(iter(source.batches(None)))
        server.site = lambda request: Reply({"error": "cursor expired"}, status=410)
        with pytest.raises(SourceChanged, match=r"cursor expired(.|\n)*restart=True"):
            list(source.batches(first.position))


def test_a_total_that_was_not_reached_is_told(server: Api, caplog: pytest.LogCaptureFixture) -> None:
    server.site = lambda request: {"rows": [{"id": 1}], "total": 3, "next": None}
    with HttpApi(f"{server.url}/orders", records="rows", total="total", pages=NextUrl()) as source:
        assert source.size(None).rows == 3
        server.asked.clear()
        assert ids(list(source.batches(None))) == [1]
    assert server.asked == [], "the page that was fetched for the size is used"
    assert "told of 3 records, and the list ended after 1" in caplog.text


def test_position_is_small_and_has_no_key(server: Api) -> None:
    from penstock.connectors.http import ApiKey

    def site(request: Request) -> Any:
        start = int(request.query.get("from", 0))
        assert request.query["key"] == "s3cret-key"
        here = f"{request.url}/orders?key=s3cret-key&from={start + 1}"
        return {"rows": [{"id": start}], "next": here if start < 9 else None}

    server.site = site
    auth = ApiKey("s3cret-key", query="key")
    with HttpApi(f"{server.url}/orders", records="rows", pages=NextUrl(), auth=auth, batch_rows=1) as source:
        batches = list(source.batches(None))
    assert ids(batches) == list(range(10))
    texts = [json.dumps(batch.position) for batch in batches]
    assert not any("s3cret" in text for text in texts)
    assert max(map(len, texts)) < 500
    assert all("from=" in text for text in texts[:-2])


def test_links_of_a_header() -> None:
    assert links('<https://a/?x=1,2>; rel="prev next", </b>;rel=last;title="a, <b>; rel=no"') == {
        "prev": "https://a/?x=1,2",
        "next": "https://a/?x=1,2",
        "last": "/b",
    }
    assert links("") == links("nonsense; rel=next") == links("<a>") == {}


def test_timeouts_and_since_are_part_of_the_arguments() -> None:
    source = HttpApi(
        "https://api.example/x", timeouts=Timeouts(total=None), since=Incremental(parameter="a", column="b")
    )
    assert str(source.place) == "https://api.example/x"
