"""Bare Python: the least that reading takes, without a result. Pages are fetched, messages of the log counted."""

import os
import select
import struct
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

from common import number
from meter import Arrivals, Watch, source

PER_PAGE = 1_000
SLOT = "floor"


def api() -> None:
    """Fetch all pages over one connection, and look at none."""
    parts = urlsplit(source())
    pages = -(-number(2) // PER_PAGE)
    watch = Watch()
    connection = HTTPConnection(parts.hostname or "", parts.port)
    size = 0
    for page in range(1, pages + 1):
        connection.request("GET", f"{parts.path}?page={page}")
        answer = connection.getresponse()
        size += len(answer.read())
        if answer.status != 200:
            sys.exit(f"error: status {answer.status}")
    watch.tell(counted=number(2), bytes=size)


def prepare() -> None:
    import psycopg

    with psycopg.connect(os.environ["BENCH_POSTGRES"], autocommit=True) as connection:
        connection.execute("CREATE PUBLICATION floor FOR TABLE orders")
        connection.execute("SELECT pg_create_logical_replication_slot('floor', 'pgoutput')")
    print("{}")


def changes() -> None:
    """Take the log as the server sends it, and count the messages that are changes."""
    import psycopg

    wanted, arrivals, watch = number(3), Arrivals(), Watch()
    address = os.environ["BENCH_POSTGRES"] + "?replication=database"
    connection = psycopg.connect(address, autocommit=True).pgconn
    options = "proto_version '1', publication_names 'floor'"
    connection.send_query(f"START_REPLICATION SLOT {SLOT} LOGICAL 0/0 ({options})".encode())
    connection.flush()
    connection.get_result()
    while arrivals.count < wanted:
        seen, end = 0, b""
        while True:
            size, data = connection.get_copy_data(1)
            if size == 0:
                break
            if size < 0:
                sys.exit("error: the stream has ended")
            message = bytes(data)
            if message[:1] == b"w":
                seen += message[25:26] in (b"I", b"U", b"D")
                end = message[1:9]
        if seen:
            arrivals.add(seen)
            connection.put_copy_data(b"r" + end * 3 + struct.pack("!qb", 0, 0))
            connection.flush()
        else:
            select.select([connection.socket], [], [], 1.0)
            connection.consume_input()
    arrivals.save()
    watch.tell(counted=arrivals.count, how="counts the messages as the server sends them")


def main() -> None:
    if sys.argv[1].startswith("api-"):
        api()
    elif sys.argv[2] == "prepare":
        prepare()
    else:
        changes()


if __name__ == "__main__":
    main()
