"""A lake on a real S3 store: Ceph's radosgw, started for these tests."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import service_url
from tests.integration.buckets import Bucket
from tests.unit.test_lake import InTheLake, batch, ids, people

from penstock.core.errors import PenstockError, PipeTakenOver
from penstock.core.ports.data import Counts
from penstock.stores.lake import Lake
from penstock.testing import MergeConformance, SinkConformance

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
SERVICES = Path(__file__).resolve().parents[2] / "scripts" / "services"


@pytest.fixture(scope="session")
def ceph() -> str:
    """Starting it takes a while, so that nobody does it who does not ask."""
    if not os.environ.get("PENSTOCK_TEST_CEPH_URL"):
        only = {**os.environ, "PENSTOCK_SERVICES_ONLY": "ceph"}
        subprocess.run([SERVICES, "up"], env=only, check=False, capture_output=True, timeout=800)
    return service_url("ceph")


@pytest.fixture
def bucket(ceph: str) -> Iterator[Bucket]:
    made = Bucket(ceph)
    yield made
    made.remove()


@pytest.fixture
def lake(bucket: Bucket) -> Lake:
    return bucket.lake()


class TestTable(InTheLake, SinkConformance):
    pass


class TestMerging(InTheLake, MergeConformance):
    pass


def together(count: int, work: Any) -> list[Any]:
    """What each of the threads returned or raised; they begin at the same moment."""
    results: list[Any] = []
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            results.append(work(number))
        except PenstockError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_many_pipes_into_one_table_at_once(bucket: Bucket, mode: str) -> None:
    keys = ["id"] if mode == "merge" else []

    def bring(pipe: int) -> Counts:
        with bucket.lake().table("raw/rows", mode=mode, keys=keys).open(f"pipe {pipe}") as landing:  # type: ignore[arg-type]
            for number in range(5):
                landing.land(batch(people(pipe * 100 + number), number))
            return landing.counts

    assert together(4, bring) == [Counts(5, 5)] * 4
    assert ids(bucket.lake()) == sorted(pipe * 100 + number for pipe in range(4) for number in range(5))


def test_one_pipe_that_many_open_at_once(bucket: Bucket) -> None:
    """However often it changes hands, each record is there once."""

    def bring(_: int) -> str:
        with bucket.lake().table("raw/rows").open("pipe") as landing:
            while (landing.position or {"next": 0})["next"] < 12:
                number = (landing.position or {"next": 0})["next"]
                landing.land(batch(people(number), number + 1))
        return "done"

    ended = together(4, bring)
    assert all(one == "done" or isinstance(one, PipeTakenOver) for one in ended), ended
    assert "done" in ended
    assert ids(bucket.lake()) == list(range(12))
