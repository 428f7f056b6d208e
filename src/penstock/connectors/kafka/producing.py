"""Messages written in transactions, each of them accounted for."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from penstock.connectors.kafka.cluster import Kafka, log
from penstock.connectors.kafka.driver import ck
from penstock.connectors.kafka.pipes import is_fenced
from penstock.core.errors import PipeTakenOver, SinkUnavailable

_CHUNK = 10_000
_PLAIN = frozenset({"key", "value"})  # what the driver can take in bulk
_QUEUED = 200_000
_TRANSACTION_SECONDS = 30


class TooLarge(Exception):
    """Messages that Kafka does not take because of their size; nothing was written.

    Attributes:
        which: their `id`s.
    """

    def __init__(self, which: set[int], why: str) -> None:
        super().__init__(why)
        self.which = which


class Transactions:
    """The one writer of a pipe: Kafka refuses whoever had its name before.

    Args:
        kafka: how the cluster is reached.
        name: the transactional id.
        pipe: for messages to people.
        settings: more settings of the driver.

    Raises:
        SinkUnavailable: the cluster cannot be reached.
    """

    def __init__(self, kafka: Kafka, name: str, pipe: str, settings: Mapping[str, Any]) -> None:
        self._kafka, self._pipe = kafka, pipe
        self._broken = ""
        self._fenced = False
        self._acknowledged = 0
        self._errors: list[Any] = []
        self._large: set[int] = set()
        config = kafka.config(
            transactional_id=name,
            transaction_timeout_ms=_TRANSACTION_SECONDS * 1000,
            queue_buffering_max_messages=1_000_000,
            partitioner="murmur2_random",
            linger_ms=5,
        )
        self._producer = kafka.make(ck.Producer, dict(settings) | config)
        with suppress(ck.KafkaException):  # one that is connected finds its coordinator half a second earlier
            self._producer.list_topics(timeout=1.0)
        self._patiently("be opened", lambda timeout: self._producer.init_transactions(timeout))

    def commit(self, groups: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
        """Write messages, all or none.

        Args:
            groups: topics, and messages as the driver takes them: `value`, `key`, `partition`, `timestamp`, `headers`.

        Raises:
            TooLarge: some are too large. Nothing was written.
            PipeTakenOver: somebody else has opened the pipe since. Nothing was written.
            SinkUnavailable: the cluster cannot be reached. Nothing was written, or, where the answer to the commit was
                lost, everything.
        """
        if self._fenced:
            self._taken_over()
        if self._broken:
            raise SinkUnavailable(f"{self._pipe}: {self._broken}.", hint="open the pipe again")
        self._acknowledged, self._errors, self._large = 0, [], set()
        try:
            self._producer.begin_transaction()
            for topic, messages in groups:
                self._produce(topic, messages)
            self._flush(sum(len(messages) for _, messages in groups))
        except ck.KafkaException as error:
            self._give_up(error.args[0])
        except BaseException:
            self._abort()
            raise
        self._patiently("commit", lambda timeout: self._producer.commit_transaction(timeout))

    def close(self) -> None:
        """Let go of the connections; a transaction that was begun is aborted."""
        with warnings.catch_warnings(), suppress(ck.KafkaException):
            warnings.simplefilter("ignore", RuntimeWarning)  # one that was fenced has nothing left to abort
            self._driver(self._producer.close)

    def _produce(self, topic: str, messages: list[dict[str, Any]]) -> None:
        """Hand messages to the driver, which sends them while more are handed over."""
        plain = not messages or messages[0].keys() <= _PLAIN
        for start in range(0, len(messages), _CHUNK):
            some = messages[start : start + _CHUNK]
            while len(self._producer) > _QUEUED:
                self._driver(self._producer.poll, 0.05)
            if plain:
                if self._producer.produce_batch(topic, some, on_delivery=self._delivered) != len(some):
                    self._not_taken([one for one in some if "_error" in one])
            else:
                self._one_by_one(topic, some)
            self._driver(self._producer.poll, 0)

    def _one_by_one(self, topic: str, messages: list[dict[str, Any]]) -> None:
        for one in messages:
            try:
                self._producer.produce(topic, **one, on_delivery=self._delivered)
            except ck.KafkaException as error:
                self._not_taken([one | {"_error": error.args[0]}], id(one))

    def _not_taken(self, messages: list[dict[str, Any]], which: int | None = None) -> None:
        for one in messages:
            error = one.pop("_error")
            if error.code() != ck.KafkaError.MSG_SIZE_TOO_LARGE:
                raise ck.KafkaException(error)
            self._large.add(id(one) if which is None else which)

    @staticmethod
    def _driver(call: Callable[..., Any], *arguments: Any) -> Any:
        """Ask the driver. A fatal error passes through its calls to us, which Python takes for a fault of its own."""
        try:
            return call(*arguments)
        except SystemError as error:
            if isinstance(error.__cause__, ck.KafkaException):
                raise error.__cause__ from None
            raise ck.KafkaException(ck.KafkaError(ck.KafkaError._FAIL)) from None

    def _delivered(self, error: Any, _: Any) -> None:
        if error is None:
            self._acknowledged += 1
        else:
            self._errors.append(error)

    def _flush(self, expected: int) -> None:
        """Wait until each message has been acknowledged, or refused."""
        if self._large:
            raise TooLarge(self._large, "larger than message.max.bytes allows")
        left = self._driver(self._producer.flush, self._kafka.patience_seconds)
        if self._errors:
            raise ck.KafkaException(self._errors[0])
        if left or self._acknowledged != expected:
            missing = expected - self._acknowledged
            raise SinkUnavailable(
                f"{self._pipe}: Kafka at {self._kafka.brokers} has not acknowledged {missing} of {expected} messages."
            )

    def _patiently(self, what: str, call: Callable[[float], Any]) -> None:
        """Call, and again where the driver says that this may help."""
        deadline = time.monotonic() + self._kafka.patience_seconds
        while True:
            try:
                self._driver(call, max(deadline - time.monotonic(), 1.0))
            except ck.KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    self._give_up(error.args[0], f"cannot {what}")
            else:
                return

    def _give_up(self, error: Any, what: str = "does not take the messages") -> NoReturn:
        """Abort what was begun, and raise it as an error of ours."""
        self._fenced = is_fenced(error) or any(map(is_fenced, self._errors))
        if not self._fenced and (error.fatal() or not self._abort()):
            self._broken = "its last transaction did not end"
        if self._fenced:
            self._taken_over()
        told = self._kafka.told(error)
        raise SinkUnavailable(f"{self._pipe}: Kafka at {self._kafka.brokers} {what}: {told}.") from None

    def _taken_over(self) -> NoReturn:
        raise PipeTakenOver(f"{self._pipe}: another process goes on with it; nothing was written twice.") from None

    def _abort(self) -> bool:
        try:
            self._driver(self._producer.abort_transaction, min(self._kafka.patience_seconds, 10.0))
        except ck.KafkaException as error:
            self._fenced = is_fenced(error.args[0])
            self._broken = "its last transaction did not end"
            log.warning("%s: a transaction could not be aborted: %s", self._pipe, self._kafka.told(error))
            return False
        return True
