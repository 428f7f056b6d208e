"""Messages of some partitions, from an offset on, up to an offset or for ever."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from penstock.connectors.kafka.cluster import Kafka, log
from penstock.connectors.kafka.driver import ck
from penstock.core.errors import SourceUnavailable

_CHUNK = 10_000
_LOOK_SECONDS = 0.25
_QUEUE_MS = 20  # the driver's own second of rest when its queue is full costs two thirds of the speed
_END_SECONDS = 0.05  # the driver waits for as many messages as it was asked for, even behind the last one
_END_MS = 20  # a broker that has nothing more says so after this time


class OffsetGone(Exception):
    """The broker does not have the offset that was to be read next."""


class TopicGone(Exception):
    """The broker does not know the topic (any more)."""


class Reader:
    """Reads partitions that were assigned by hand: no group decides about them.

    Transactions are respected: what was aborted is not seen, what is not committed yet is not seen yet.

    Attributes:
        offsets: of each partition, the next one to read. Everything before has been handed out, or was never a record.
        ends: of each partition, where to stop; empty for a reader that goes on for ever.

    Args:
        kafka: how the cluster is reached.
        topic: its name.
        offsets: where to begin.
        ends: where to stop, at offsets that were there when they were asked for; None to follow.
        group: what the cluster sees as the reader's group.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        offsets: Mapping[int, int],
        *,
        ends: Mapping[int, int] | None = None,
        group: str = "penstock",
    ) -> None:
        self.offsets = dict(offsets)
        self.ends = dict(ends or {})
        self._follows = ends is None
        self._kafka, self._topic = kafka, topic
        self._left = {number for number, offset in offsets.items() if self._follows or offset < self.ends[number]}
        self._size = 256  # bytes of a message, as seen so far
        self._heard = time.monotonic()
        self._down: str | None = None
        self._consumer: Any = None
        if self._left:
            self._consumer = kafka.make(
                ck.Consumer,
                kafka.config(
                    group_id=group,
                    enable_auto_commit=False,
                    enable_auto_offset_store=False,
                    enable_partition_eof=True,
                    auto_offset_reset="error",
                    isolation_level="read_committed",
                    fetch_queue_backoff_ms=_QUEUE_MS,
                    fetch_wait_max_ms=500 if self._follows else _END_MS,
                )
                | {"error_cb": self._on_error},
            )
            self._consumer.assign([self._place(number) for number in sorted(self._left)])

    @property
    def finished(self) -> bool:
        """Everything up to the ends has been handed out."""
        return not self._left

    @property
    def down(self) -> bool:
        """The cluster has not been heard of since it went away."""
        return self._down is not None

    def add(self, offsets: Mapping[int, int]) -> None:
        """Read more partitions."""
        self.offsets |= offsets
        self._left |= set(offsets)
        self._consumer.incremental_assign([self._place(number) for number in sorted(offsets)])

    def take(self, rows: int, size: int, seconds: float) -> tuple[list[Any], int]:
        """Messages until there are so many, or so many bytes, or so much time has passed, or the ends are reached.

        Returns:
            The messages, and their bytes.

        Raises:
            OffsetGone: what was to come next has been deleted.
            TopicGone: there is no such topic.
            SourceUnavailable: nothing was heard of the cluster for too long.
        """
        deadline = time.monotonic() + seconds
        found: list[Any] = []
        read = 0
        while self._left and len(found) < rows and read < size:
            wait = deadline - time.monotonic()
            if wait <= 0:
                break
            look = _LOOK_SECONDS if self._follows else _END_SECONDS
            chunk = self._chunk(min(rows - len(found), (size - read) // self._size + 1), min(wait, look))
            if chunk:
                taken = sum(map(len, chunk))
                self._size = max(taken // len(chunk), 1)
                found += chunk
                read += taken
        return found, read

    def close(self) -> None:
        """Let go of the connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _place(self, number: int) -> Any:
        return ck.TopicPartition(self._topic, number, self.offsets[number])

    def _chunk(self, most: int, wait: float) -> list[Any]:
        """The next messages that count. What comes beyond an end, and what is no message, is taken out."""
        if not self._follows:
            most = min(most, sum(self.ends[number] - self.offsets[number] for number in self._left))
        messages: list[Any] = self._consumer.consume(max(min(most, _CHUNK), 1), wait)
        if not messages:
            self._check_patience()
            return []
        self._heard, self._down = time.monotonic(), None
        notices = [message for message in messages if message.error() is not None]
        if notices:
            messages = [message for message in messages if message.error() is None]
        latest = {message.partition(): message.offset() for message in messages}
        for number, offset in latest.items():
            self.offsets[number] = max(self.offsets[number], offset + 1)
        for notice in notices:
            self._on_notice(notice)
        if self._follows:
            return messages
        if any(offset >= self.ends[number] for number, offset in latest.items()):
            messages = [one for one in messages if one.offset() < self.ends[one.partition()]]
        self._stop_at_ends()
        return messages

    def _stop_at_ends(self) -> None:
        reached = {number for number in self._left if self.offsets[number] >= self.ends[number]}
        if not reached:
            return
        for number in reached:
            self.offsets[number] = self.ends[number]
        self._left -= reached
        self._consumer.incremental_unassign([ck.TopicPartition(self._topic, number) for number in sorted(reached)])

    def _on_notice(self, notice: Any) -> None:
        error = notice.error()
        code = error.code()
        if code == ck.KafkaError._PARTITION_EOF:
            number = notice.partition()
            self.offsets[number] = max(self.offsets[number], notice.offset())
        elif code in (ck.KafkaError._AUTO_OFFSET_RESET, ck.KafkaError.OFFSET_OUT_OF_RANGE):
            raise OffsetGone(error.str())
        elif code in _GONE():
            raise TopicGone(error.str())
        elif error.fatal() or code in _REFUSALS():
            raise SourceUnavailable(f"Kafka at {self._kafka.brokers} refuses: {self._kafka.told(error)}.")
        else:
            log.warning("%s: %s", self._topic, self._kafka.told(error))

    def _on_error(self, error: Any) -> None:
        """Called by the driver while it is asked for messages; it tries again by itself."""
        if error.code() in (ck.KafkaError._ALL_BROKERS_DOWN, *_REFUSALS()):
            if self._down is None:
                log.warning("%s: the cluster is away, waiting for it: %s", self._topic, self._kafka.told(error))
            self._down = self._kafka.told(error)

    def _check_patience(self) -> None:
        quiet = time.monotonic() - self._heard
        if self._follows and self._down is None:
            return
        if self._down is not None and self._answers():
            self._heard, self._down = time.monotonic(), None
            log.info("%s: the cluster is back", self._topic)
        elif quiet > self._kafka.patience_seconds:
            why = self._down or f"no answer for {sorted(self._left)} of {self._topic!r}"
            raise SourceUnavailable(f"Kafka at {self._kafka.brokers} cannot be reached for {quiet:.0f} s: {why}.")

    def _answers(self) -> bool:
        try:
            self._consumer.list_topics(self._topic, timeout=1.0)
        except ck.KafkaException:
            return False
        return True


def _GONE() -> tuple[int, ...]:
    return (
        ck.KafkaError.UNKNOWN_TOPIC_OR_PART,
        ck.KafkaError._UNKNOWN_TOPIC,
        ck.KafkaError._UNKNOWN_PARTITION,
        ck.KafkaError.UNKNOWN_TOPIC_ID,
    )


def _REFUSALS() -> tuple[int, ...]:
    return (
        ck.KafkaError._AUTHENTICATION,
        ck.KafkaError.SASL_AUTHENTICATION_FAILED,
        ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
        ck.KafkaError.GROUP_AUTHORIZATION_FAILED,
    )
