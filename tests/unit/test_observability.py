"""Metrics, and what functions and blocks need."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core.errors import ConfigurationError
from penstock.journal.memory import MemoryJournal
from penstock.observability import Measured, Registry, performance_monitor
from penstock.observability.monitoring import rows_of

MEGABYTE = 1 << 20


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_block_tells_what_it_needed(registry: Registry) -> None:
    with performance_monitor("parse", trace=True, registry=registry) as measured:
        kept = bytearray(30 * MEGABYTE)
        measured.rows = len(kept) // MEGABYTE
    assert measured.seconds > 0
    assert measured.rows_per_second == pytest.approx(30 / measured.seconds)
    assert measured.traced_bytes is not None
    assert 30 * MEGABYTE <= measured.traced_bytes < 60 * MEGABYTE
    assert measured.peak_bytes > 30 * MEGABYTE
    assert measured.told().startswith("parse: ")
    assert "30 rows (" in measured.told()
    assert registry.counter("penstock_block_rows_total", labels=["name"]).value(name="parse") == 30


def test_memory_that_is_given_back_counts() -> None:
    with performance_monitor("outer", registry=Registry()) as measured:
        some = b"x" * (200 * MEGABYTE)
        del some
    assert measured.peak_bytes >= 200 * MEGABYTE
    assert measured.grown_bytes <= measured.peak_bytes


def test_work_counts_and_waiting_does_not() -> None:
    with performance_monitor("work", registry=Registry()) as measured:
        sum(number * number for number in range(400_000))
    assert measured.cpu_seconds > 0
    with performance_monitor("wait", registry=Registry()) as waited:
        threading.Event().wait(0.05)
    assert waited.cpu_seconds < waited.seconds


def test_functions_and_the_rows_they_return(registry: Registry) -> None:
    @performance_monitor(registry=registry)
    def load(height: int) -> pl.DataFrame:
        """Loads."""
        return pl.DataFrame({"a": range(height)})

    assert load(7).height == 7
    assert load.__doc__ == "Loads."
    assert load.__name__ == "load"
    rows = registry.counter("penstock_block_rows_total", labels=["name"])
    (name,) = re.findall(r'penstock_block_rows_total\{name="([^"]*)"\} 7', registry.text())
    assert name.endswith("load")
    load(3)
    assert rows.value(name=name) == 10


def test_without_parentheses_and_async(registry: Registry) -> None:
    @performance_monitor
    def plain() -> int:
        return 3

    @performance_monitor("awaited", registry=registry)
    async def awaited(fails: bool) -> list[int]:
        await asyncio.sleep(0)
        if fails:
            raise ValueError("no")
        return [1, 2]

    async def block() -> Measured:
        async with performance_monitor("block", registry=registry) as measured:
            assert await awaited(False) == [1, 2]
        return measured

    assert plain() == 3
    assert not asyncio.run(block()).failed
    with pytest.raises(ValueError, match="no"):
        asyncio.run(awaited(True))
    assert registry.counter("penstock_block_failures_total", labels=["name"]).value(name="awaited") == 1
    assert 'penstock_block_seconds_count{name="awaited"} 2' in registry.text()
    assert 'penstock_block_rows_total{name="awaited"} 2' in registry.text()


def test_in_a_run_it_is_in_the_log_of_the_step(tmp_path: Path) -> None:
    @task
    @performance_monitor
    def load() -> list[int]:
        return [1, 2, 3]

    @flow
    def nightly() -> int:
        return len(load())

    app = Penstock(Settings(home=str(tmp_path), log_console=False), journal=MemoryJournal())
    with app.activate():
        assert nightly() == 3
    (run,) = app.journal.find("")
    (line,) = [line for line in app.journal.logs(run.id) if "load: " in line.message]
    assert line.key == "load#1"
    assert "3 rows" in line.message


@pytest.mark.parametrize(
    ("value", "rows"),
    [([1, 2], 2), ((1,), 1), (pl.DataFrame({"a": [1]}), 1), (pl.DataFrame().to_arrow(), 0), ("text", None), (7, None),
     ({"a": 1}, None), (None, None)],
    ids=["list", "tuple", "polars", "arrow", "text", "number", "mapping", "none"],
)  # fmt: skip
def test_rows_of_values(value: Any, rows: int | None) -> None:
    assert rows_of(value) == rows


def test_two_that_trace_at_once_each_tell_something() -> None:
    with performance_monitor("a", trace=True, registry=Registry()) as outer:
        with performance_monitor("b", trace=True, registry=Registry()) as inner:
            kept = bytearray(5 * MEGABYTE)
        assert kept
    assert outer.traced_bytes is not None
    assert inner.traced_bytes is not None
    assert outer.traced_bytes >= 5 * MEGABYTE


def test_the_text_for_prometheus(registry: Registry) -> None:
    registry.counter("rows_total", 'Rows "in"\nand out.', ["table"]).add(2.5, table='a"b\\c\nd')
    registry.gauge("queue").set(-3)
    times = registry.histogram("took_seconds", bounds=[1.0, 0.1])
    for seconds in (0.05, 0.1, 0.5, 7.0):
        times.observe(seconds)
    assert registry.text().splitlines() == [
        "# TYPE queue gauge",
        "queue -3",
        '# HELP rows_total Rows "in"\\nand out.',
        "# TYPE rows_total counter",
        'rows_total{table="a\\"b\\\\c\\nd"} 2.5',
        "# TYPE took_seconds histogram",
        'took_seconds_bucket{le="0.1"} 2',
        'took_seconds_bucket{le="1"} 3',
        'took_seconds_bucket{le="+Inf"} 4',
        "took_seconds_sum 7.65",
        "took_seconds_count 4",
    ]


def test_prometheus_own_parser_reads_it(registry: Registry) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    registry.counter("rows_total", "Rows.", ["table"]).add(3, table='x"\\\ny')
    registry.gauge("odd").set(float("nan"))
    registry.histogram("took", "Time.", ["name"], [0.5]).observe(0.25, name="a")
    found = {family.name: family for family in parser.text_string_to_metric_families(registry.text())}
    assert found["rows"].type == "counter"
    assert found["rows"].samples[0].labels == {"table": 'x"\\\ny'}
    assert found["rows"].samples[0].value == 3
    assert [sample.value for sample in found["took"].samples] == [1, 1, 0.25, 1]


def test_metrics_that_cannot_be(registry: Registry) -> None:
    registry.counter("a_total")
    for wrong in (
        lambda: registry.gauge("a_total"),
        lambda: registry.counter("a_total", labels=["x"]),
        lambda: registry.counter("a b"),
        lambda: registry.counter("ab", labels=["x-y"]),
        lambda: registry.counter("a_total").add(-1),
        lambda: registry.counter("a_total").add(float("nan")),
        lambda: registry.counter("a_total").add(1, x=1),
    ):
        with pytest.raises(ConfigurationError):
            wrong()
    assert registry.counter("a_total") is registry.counter("a_total")


def test_labels_without_end_do_not_fill_the_memory(registry: Registry) -> None:
    counter = registry.counter("a_total", labels=["user"])
    for number in range(10_050):
        counter.add(user=number)
    assert counter.value(user="(others)") == 50


def test_many_threads_lose_no_count(registry: Registry) -> None:
    counter = registry.counter("a_total")
    threads = [threading.Thread(target=lambda: [counter.add() for _ in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value() == 8_000


def test_generators_are_measured_to_their_end() -> None:
    registry = Registry()

    @performance_monitor("numbers", registry=registry)
    def numbers(last: int) -> Generator[int, str, str]:
        said = []
        for number in range(last):
            said.append((yield number))
        return "".join(said)

    @performance_monitor("words", registry=registry)
    async def words() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    def reads() -> Generator[int, str, None]:
        assert (yield from numbers(2)) == "xy"

    async def collected() -> list[str]:
        return [word async for word in words()]

    counted = registry.histogram("penstock_block_seconds", "", ["name"])
    reading = reads()
    assert (next(reading), reading.send("x")) == (0, 1)
    assert not [line for line in counted.lines() if 'name="numbers"' in line], "it has not ended"
    with pytest.raises(StopIteration):
        reading.send("y")
    assert 'penstock_block_seconds_count{name="numbers"} 1' in list(counted.lines())
    assert asyncio.run(collected()) == ["a", "b"]
    assert 'penstock_block_seconds_count{name="words"} 1' in list(counted.lines())
    left = numbers(5)
    next(left)
    left.close()
    assert registry.counter("penstock_block_failures_total", "", ["name"]).value(name="numbers") == 0


def test_one_monitor_in_two_threads_and_two_tasks() -> None:
    monitor = performance_monitor("both", registry=Registry())
    inside, first_ended = threading.Barrier(2), threading.Event()
    found: dict[str, Measured] = {}

    def block(name: str) -> None:
        with monitor as found[name]:
            inside.wait(30)
            found[name].rows = len(name)
            assert name == "first" or first_ended.wait(30)
        if name == "first":
            first_ended.set()

    threads = [threading.Thread(target=block, args=(name,)) for name in ("first", "the second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found["first"].rows, found["the second"].rows) == (5, 10)
    assert all(each.seconds for each in found.values()), "each was ended, and none twice"

    async def task(rows: int, before: asyncio.Event, after: asyncio.Event) -> Measured:
        async with monitor as measured:
            after.set()
            await before.wait()
            measured.rows = rows
        return measured

    async def both() -> tuple[Measured, Measured]:
        one, two = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(task(1, two, one), task(2, one, two))

    ended = asyncio.run(both())
    assert [each.rows for each in ended] == [1, 2]
    assert all(each.seconds for each in ended)


def test_rows_that_cannot_be_are_refused_where_they_are_said() -> None:
    with pytest.raises(ConfigurationError, match="whole number from 0 on"):
        performance_monitor("work", rows=-1)
    with (
        performance_monitor("work", registry=Registry()) as measured,
        pytest.raises(ConfigurationError, match="not -1"),
    ):
        measured.rows = -1
    assert measured.rows is None
