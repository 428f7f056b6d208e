"""`penstock deploy prefect`, and a run there that looks like any other here: real servers and workers on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from tests.acceptance.duty_lab import Place, place
from tests.conftest import service_url
from tests.integration.prefect_lab import engine_at, environment, worker
from tests.patience import until

from penstock.app import Penstock, Settings
from penstock.testing.engines import outcome_of

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]
__all__ = ["place"]

SHOP = """
from penstock import flow, get_run_logger, task
from penstock.artifacts import create_markdown_artifact


@task(retries=1)
def fetch(number: int) -> int:
    get_run_logger().info("fetching %s", number)
    return number * 2


@flow
def shop(count: int = 2) -> int:
    create_markdown_artifact("# Shop", key="page")
    return sum(fetch.map(range(count)).result())
"""


@pytest.fixture
def name(place: Place) -> Iterator[str]:
    url, made = service_url("prefect"), f"shop-{uuid4().hex[:8]}"
    (place.folder / "shop.py").write_text(SHOP)
    place.declare(f'[tool.penstock.deployments.{made}]\nflow = "shop.py:shop"\npool = "{made}"\ncron = "0 2 * * *"\n')
    place.cli.environ["PREFECT_API_URL"] = url
    yield made
    engine = engine_at(url, place.cli.home)
    engine.remove(made)
    engine.close()


def ended(place: Place, run_id: str) -> dict[str, Any] | None:
    run = place.run(run_id)
    return run if run["ended_at"] is not None else None


def test_it_is_deployed_run_and_followed(place: Place, name: str) -> None:
    made = place.cli.json("deploy", "prefect", name)["deployments"][0]
    assert (made["change"], made["placed"]["engine"], made["placed"]["changed"]) == ("new", "prefect", True)
    assert made["deployment"]["engine"] == "prefect"
    again = place.cli.json("deploy", "prefect", name)["deployments"][0]
    assert (again["change"], again["placed"]["changed"]) == ("unchanged", False)
    assert "prefect makes its runs" in place.cli.run("deploy", "prefect", name).out
    env = environment(place.cli.environ["PREFECT_API_URL"], place.folder)
    place.worker("--pool", name)
    with worker(name, env):
        run_id = place.trigger(name, "-p", "count=3")
        run = until(lambda: ended(place, run_id), "the end of the run", seconds=120)  # two interpreters with Prefect
    assert run["state"] == "Completed", run["message"]
    app = Penstock(Settings(home=str(place.cli.home), log_console=False))
    outcome = outcome_of(app, run_id)
    app.close()
    assert outcome.result == 6
    assert outcome.steps == {f"fetch#{number}": ("Completed", 1) for number in (1, 2, 3)}
    assert outcome.artifacts == (("markdown", "page", None),)
    assert ("fetching 2", "fetch#3") in outcome.lines


def test_mistakes_are_told(place: Place, name: str) -> None:
    for url, told in (
        ("", "PREFECT_API_URL is not set"),
        ("http://127.0.0.1:9/api", "cannot be reached"),
        ("x", "'x'"),
    ):
        answer = place.cli.run("deploy", "prefect", name, code=2, PREFECT_API_URL=url)
        assert told in answer.err
        assert "Traceback" not in answer.err
    assert not place.cli.json("deployments", "list")["deployments"]
