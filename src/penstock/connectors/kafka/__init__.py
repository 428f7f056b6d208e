"""Kafka: topics as sources and as sinks."""

from penstock.connectors.kafka.address import at, sink_at
from penstock.connectors.kafka.avro_values import Avro
from penstock.connectors.kafka.cluster import Kafka
from penstock.connectors.kafka.protobuf_values import Protobuf
from penstock.connectors.kafka.registry import SchemaRegistry
from penstock.connectors.kafka.sharing import share
from penstock.connectors.kafka.sink import KafkaSink
from penstock.connectors.kafka.source import KafkaTopic

__all__ = ["Avro", "Kafka", "KafkaSink", "KafkaTopic", "Protobuf", "SchemaRegistry", "at", "share", "sink_at"]
