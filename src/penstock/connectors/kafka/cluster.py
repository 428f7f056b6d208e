"""How a Kafka cluster is reached, and what it says of its topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeVar

from penstock.connectors.kafka.driver import admin, ck
from penstock.core.errors import ConfigurationError, PenstockError, SourceUnavailable
from penstock.core.ports.data import Place
from penstock.core.secrets import Secret, redacted
from penstock.core.words import mistakes_told

if TYPE_CHECKING:
    from penstock.engine.connections.kafka import KafkaConnection

log = logging.getLogger("penstock.kafka")

_ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = 0.1
Answer = TypeVar("Answer")
_OURS = frozenset(
    {
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "error_cb",
        "group.id",
        "isolation.level",
        "logger",
        "transactional.id",
    }
)


class Topic(NamedTuple):
    """What the cluster says of a topic.

    Attributes:
        id: made with the topic: another topic of the same name has another. Empty where the brokers have none.
        partitions: their numbers.
    """

    id: str
    partitions: tuple[int, ...]


class Kafka:
    """How a cluster is reached.

    Args:
        brokers: `host:port`, several separated by commas.
        user: for SASL.
        password: for SASL.
        mechanism: how user and password are told.
        tls: encrypt; a path names the certificates to trust instead of those of the system.
        patience_seconds: how long nothing may be heard of the cluster before that is an error.
        settings: more settings of librdkafka, such as `{"fetch.max.bytes": 10_000_000}`.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        brokers: str,
        *,
        user: str | None = None,
        password: str | Secret | None = None,
        mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN",
        tls: bool | str = False,
        patience_seconds: float = 60.0,
        settings: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        self.brokers = ",".join(part.strip() for part in brokers.split(",") if part.strip())
        self.user = user
        self.password = None if password is None else Secret(password)
        self.mechanism = mechanism
        self.tls = tls
        self.patience_seconds = patience_seconds
        self.settings = dict(settings or {})
        self.connection: KafkaConnection | None = None
        refuse("Kafka", self._mistakes())

    @classmethod
    def saved(
        cls,
        connection: KafkaConnection | str,
        *,
        patience_seconds: float = 60.0,
        settings: Mapping[str, str | int | float | bool] | None = None,
    ) -> Kafka:
        """The cluster of a saved connection of the type `kafka`, or of its name.

        Raises:
            ConnectionNotFound: no connection has that name.
        """
        if isinstance(connection, str):
            from penstock.engine.connections.kafka import KafkaConnection

            connection = KafkaConnection.load(connection)
        made = cls(",".join(connection.bootstrap_servers), patience_seconds=patience_seconds, settings=settings)
        made.connection = connection
        return made

    def _mistakes(self) -> Iterable[tuple[str, str]]:
        if not self.brokers:
            yield "brokers", "names no broker; it is host:port, such as localhost:9092"
        if "@" in self.brokers:
            yield "brokers", "hold a user: give user= and password=, or a saved connection"
            return
        for broker in filter(None, self.brokers.split(",")):
            host, _, port = broker.rpartition(":")
            if not host or not port.isdigit() or "/" in broker:
                yield "brokers", f"{broker!r} is not host:port, such as localhost:9092"
        if (self.user is None) != (self.password is None):
            yield "user, password", "go together"
        if self.mechanism not in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            yield "mechanism", f"{self.mechanism!r} is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
        if self.patience_seconds <= 0:
            yield "patience_seconds", "is not greater than 0"
        for name in sorted(_OURS & self.settings.keys()):
            yield "settings", f"{name} is set by Penstock itself"

    def __repr__(self) -> str:
        user = "" if self.user is None else f", user={self.user!r}, password={str(self.password)!r}"
        return f"Kafka({self.brokers!r}{user})"

    def place(self, topic: str) -> Place:
        """A topic of this cluster."""
        return Place(f"kafka://{self.brokers.split(',')[0]}", topic)

    def config(self, **more: Any) -> dict[str, Any]:
        """Settings for a client; underscores in the names of `more` stand for dots."""
        found: dict[str, Any] = {
            "bootstrap.servers": self.brokers,
            "client.id": "penstock",
            "logger": log,
            "log_level": 2,  # it tells each connection that failed; what comes of that is for us to tell
            "allow.auto.create.topics": False,
            "reconnect.backoff.max.ms": 2000,
            "topic.metadata.propagation.max.ms": 5000,
        }
        if self.connection is not None:
            found |= self.connection.config()
        elif self.user is not None and self.password is not None:
            found |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.user,
                "sasl.password": self.password.reveal(),
            }
        if self.connection is None:
            protocol = ("SASL_" if self.user is not None else "") + ("SSL" if self.tls else "PLAINTEXT")
            found["security.protocol"] = protocol
        if isinstance(self.tls, str):
            found["ssl.ca.location"] = self.tls
        return found | self.settings | {name.replace("_", "."): value for name, value in more.items()}

    def make(self, client: Any, config: dict[str, Any]) -> Any:
        """A client of the driver.

        Raises:
            ConfigurationError: the driver refuses a setting.
        """
        try:
            return client(config)
        except ck.KafkaException as error:
            raise ConfigurationError(
                f"The Kafka client cannot be set up: {self.told(error)}.", hint="look at the settings of the connection"
            ) from None

    def told(self, error: Any) -> str:
        """What the driver says (an error of its, or an exception with one), without the password."""
        detail = error.args[0] if isinstance(error, BaseException) and error.args else error
        text = detail.str() if hasattr(detail, "str") else str(detail)
        known = {**self.settings, **(self.connection.config() if self.connection else {})}
        secrets = [value for name, value in known.items() if isinstance(value, str) and "password" in name]
        return redacted(text, [*secrets, *([self.password.reveal()] if self.password else [])]).rstrip(".")


