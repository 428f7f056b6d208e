"""A flow whose steps write to the journal's own database; and a process that executes it, and dies where it is told.

python once_flows.py URL HOME MOMENT AT

MOMENT is `before` or `after` an append of the journal, or `inside` a step, when it has written AT times.
"""

from __future__ import annotations

import sys
from typing import Any

from penstock import flow, journal_transaction, task
from penstock.app import Penstock, Settings, open_journal
from penstock.testing import Fault, FaultyJournal
from penstock.testing.faults import kill_process

writes = 0
kill_inside = 0


def write(connection: Any, what: str) -> None:
    """Write a row, and die if this is the moment."""
    global writes
    connection.execute("INSERT INTO orders (what) VALUES (%s)", (what,))
    writes += 1
    if writes == kill_inside:
        kill_process()


@task
def load(what: str) -> str:
    with journal_transaction() as connection:
        write(connection, what)
    with journal_transaction() as connection:
        write(connection, f"{what} again")
    return what


@task
def outer(what: str) -> str:
    with journal_transaction() as connection:
        write(connection, what)
        load(f"{what} within")
    return what


@flow
def imports() -> list[str]:
    futures = [load.submit(f"submitted {number}") for number in range(2)]
    return [load("first"), outer("second"), *(future.result() for future in futures)]


EVERY_ROW = sorted(
    ["second"]
    + [row for what in ("first", "second within", "submitted 0", "submitted 1") for row in (what, f"{what} again")]
)
"""What is in the table when the flow has ended, however often it was killed."""


def main(url: str, home: str, moment: str, at: int) -> None:
    """Execute the flow."""
    global kill_inside
    settings = Settings(home=home, database_url=url, log_console=False)
    journal: Any = open_journal(settings)
    if moment == "inside":
        kill_inside = at
    else:
        journal = FaultyJournal(journal, Fault(at, moment))  # type: ignore[arg-type]
    with Penstock(settings, journal=journal).activate():
        imports()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
