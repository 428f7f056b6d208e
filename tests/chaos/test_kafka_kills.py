"""A process between two topics is killed again and again, and so is the broker: each message lands once, in order."""
# ruff: noqa: F401, F811 - a fixture is imported

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.conftest import missing
from tests.integration.kafka_lab import Lab, lab

from penstock.connectors.kafka import Kafka, KafkaSink, KafkaTopic
from penstock.core.errors import SourceUnavailable
from penstock.core.ports.data import Counts
from penstock.data import ingest

pytestmark = [pytest.mark.chaos, pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = 4000
KEYS = 50


def test_each_message_lands_once_whoever_is_killed_when(lab: Lab) -> None:
    source, target, control = lab.topic(3), lab.topic(2), f"test-pipes-{uuid4().hex}"
    values = [{"id": number % KEYS, "n": number} if number % 97 else b"poison" for number in range(MESSAGES)]
    lab.put(source, values, key=lambda place: str(place % KEYS))
    moments = random.Random(4)
    kills = 0
    for _ in range(6):
        process = _worker(lab.brokers, source, target, control)
        assert process.stdout is not None
        for line, _ in zip(process.stdout, range(moments.randint(1, 12)), strict=False):
            assert int(line)
        time.sleep(moments.random() * 0.02)  # anywhere between two commits
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
    last = _worker(lab.brokers, source, target, control)
    assert last.communicate(timeout=100)[0] is not None
    assert last.returncode == 0
    assert kills >= 4, "most were killed in the middle"
    _landed_once(lab, target, values)
    with KafkaSink(lab.kafka, target, control=control).open("pipe") as landing:
        bad = sum(value == b"poison" for value in values)
        assert landing.counts == Counts(MESSAGES, MESSAGES - bad, 0, bad)
    assert len(lab.messages(f"{target}.rejected")) == bad


def _worker(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chaos.kafka_worker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _landed_once(lab: Lab, target: str, values: list[object]) -> None:
    rows = [json.loads(message.value()) for message in lab.messages(target)]
    assert sorted(row["n"] for row in rows) == [value["n"] for value in values if isinstance(value, dict)]
    last: dict[int, int] = {}
    for row in rows:
        assert row["n"] > last.get(row["id"], -1), "messages with one key keep their order"
        last[row["id"]] = row["n"]


class Broker:
    """A broker of the test's own, to stop and to kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environ = {**os.environ, "PENSTOCK_SERVICES_DIR": str(folder), "PENSTOCK_SERVICES_ONLY": "kafka"}
        self._environ.pop("PENSTOCK_TEST_KAFKA_URL", None)

    def services(self, *words: str) -> None:
        command = [str(ROOT / "scripts" / "services"), *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False, timeout=110)
        assert done.returncode == 0, done.stderr

    def up(self) -> str:
        self.services("up")
        if not (self.folder / "kafka" / "pid").is_file():
            missing("no Kafka broker of the test's own could be started here")
        return (self.folder / "kafka.url").read_text().strip()

    def kill(self) -> None:
        os.kill(int((self.folder / "kafka" / "pid").read_text()), signal.SIGKILL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "kafka-services")
    yield broker
    broker.services("down", "--purge")


@pytest.mark.slow
def test_the_broker_goes_away_and_comes_back(broker: Broker) -> None:
    lab = Lab(broker.up())
    source, target = lab.topic(3), lab.topic(1)
    stop = threading.Event()
    seen: list[int] = []
    errors: list[BaseException] = []

    def pipe() -> None:
        kafka = Kafka(lab.brokers, patience_seconds=100)
        topic = KafkaTopic(kafka, source, follow=True, batch_seconds=0.05, batch_rows=50, metadata=False)
        try:
            with topic:
                sink = KafkaSink(kafka, target, key="id")
                ingest(topic, sink, name="pipe", stop=stop, on_progress=lambda done: seen.append(done.counts.read))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=pipe)
    thread.start()
    values: list[object] = []
    for end in (broker.kill, lambda: broker.services("down"), broker.kill):
        some = [{"id": number % KEYS, "n": number} for number in range(len(values), len(values) + 500)]
        lab.put(source, some, key=lambda place: str(place % KEYS))
        values += some
        deadline = time.monotonic() + 60
        while sum(seen[-1:]) < len(values) - 250 and not errors and time.monotonic() < deadline:
            time.sleep(0.01)
        end()
        assert broker.up() == lab.brokers
    deadline = time.monotonic() + 100
    while sum(seen[-1:]) < len(values) and not errors and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join()
    assert not errors
    _landed_once(lab, target, values)


@pytest.mark.slow
def test_a_broker_that_stays_away(broker: Broker) -> None:
    lab = Lab(broker.up())
    topic = lab.topic()
    lab.put(topic, [{"id": 1}])
    reading = KafkaTopic(Kafka(lab.brokers, patience_seconds=2), topic, follow=True, batch_seconds=0.1).batches(None)
    while not next(reading).parts:
        pass
    broker.services("down")
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        for _ in reading:
            pass
