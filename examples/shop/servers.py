"""For the demo with servers: its own databases, topic and prefix of a bucket, empty."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

from places import CHANGES, TOPIC, Places

OWN = "penstock_demo"
PARTITIONS = 3
PATIENCE_SECONDS = 30


def prepare(places: Places, journal: str) -> None:
    """Make what the demo needs, and delete what a former demo left; the journal keeps its runs.

    Raises:
        OSError: something there does not have the demo's name, so it may be somebody's, or a server is away.
    """
    try:
        empty_database(f"postgresql://{places.database.removeprefix(CHANGES)}")
        empty_database(places.warehouse)
        make_database(journal)
        empty_topic(places.logs)
        empty_prefix(places.lake)
    except OSError:
        raise
    except ImportError as error:
        raise OSError(f"{error}; install what it needs: pip install 'penstock[data,kafka,postgres]'") from error
    except Exception as error:  # each driver has errors of its own
        told = str(error).strip().splitlines()
        raise OSError(f"{type(error).__name__}: {told[0] if told else error}; are the servers up?") from error


def empty_database(url: str) -> None:
    """Drop a database with its replication slots, and make it again."""
    import psycopg

    name = _own(urlsplit(url).path.strip("/"))
    with psycopg.connect(_server(url), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    make_database(url)


def make_database(url: str) -> None:
    """Make a database where there is none of the name."""
    import psycopg

    name = _own(urlsplit(url).path.strip("/"))
    with psycopg.connect(_server(url), autocommit=True) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            server.execute(f'CREATE DATABASE "{name}"')


def empty_topic(address: str) -> None:
    """Delete a topic, and make it again."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    brokers, _, name = address.removeprefix(TOPIC).partition("/")
    admin = AdminClient({"bootstrap.servers": brokers})
    if _own(name) in admin.list_topics(timeout=PATIENCE_SECONDS).topics:
        admin.delete_topics([name])[name].result()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
            return
        except KafkaException as error:  # the former one may still be on its way out
            going = error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
            if not going or time.monotonic() > deadline:
                raise OSError(f"{address}: {error}") from None
            time.sleep(0.1)


def empty_prefix(address: str) -> None:
    """Delete everything under `s3://bucket/prefix`; the endpoint and the keys are in the environment (AWS_*)."""
    import obstore
    from obstore.store import S3Store

    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    store = S3Store(bucket, prefix=_own(prefix), client_options={"allow_http": True})
    for some in obstore.list(store):
        obstore.delete(store, [each["path"] for each in some])


def _own(name: str) -> str:
    """Nothing else is deleted."""
    if not name.startswith(OWN):
        raise OSError(f"{name!r} is not the demo's: call it {OWN}, or something that begins so")
    return name


def _server(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/postgres"))
