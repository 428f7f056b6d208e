"""A reading that waits for minutes ends when nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.api_server import Reply, Request, api

from penstock.connectors.http import HttpApi
from penstock.core.errors import SinkUnavailable, SourceUnavailable
from penstock.core.ports.data import Batch, Landed, Landing, Position
from penstock.data import ingest
from penstock.testing import MemorySink, MemorySource

_MINUTES = 300.0

pytestmark = pytest.mark.timeout(60)


class Waiting(MemorySource):
    """Hands out one batch, and waits before the next one."""

    def __init__(self) -> None:
        super().__init__([{"id": 1}, {"id": 2}], rows=1)
        self.waits, self.unwanted = threading.Event(), threading.Event()

    def batches(self, position: Position | None) -> Iterator[Batch]:
        every = super().batches(position)
        yield next(every)
        self.waits.set()
        if self.unwanted.wait(_MINUTES):
            raise SourceUnavailable("It was interrupted.")
        yield from every

    def interrupt(self) -> None:
        self.unwanted.set()


class Full(MemorySink):
    def open(self, pipe: str) -> Landing:
        landing = super().open(pipe)

        def refuse(batch: Batch) -> Landed:
            raise SinkUnavailable("The disk is full.")

        landing.land = refuse  # type: ignore[method-assign]
        return landing


def test_who_is_told_to_stop_ends_a_reading_that_waits() -> None:
    source, stop = Waiting(), threading.Event()

    def tell() -> None:
        source.waits.wait()
        stop.set()

    threading.Thread(target=tell).start()
    done = ingest(source, MemorySink(), name="a", stop=stop)
    assert done.counts.landed == 1


def test_a_sink_that_fails_ends_a_reading_that_waits() -> None:
    source = Waiting()
    with pytest.raises(SinkUnavailable):
        ingest(source, Full(), name="a")
    assert source.unwanted.is_set()


def test_an_api_that_has_us_wait_is_left() -> None:
    asked = threading.Event()

    def site(request: Request) -> Any:
        asked.set()
        return Reply(b"", status=429, headers={"Retry-After": str(int(_MINUTES))})

    stop = threading.Event()

    def tell() -> None:
        asked.wait()
        stop.set()

    threading.Thread(target=tell).start()
    with api(site) as server, HttpApi(f"{server.url}/x") as source:
        done = ingest(source, MemorySink(), name="a", stop=stop)
    assert done.counts.read == 0
