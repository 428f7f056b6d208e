"""confluent-kafka, fastavro, protobuf, Polars: imported when something in them is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import require


class _Late:
    """Stands for a module of an optional package; MissingExtra where it is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self._module, self._extra = module, extra

    def __getattr__(self, name: str) -> Any:
        value = getattr(require(self._module, self._extra), name)
        setattr(self, name, value)
        return value


ck: Any = _Late("confluent_kafka", "kafka")
admin: Any = _Late("confluent_kafka.admin", "kafka")
fastavro: Any = _Late("fastavro", "kafka")
pl: Any = _Late("polars", "data")
pa_json: Any = _Late("pyarrow.json", "data")
pb: Any = _Late("google.protobuf.descriptor_pool", "kafka")
pb_descriptor: Any = _Late("google.protobuf.descriptor", "kafka")
pb_descriptors: Any = _Late("google.protobuf.descriptor_pb2", "kafka")
pb_json: Any = _Late("google.protobuf.json_format", "kafka")
pb_message: Any = _Late("google.protobuf.message", "kafka")
pb_messages: Any = _Late("google.protobuf.message_factory", "kafka")
httpx: Any = _Late("httpx", "data")
