"""Several processes share a topic as a consumer group, on a real broker."""
# ruff: noqa: F401, F811 - fixtures are imported

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from tests.integration.kafka_lab import Lab, lab
from tests.patience import until

from penstock.connectors.kafka import KafkaSink, KafkaTopic, share
from penstock.core.errors import ConfigurationError, PipeTakenOver, SourceChanged, SourceUnavailable
from penstock.core.ports.data import Counts
from penstock.testing.data_memory import MemorySink

pytestmark = pytest.mark.integration


class Member:
    """A process of the group; a thread stands for it."""

    def __init__(self, lab: Lab, source: str, target: str, control: str) -> None:
        self.stop = threading.Event()
        self.pipes: dict[str, int] = {}
        self.counts = Counts()
        self.error: BaseException | None = None
        self._topic = KafkaTopic(lab.kafka, source, group="g", batch_seconds=0.05, batch_rows=30, metadata=False)
        self._sink = KafkaSink(lab.kafka, target, key="id", control=control)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.counts = share(self._topic, self._sink, name="pipe", stop=self.stop, on_landed=self._landed)
        except BaseException as error:
            self.error = error

    def _landed(self, pipe: str, landed: Any) -> None:
        self.pipes[pipe] = self.pipes.get(pipe, 0) + landed.counts.read

    def end(self) -> None:
        self.stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error


def test_members_come_and_go_and_each_message_lands_once(lab: Lab) -> None:
    source, target, control = lab.topic(4), lab.topic(1), f"test-pipes-{uuid4().hex}"
    sent = 0

    def send() -> int:
        nonlocal sent
        lab.put(
            source,
            [{"id": number % 20, "n": number} for number in range(sent, sent + 400)],
            key=lambda at: str(at % 20),
        )
        sent += 400
        return sent

    def landed(*members: Member) -> int:
        assert all(member.error is None for member in members), [member.error for member in members]
        return sum(sum(member.pipes.values()) for member in members)

    send()
    first = Member(lab, source, target, control)
    until(lambda: landed(first) == sent)
    assert len(first.pipes) == 4
    second = Member(lab, source, target, control)
    until(lambda: bool(send() and second.pipes))
    until(lambda: landed(first, second) == sent)
    assert 1 <= len(second.pipes) <= 3
    first.end()
    send()
    until(lambda: landed(first, second) == sent)
    second.end()
    assert len(second.pipes) == 4
    assert first.counts + second.counts == Counts(sent, sent)
    rows = [json.loads(message.value()) for message in lab.messages(target)]
    assert sorted(row["n"] for row in rows) == list(range(sent))
    last: dict[int, int] = {}
    for row in rows:
        assert row["n"] > last.get(row["id"], -1), "messages with one key keep their order"
        last[row["id"]] = row["n"]


def test_one_that_has_lost_its_pipe_without_noticing_writes_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "penstock.kafka")
    source, target, control = lab.topic(1), lab.topic(1), f"test-pipes-{uuid4().hex}"
    lab.put(source, [{"id": 1}])
    member = Member(lab, source, target, control)
    until(lambda: bool(member.pipes))
    KafkaSink(lab.kafka, target, control=control).open("pipe/0").close()
    lab.put(source, [{"id": 2}])
    until(lambda: "another process has it now" in caplog.text)
    member.end()
    assert [json.loads(message.value()) for message in lab.messages(target)] == [{"id": 1}]
    assert member.counts == Counts(1, 1)


def test_a_pipe_that_somebody_outside_the_group_keeps(lab: Lab) -> None:
    source, target, control = lab.topic(1), lab.topic(1), f"test-pipes-{uuid4().hex}"
    lab.put(source, [{"id": 1}])
    member = Member(Lab(lab.brokers, patience_seconds=3), source, target, control)
    until(lambda: bool(member.pipes))
    with KafkaSink(lab.kafka, target, control=control).open("pipe/0"):
        lab.put(source, [{"id": 2}])
        until(lambda: member.error is not None)
    with pytest.raises(PipeTakenOver, match="outside the group"):
        member.end()


def test_what_cannot_be_shared(lab: Lab) -> None:
    with pytest.raises(ConfigurationError, match="group="):
        share(KafkaTopic(lab.kafka, "orders"), MemorySink())
    topic = lab.topic()
    lab.put(topic, [{"id": 1}])
    sink = MemorySink()
    stop = threading.Event()
    share(
        KafkaTopic(lab.kafka, topic, group="g", batch_seconds=0.05),
        sink,
        name="p",
        stop=stop,
        on_landed=lambda *_: stop.set(),
    )
    lab.put(topic, [{"id": 2}, {"id": 3}])
    lab.purge(topic, 2)
    with pytest.raises(SourceChanged, match="deleted before they were read"):
        share(KafkaTopic(lab.kafka, topic, group="g"), sink, name="p")
    with pytest.raises(SourceUnavailable):
        share(KafkaTopic(lab.kafka, "no-such-topic", group="g"), sink)
