"""Workers whose PostgreSQL goes away for a while: no run is lost, none is executed twice, and nobody gives up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.conftest import missing
from tests.integration.own_server import OwnServer
from tests.patience import until

pytestmark = pytest.mark.integration
__all__ = ["place"]
IMPATIENT = """
from penstock.journal.postgres import PostgresJournal

PostgresJournal.__init__.__kwdefaults__["outage_seconds"] = 8.0
"""


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Iterator[OwnServer]:
    made = OwnServer(Path(tmp_path_factory.mktemp("own")))
    try:
        made.start()
    except subprocess.CalledProcessError:
        missing("no PostgreSQL server can be started here")
    try:
        place.cli.environ["PENSTOCK_DATABASE_URL"] = made.url
        place.cli.run("db", "upgrade")
        yield made
    finally:
        place.clean_up()
        made.purge()


def outage(place: Place, server: OwnServer, long: bool) -> tuple[Duty, dict[str, object]]:
    """The server goes away while a run is in a step, and comes back after that step has ended."""
    place.deploy("gated")
    place.deploy("tick", "--interval", "1s")
    worker = place.worker()
    run_id = place.trigger("gated")
    place.here("gate")
    server.stop()
    if long:
        until(
            lambda: any("could not reach" in e["message"] for e in worker.all("log")),
            "what the worker says",
            seconds=120,
        )
    place.open("gate")
    assert worker.process.poll() is None
    server.start()
    return worker, place.ended(run_id)


def go_on(place: Place, worker: Duty) -> None:
    """The worker and its scheduler are at work as before, and no due instant had two runs."""
    ticks = len(place.ran())
    until(lambda: len(place.ran()) > ticks + 2, "ticks after the outage")
    assert worker.end() == 0
    due = [r["scheduled_at"] for r in place.cli.json("runs", "list", "--limit", "1000")["runs"] if r["flow"] == "tick"]
    assert len(set(due)) == len(due)
    assert "Traceback" not in worker.err, worker.err


def test_a_short_outage_is_waited_for(place: Place, server: OwnServer) -> None:
    worker, run = outage(place, server, long=False)
    assert (run["state"], run["crashes"]) == ("Completed", 0)
    assert [word for word in place.ran() if word != "tick"] == ["before", "gate", "after"]
    go_on(place, worker)


@pytest.mark.chaos
def test_after_a_long_one_runs_are_taken_up_again(place: Place, server: OwnServer, tmp_path: Path) -> None:
    """Long is longer than a journal waits for its server: 60 seconds, and fewer here, for the worker and its runs."""
    (folder := tmp_path / "impatient").mkdir()
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    place.cli.environ["PYTHONPATH"] = os.pathsep.join([str(folder), place.cli.environ["PYTHONPATH"]])
    worker, run = outage(place, server, long=True)
    assert run["state"] == "Completed"
    done = [word for word in place.ran() if word != "tick"]
    assert (done.count("before"), done.count("after")) == (1, 1)
    go_on(place, worker)
