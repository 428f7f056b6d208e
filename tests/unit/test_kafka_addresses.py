"""Topics and measurements as the command line names them, and saved connections."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.connectors.kafka import Kafka, KafkaSink, KafkaTopic
from penstock.core.errors import ConfigurationError
from penstock.engine.addresses import sink_at, source_at
from penstock.engine.connections.influx import InfluxConnection
from penstock.engine.connections.kafka import KafkaConnection
from penstock.stores.timeseries import TimeSeries


def test_a_topic_to_read() -> None:
    source = source_at(
        "kafka://a:9092,b:9092/orders",
        {
            "value": "text",
            "key": "json",
            "upsert": "shop, id",
            "partitions": "0,2",
            "start": "2026-01-31",
            "follow": "true",
            "metadata": "False",
        },
    )
    assert isinstance(source, KafkaTopic)
    assert str(source.place) == "kafka://a:9092/orders"
    options = source._options
    assert (options.value, options.key, options.upsert, options.partitions) == ("text", "json", ("shop", "id"), (0, 2))
    assert (options.start, options.follow, options.metadata) == (datetime(2026, 1, 31, tzinfo=UTC), True, False)


def test_a_topic_to_write() -> None:
    sink = sink_at("kafka://a:9092/orders", {"keys": "id", "headers": "trace", "partitions": "3"})
    assert isinstance(sink, KafkaSink)
    assert (sink._outgoing.key, sink._outgoing.headers, sink._partitions) == (("id",), ("trace",), 3)


def test_a_measurement_to_write() -> None:
    sink = sink_at("influx:http://localhost:8086#heat", {"time": "at", "tags": "room,house", "bucket": "b"})
    assert str(sink.place) == "http://localhost:8086/b/heat"


@pytest.mark.parametrize(
    ("address", "options", "told"),
    [
        ("kafka://a:9092", {}, "names no topic"),
        ("kafka:orders", {}, "names no topic"),
        ("kafka://a:9092/orders", {"folow": "true"}, "did you mean follow"),
        ("kafka://a:9092/orders", {"follow": "yes"}, "neither true nor false"),
        ("kafka://a:9092/orders", {"start": "soon"}, "neither earliest nor latest"),
        ("kafka://a:9092/orders", {"partitions": "x"}, "no whole number"),
        ("kafka://me:hidden@a:9092/orders", {}, "hold a user"),
    ],
)
def test_topics_that_cannot_be_read(address: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as error:
        source_at(address, options)
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "options", "told"),
    [
        ("kafka://a:9092/orders", {"mode": "replace"}, "mode=replace"),
        ("influx:http://localhost:8086#heat", {}, "need a time"),
        ("influx:#heat", {"time": "at"}, "names no server"),
        ("influx:http://localhost:8086#heat", {"time": "at", "mode": "replace"}, "mode=replace"),
        ("influx:http://localhost:8086", {"time": "at"}, "give one of the two"),
    ],
)
def test_what_cannot_be_written(address: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        sink_at(address, options)


def test_a_saved_cluster() -> None:
    connection = KafkaConnection(
        bootstrap_servers=("a:9092", "b:9092"),
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password="topsecret",  # type: ignore[arg-type]
        schema_registry_url="http://registry:8081",
    )
    cluster = Kafka.saved(connection, settings={"fetch.max.bytes": 1_000_000})
    config = cluster.config(group_id="g")
    assert config["bootstrap.servers"] == "a:9092,b:9092"
    assert (config["security.protocol"], config["sasl.password"]) == ("SASL_SSL", "topsecret")
    assert (config["group.id"], config["fetch.max.bytes"]) == ("g", 1_000_000)
    assert cluster.told(ValueError("no topsecret for me")) == "no *** for me"
    assert "topsecret" not in repr(cluster)
    source = KafkaTopic(cluster, "orders", value="avro")
    assert "registry:8081" in repr(source._formats[0].__dict__["_registry"])


def test_a_saved_time_series_server() -> None:
    connection = InfluxConnection(url="https://influx:8086", token="topsecret", org="o", bucket="b")  # type: ignore[arg-type]
    series = TimeSeries(connection, measurement="heat", time="at")
    assert str(series.place) == "https://influx:8086/b/heat"
    assert series._server._query == {"bucket": "b", "org": "o", "precision": "ms"}
    assert series._server._token is not None
    assert series._server._token.reveal() == "topsecret"
