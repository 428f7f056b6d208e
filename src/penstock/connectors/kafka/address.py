"""Topics by address: `kafka://host:9092/orders`, or `kafka:orders` with a saved connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.connectors.kafka.cluster import Kafka
from penstock.connectors.kafka.sink import KafkaSink
from penstock.connectors.kafka.source import KafkaTopic
from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError

_SWITCH = {"true": True, "false": False}
_READ = ("value", "key", "prefix", "registry", "missing", "dead_letters", "group")
_WRITTEN = ("value", "partition", "timestamp", "registry", "compression", "rejected")


def at(address: Address) -> KafkaTopic:
    """A topic to read.

    Options: `value`, `key`, `prefix`, `registry`, `missing`, `dead_letters`, `group` as `KafkaTopic` has them; `upsert`
    and `partitions` with commas; `start` (earliest, latest or a moment); `follow`, `metadata`, `headers` (true or
    false); `connection` (a name).

    Raises:
        ConfigurationError: the address or an option cannot be.
    """
    given = address.taken(*_READ, "upsert", "partitions", "start", "follow", "metadata", "headers", "connection")
    options: dict[str, Any] = {name: given[name] for name in _READ if name in given}
    options |= {name: _switch(name, given[name]) for name in ("follow", "metadata", "headers") if name in given}
    if "upsert" in given:
        options["upsert"] = several(given["upsert"])
    if "partitions" in given:
        options["partitions"] = [_whole("partitions", one) for one in several(given["partitions"])]
    if "start" in given:
        options["start"] = _start(given["start"])
    return KafkaTopic(*_topic(address, given.get("connection")), **options)


def sink_at(address: Address) -> KafkaSink:
    """A topic to write.

    Options: `value`, `partition`, `timestamp`, `registry`, `compression`, `rejected` as `KafkaSink` has them; `key` (or
    `keys`) and `headers` with commas; `partitions`, a number; `connection` (a name). That rows with one key are to be
    merged is for whoever reads the topic, or for its compaction.

    Raises:
        ConfigurationError: the address or an option cannot be.
    """
    given = address.taken(*_WRITTEN, "key", "keys", "headers", "partitions", "connection", "mode")
    if given.get("mode", "append") not in ("append", "merge"):
        raise ConfigurationError(f"mode={given['mode']} is nothing for a topic: messages are added, with their keys.")
    options: dict[str, Any] = {name: given[name] for name in _WRITTEN if name in given}
    if "key" in given or "keys" in given:
        options["key"] = several(given.get("key") or given["keys"])
    if "headers" in given:
        options["headers"] = several(given["headers"])
    if "partitions" in given:
        options["partitions"] = _whole("partitions", given["partitions"])
    return KafkaSink(*_topic(address, given.get("connection")), **options)


def _topic(address: Address, connection: str | None) -> tuple[Kafka, str]:
    brokers, _, topic = address.rest[2:].partition("/") if address.rest.startswith("//") else ("", "", address.rest)
    if bool(brokers) == bool(connection) or not topic or "/" in topic:
        raise ConfigurationError(
            f"{address.url} names no topic of a cluster.",
            hint="such as kafka://localhost:9092/orders, or kafka:orders with connection=NAME",
        )
    return Kafka.saved(connection) if connection else Kafka(brokers), topic


def _switch(name: str, text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise ConfigurationError(f"{name}={text} is neither true nor false.")
    return _SWITCH[text.lower()]


def _whole(name: str, text: str) -> int:
    if not text.isdigit():
        raise ConfigurationError(f"{name}={text} is no whole number.")
    return int(text)


def _start(text: str) -> str | datetime:
    if text in ("earliest", "latest"):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"start={text} is neither earliest nor latest nor a moment.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
