"""What is done in the background goes on where the server that began it is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.patience import until

from penstock.core.clock import now_us
from penstock.core.model import RunFilter
from penstock.core.states import FINAL_WORDS
from penstock.journal import SqliteJournal
from penstock.testing.bulk import fill

pytestmark = pytest.mark.acceptance
__all__ = ["place"]
_RUNS = 1_500


def test_a_server_is_killed_while_it_deletes_runs(place: Place, penstock_home: Path) -> None:
    journal = SqliteJournal(penstock_home / "journal.db")
    fill(journal, _RUNS, begin=now_us() - 3_600_000_000, apart=1_000)  # too young for retention
    server = place.server("--json")
    with _client(server) as api:
        begun = api.post("/runs/delete", json={"all": True})
        assert begun.status_code == 202
        until(lambda: len(journal.run_keys(RunFilter(limit=_RUNS))) < _RUNS - 20, "the first of them")
    server.kill_all()
    ended = RunFilter(states=tuple(FINAL_WORDS), limit=_RUNS)
    left = len(journal.run_keys(ended, bare=True))
    assert 0 < left < _RUNS
    server = place.server("--json")
    with _client(server) as api:

        def over() -> Any:
            job = api.get(f"/jobs/{begun.json()['id']}").json()
            return job if job["state"] != "Running" else None

        job = until(over, "the end of the job")
    assert (job["state"], job["done"], job["skipped"]) == ("Completed", left, {})
    assert journal.run_keys(ended) == []
    assert {run.state for run in journal.runs(RunFilter())} == {"Running"}, "what has not ended stays"
    journal.close()


def _client(server: Duty) -> httpx.Client:
    return httpx.Client(base_url=f"{server.event('serving')['url']}/api/v1", timeout=60)
