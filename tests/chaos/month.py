"""The process that lives through a month: called again and again by `test_month`, and killed at some append.

python month.py JOURNAL EFFECTS START END KILL_AT WHEN
"""

from __future__ import annotations

import sys
from pathlib import Path

from penstock import flow, runtime, task
from penstock.journal.sqlite import SqliteJournal
from penstock.testing import Fault, FaultyJournal, Simulation
from penstock.testing.faults import kill_process


@task
def load(step: int) -> int:
    with Path(sys.argv[2]).open("a") as file:
        file.write(f"{runtime.flow_run.id} {step}\n")
    return step


@flow
def served() -> int:
    return sum(load(step) for step in range(3))


SCHEDULES = {
    "nightly": "0 2 * * *",
    "six-hourly": "0 */6 * * *",
    "hourly": "@hourly",
    "office": "0 9-17 * * 1-5",
}


def main() -> None:
    journal, _, start, end, kill_at, when = sys.argv[1:]
    fault = Fault(at=int(kill_at), when="before" if when == "before" else "after", strike=kill_process)
    with Simulation(start, journal=FaultyJournal(SqliteJournal(Path(journal)), fault)) as month:
        month.deploy(
            *(
                served.to_deployment(name, cron=cron, timezone="Europe/Berlin", missed="all")
                for name, cron in SCHEDULES.items()
            )
        )
        left = int(end) - month.clock.now()
        month.run(seconds=left / 1_000_000)


if __name__ == "__main__":
    main()
