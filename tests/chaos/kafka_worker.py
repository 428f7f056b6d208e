"""Brings one topic into another until it is told to stop, or killed: brokers, from, to, control topic."""

from __future__ import annotations

import sys

from penstock.connectors.kafka import Kafka, KafkaSink, KafkaTopic
from penstock.data import ingest


def main() -> None:
    brokers, source, target, control = sys.argv[1:]
    kafka = Kafka(brokers, patience_seconds=60)
    topic = KafkaTopic(kafka, source, batch_rows=40, metadata=False)
    sink = KafkaSink(kafka, target, key="id", control=control)
    ingest(topic, sink, name="pipe", on_progress=lambda progress: print(progress.counts.read, flush=True))


if __name__ == "__main__":
    main()
