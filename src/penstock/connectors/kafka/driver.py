"""confluent-kafka, fastavro, protobuf, Polars: imported when something in them is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import LateExtra

ck: Any = LateExtra("confluent_kafka", "kafka")
admin: Any = LateExtra("confluent_kafka.admin", "kafka")
fastavro: Any = LateExtra("fastavro", "kafka")
pl: Any = LateExtra("polars", "data")
pa_json: Any = LateExtra("pyarrow.json", "data")
pb: Any = LateExtra("google.protobuf.descriptor_pool", "kafka")
pb_descriptor: Any = LateExtra("google.protobuf.descriptor", "kafka")
pb_descriptors: Any = LateExtra("google.protobuf.descriptor_pb2", "kafka")
pb_json: Any = LateExtra("google.protobuf.json_format", "kafka")
pb_message: Any = LateExtra("google.protobuf.message", "kafka")
pb_messages: Any = LateExtra("google.protobuf.message_factory", "kafka")
httpx: Any = LateExtra("httpx", "data")
