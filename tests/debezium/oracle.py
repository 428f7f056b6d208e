"""Both readings of one log: Debezium's engine from its slot, and Penstock from another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from tests.debezium import scenario
from tests.debezium.prepare import PYTHON
from tests.debezium.values import Change, of_penstock, rows_of

from penstock.connectors.cdc import PostgresChanges

HERE = Path(__file__).parent
RECORDED = HERE / "expected" / "changes.jsonl"
_PATIENCE_SECONDS = 100
_SHORT = ("a_float4",)


def no_engine() -> str | None:
    """Why there is no Debezium here; None where there is one."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "no Java here, in which Debezium's engine runs"
    if not PYTHON.exists():
        return "no Debezium here: python tests/debezium/prepare.py installs it"
    return None


def told_by_debezium(url: str, slot: str, folder: Path) -> list[dict[str, Any]]:
    """What the engine says of everything in its slot."""
    out = folder / f"{uuid4().hex}.jsonl"
    arguments = [url, slot, scenario.PUBLICATION, scenario.LAST, str(out)]
    done = subprocess.run(
        [str(PYTHON), str(HERE / "engine.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
        cwd=folder,  # where the engine leaves its log
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


class Reading:
    """What Penstock says of the same log.

    Attributes:
        changes: in order.
        rejected: why a row could not be told, by table and id.
    """

    def __init__(self, url: str) -> None:
        self.changes: list[Change] = []
        self.rejected: dict[str, str] = {}
        self._source = PostgresChanges(
            url,
            scenario.TABLES,
            slot=f"penstock_{uuid4().hex[:8]}",
            publication=scenario.PUBLICATION,
            create_publication=False,
            as_changes=True,
            copy=False,
        )
        self._position = [batch.position for batch in self._source.batches(None)][-1]

    def read(self) -> None:
        """Everything since the slot was made."""
        with self._source as source:
            rows = []
            for batch in source.batches(self._position):
                for part in batch.parts:
                    rows += [(row["lsn"], row["seq"], part.table, row) for row in rows_of(part.rows)]
                for each in batch.rejected:
                    self.rejected[each.where] = each.reason
        for _, _, table, row in sorted(rows, key=lambda found: found[:2]):
            self.changes += of_penstock(table, row, scenario.KEYS[table], _SHORT)


def everything(url: str, slot: str) -> Reading:
    """Let it all happen, with a slot for Debezium beside Penstock's."""
    with psycopg.connect(url, autocommit=True) as connection:
        scenario.prepare(connection, slot)
        reading = Reading(url)
        scenario.happen(connection)
    reading.read()
    return reading
