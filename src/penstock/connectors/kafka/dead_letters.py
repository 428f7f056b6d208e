"""Messages that cannot be read, sent to a topic of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.connectors.kafka.cluster import Desk, Kafka
from penstock.connectors.kafka.driver import ck
from penstock.core.errors import SourceUnavailable
from penstock.core.ports.data import Rejected


class DeadLetters:
    """Sends messages on as they were, with the reason in their headers.

    They are sent before the batch lands, and sent again when it is read again: at least once. The headers
    `penstock.where` and `penstock.reason` tell which message it was, and what was wrong with it.

    Args:
        kafka: how the cluster is reached.
        desk: asks it about topics.
        topic: where they go; made where it is not there.
    """

    def __init__(self, kafka: Kafka, desk: Desk, topic: str) -> None:
        self._kafka, self._desk, self._topic = kafka, desk, topic
        self._producer: Any = None
        self._errors: list[str] = []

    def send(self, messages: Sequence[Any], rejected: Sequence[Rejected]) -> None:
        """Those of the messages that were rejected.

        Raises:
            SourceUnavailable: one of them was not taken.
        """
        if not rejected:
            return
        if self._producer is None:
            self._desk.create(self._topic, 1, -1, {})
            self._producer = self._kafka.make(ck.Producer, self._kafka.config(enable_idempotence=True))
        why = {one.where.rpartition("/")[2]: one for one in rejected}
        for message in messages:
            one = why.get(f"{message.partition()}@{message.offset()}")
            if one is not None:
                headers = [("penstock.where", one.where), ("penstock.reason", one.reason), *(message.headers() or ())]
                self._produce(message, headers)
        left = self._producer.flush(self._kafka.patience_seconds)
        if left or self._errors:
            why_not = self._errors[0] if self._errors else "no answer"
            self._errors.clear()
            raise SourceUnavailable(f"{len(rejected)} dead letters did not get into {self._topic!r}: {why_not}.")

    def close(self) -> None:
        """Let go of the connections."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _produce(self, message: Any, headers: list[tuple[str, Any]]) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic, message.value(), message.key(), headers=headers, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._errors.append(self._kafka.told(error))
