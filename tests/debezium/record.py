"""Have Debezium's engine read the scenario, and write down what it says, for tests without Java.

    PENSTOCK_TEST_POSTGRES_URL=postgresql://... python -m tests.debezium.record

It makes a database of its own on the server, and drops it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from tests.debezium import oracle, scenario


def main() -> None:
    """Record."""
    if reason := oracle.no_engine():
        sys.exit(reason)
    server = os.environ.get("PENSTOCK_TEST_POSTGRES_URL")
    if not server:
        sys.exit('PENSTOCK_TEST_POSTGRES_URL is not set: eval "$(scripts/services env)"')
    name = f"penstock_record_{uuid4().hex}"
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as admin, tempfile.TemporaryDirectory() as folder:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                scenario.prepare(connection, name)
                scenario.happen(connection)
            told = oracle.told_by_debezium(url, name, Path(folder))
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    lines = [json.dumps(change, ensure_ascii=False) for change in told]
    oracle.RECORDED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} changes recorded in {oracle.RECORDED.name}")


if __name__ == "__main__":
    main()