class Desk:
    """Asks the cluster about topics. Usable by several threads."""

    def __init__(self, kafka: Kafka, unavailable: type[PenstockError] = SourceUnavailable) -> None:
        self._kafka = kafka
        self._unavailable = unavailable
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The driver's own client."""
        if self._client is None:
            self._client = self._kafka.make(admin.AdminClient, self._kafka.config())
        return self._client

    def topic(self, name: str) -> Topic | None:
        """What there is under that name; None where there is nothing."""

        def ask(timeout: float) -> Any:
            return self.client.describe_topics(ck.TopicCollection([name]), request_timeout=timeout)[name].result()

        try:
            found = self._patiently(ask, _passing())
        except ck.KafkaException as error:
            if error.args[0].code() in (ck.KafkaError.UNKNOWN_TOPIC_OR_PART, ck.KafkaError._UNKNOWN_TOPIC):
                return None
            self.refuse(error, f"cannot be asked for the topic {name!r}")
        known = found.topic_id
        nothing = known is None or not (known.get_most_significant_bits() or known.get_least_significant_bits())
        return Topic("" if nothing else str(known), tuple(sorted(one.id for one in found.partitions)))

    def offsets(self, name: str, partitions: Iterable[int], spec: Any, *, committed: bool = True) -> dict[int, int]:
        """One offset of each partition.

        Args:
            name: of the topic.
            partitions: their numbers.
            spec: which offset: an `OffsetSpec` of the driver.
            committed: the end is that of what has been committed by transactions.
        """
        level = ck.IsolationLevel.READ_COMMITTED if committed else ck.IsolationLevel.READ_UNCOMMITTED
        wanted = {ck.TopicPartition(name, number): spec for number in partitions}
        if not wanted:
            return {}

        def ask(timeout: float) -> dict[int, int]:
            asked = self.client.list_offsets(wanted, isolation_level=level, request_timeout=timeout)
            return {place.partition: answer.result().offset for place, answer in asked.items()}

        try:
            # A partition that is new, or whose broker went away, has no leader for a moment.
            return self._patiently(ask, (*_passing(), ck.KafkaError.UNKNOWN_TOPIC_OR_PART))
        except ck.KafkaException as error:
            self.refuse(error, f"cannot be asked how far {name!r} goes")

    def create(self, name: str, partitions: int, replicas: int, config: Mapping[str, str]) -> None:
        """Make a topic; one that is there already stays as it is."""
        fresh = admin.NewTopic(name, partitions, replicas, config=dict(config))
        try:
            self._patiently(lambda timeout: self._create(fresh, timeout), _passing())
        except ck.KafkaException as error:
            if error.args[0].code() != ck.KafkaError.TOPIC_ALREADY_EXISTS:
                self.refuse(error, f"cannot make the topic {name!r}")
        deadline = time.monotonic() + self._kafka.patience_seconds
        while self.topic(name) is None and time.monotonic() < deadline:  # brokers hear of it one after another
            time.sleep(_PAUSE_SECONDS)

    def _create(self, fresh: Any, timeout: float) -> None:
        self.client.create_topics([fresh], request_timeout=timeout)[fresh.topic].result()

    def largest(self, name: str) -> int | None:
        """The largest message that a topic takes; None where the cluster does not tell."""
        resource = admin.ConfigResource(admin.ResourceType.TOPIC, name)
        try:
            asked = self.client.describe_configs([resource], request_timeout=_ANSWER_SECONDS)
            return int(asked[resource].result()["max.message.bytes"].value)
        except (ck.KafkaException, KeyError, TypeError, ValueError):
            return None

    def _patiently(self, ask: Callable[[float], Answer], passing: Sequence[int]) -> Answer:
        """Ask, and again for as long as what is wrong may pass."""
        deadline = time.monotonic() + self._kafka.patience_seconds
        while True:
            try:
                return ask(min(self._kafka.patience_seconds, _ANSWER_SECONDS))
            except ck.KafkaException as error:
                if error.args[0].code() not in passing or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def refuse(self, error: BaseException, what: str) -> NoReturn:
        """Raise it as an error of ours."""
        raise self._unavailable(f"Kafka at {self._kafka.brokers} {what}: {self._kafka.told(error)}.") from None


def _passing() -> tuple[int, ...]:
    """What is said while a broker goes away or comes back, or a partition gets a leader."""
    return (
        ck.KafkaError._TRANSPORT,
        ck.KafkaError._TIMED_OUT,
        ck.KafkaError._ALL_BROKERS_DOWN,
        ck.KafkaError.REQUEST_TIMED_OUT,
        ck.KafkaError.NETWORK_EXCEPTION,
        ck.KafkaError.BROKER_NOT_AVAILABLE,
        ck.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        ck.KafkaError.NOT_LEADER_FOR_PARTITION,
        ck.KafkaError.LEADER_NOT_AVAILABLE,
    )


def refuse(what: str, mistakes: Iterable[tuple[str, str]]) -> None:
    """Tell all mistakes in the arguments at once.

    Raises:
        ConfigurationError: there are some.
    """
    found = list(mistakes)
    if found:
        raise ConfigurationError(mistakes_told(what, found))
