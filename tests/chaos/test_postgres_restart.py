"""PostgreSQL goes away in the middle of a run: the run survives, or can be resumed; it never hangs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family, recorded_attempts
from tests.chaos.lab import ROOT, Lab, until
from tests.chaos.shapes import SHAPES, effects_in
from tests.conftest import missing

from penstock.app import open_journal
from penstock.core.model import RunFilter

pytestmark = [pytest.mark.chaos, pytest.mark.integration]


class Server:
    """A PostgreSQL server of the test's own, which may be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.environ = {**os.environ, "PENSTOCK_SERVICES_DIR": str(folder), "PENSTOCK_SERVICES_ONLY": "postgres"}
        self.environ.pop("PENSTOCK_TEST_POSTGRES_URL", None)
        self.folder = folder

    def services(self, *words: str) -> None:
        done = subprocess.run(
            [str(ROOT / "scripts" / "services"), *words], env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        self.services("up")
        if not (self.folder / "postgres.url").is_file():
            missing("no PostgreSQL server could be started here")

    def stop(self) -> None:
        self.services("down")

    def url(self, database: str) -> str:
        server = (self.folder / "postgres.url").read_text().strip()
        return f"{server.removesuffix('/postgres')}/{database}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.services("down", "--purge")


@pytest.fixture
def store(server: Server, tmp_path: Path) -> dict[str, Any]:
    import psycopg

    name = f"restart_{uuid4().hex}"
    server.start()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return {"home": str(tmp_path / "home"), "database_url": server.url(name)}


def begun(lab: Lab, store: dict[str, Any], shape: str, work: Any = workers.run) -> Any:
    """A run that stops itself in the middle, so that the server can be stopped meanwhile."""
    worker = lab.start(
        work,
        store=store,
        shape=shape,
        where=str(lab.folder / "effects"),
        name="restarted",
        fault=["before", 4, "stop"],
    )
    worker.until_stopped()
    return worker


def check_end(lab: Lab, store: dict[str, Any], shape: str, kills: int) -> None:
    journal = open_journal(workers.settings_of(store))
    (root,) = journal.runs(RunFilter())
    runs = family(journal, root.id)
    for run in runs:
        check_run(journal, run)
        assert run.state == "Completed"
    made = effects_in(lab.folder / "effects")
    surplus = len(made) - len(recorded_attempts(journal, runs) & {(r, k, a) for r, _, k, a in made})
    assert surplus <= kills * SHAPES[shape].in_flight
    journal.close()


@pytest.mark.parametrize("shape", ["sequential", "mapped", "subflows", "gathered"])
def test_a_run_survives_a_server_that_was_restarted(
    lab: Lab, server: Server, store: dict[str, Any], shape: str
) -> None:
    """It finds its connection broken, connects again, and goes on."""
    worker = begun(lab, store, shape)
    server.stop()
    server.start()
    worker.signal(signal.SIGCONT)
    assert lab.wait(worker).value is not None
    check_end(lab, store, shape, kills=0)


@pytest.mark.parametrize("shape", ["sequential", "mapped", "subflows", "gathered"])
def test_a_run_waits_for_a_server_that_comes_back(lab: Lab, server: Server, store: dict[str, Any], shape: str) -> None:
    """Or gives up with a clear error and can be resumed: both will do, hanging will not."""
    worker = begun(lab, store, shape)
    server.stop()
    worker.signal(signal.SIGCONT)
    until(lambda: worker.errors.exists(), "it has begun")
    server.start()
    ended = lab.wait(worker)
    kills = 0
    if "value" not in ended.answer:
        assert ended.answer["error"] == "JournalUnavailable", ended
        assert "resume" in ended.answer["text"]
        kills = 1
        journal = open_journal(workers.settings_of(store))
        (root,) = journal.runs(RunFilter())
        journal.close()
        assert lab.run(workers.resume, store=store, run_id=root.id).value is not None
    check_end(lab, store, shape, kills)


def test_a_run_whose_server_stays_away_ends_and_can_be_resumed(lab: Lab, server: Server, store: dict[str, Any]) -> None:
    worker = begun(lab, store, "sequential", workers.run_impatiently)
    server.stop()
    worker.signal(signal.SIGCONT)
    ended = lab.wait(worker)
    assert ended.answer["error"] == "JournalUnavailable", ended
    assert "resume" in ended.answer["text"]
    server.start()
    journal = open_journal(workers.settings_of(store))
    (root,) = journal.runs(RunFilter())
    journal.close()
    assert lab.run(workers.resume, store=store, run_id=root.id).value == 26
    check_end(lab, store, "sequential", kills=1)
