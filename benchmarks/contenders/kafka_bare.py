"""confluent-kafka: a consumer that takes all messages of a topic, counts them and forgets them."""

import os

from common import number
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from meter import Watch, source

AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "1"))
# As it comes, the client rests for a second when its queue is full. These are the settings that Penstock gives it.
TUNED = {"fetch.queue.backoff.ms": 20, "fetch.wait.max.ms": 20}
SETTINGS = TUNED if "BENCH_TUNED" in os.environ else {}


def main() -> None:
    brokers, topic = source().split("/")
    wanted, seen = number(2), 0
    watch = Watch()
    about = {"bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer({**about, **SETTINGS})
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])
    while seen < wanted:
        if AT_ONCE == 1:
            message = consumer.poll(30)
            found = [] if message is None else [message]
        else:
            found = consumer.consume(AT_ONCE, 1)
        for one in found:
            if one.error():
                raise SystemExit(f"error: {one.error()}")
        seen += len(found)
        if not found and AT_ONCE == 1:
            raise SystemExit("error: no message came for 30 s")
    watch.tell(counted=seen)
    consumer.close()


if __name__ == "__main__":
    main()
