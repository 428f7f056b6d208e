"""The examples, unchanged, in a real Prefect and a real Airflow: the same files come of them as here."""
# ruff: noqa: F401, F811 - fixtures are imported

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.acceptance.duty_lab import Place, place
from tests.acceptance.json_api import Reply, serving
from tests.acceptance.test_airflow_runs import Airflow, airflow
from tests.acceptance.test_shop import EXAMPLE, Shop, shop
from tests.acceptance.users_posts import FILES, FLOW, contents
from tests.conftest import service_url
from tests.integration.prefect_lab import engine_at, environment, worker
from tests.patience import until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(500)]


class Elsewhere:
    """An engine with one deployment, whose runs are followed here.

    Args:
        place: the project.
        engine: its name.
        name: of the deployment, and of its pool.
        works: what executes its runs there, where that is not there already.
    """

    def __init__(self, place: Place, engine: str, name: str, works: AbstractContextManager[Any]) -> None:
        self._place = place
        self._engine = engine
        self._name = name
        self._works = works

    def run(self, flow: str, *given: dict[str, Any], before: Any = None) -> list[dict[str, Any]]:
        """Deploy a flow, and run it with each of these parameters, one after the other; gives the runs' tasks."""
        place, name = self._place, self._name
        place.declare(f'[tool.penstock.deployments.{name}]\nflow = "{flow}"\npool = "{name}"\n')
        made = place.cli.json("deploy", self._engine, name)["deployments"][0]
        assert made["placed"]["engine"] == self._engine
        follower = place.worker("--pool", name)
        tasks = []
        with self._works:
            for number, parameters in enumerate(given):
                if before is not None:
                    before(number)
                run_id = place.trigger(name, *(word for given in parameters.items() for word in ("-p", _said(*given))))
                run = until(partial(ended, place, run_id), "the end of the run", seconds=200)
                assert run["state"] == "Completed", (run["message"], place.cli.run("runs", "logs", run_id).out)
                tasks += place.cli.json("runs", "show", run_id)["steps"]
        assert follower.end() == 0
        return tasks


def ended(place: Place, run_id: str) -> dict[str, Any] | None:
    run = place.run(run_id)
    return run if run["ended_at"] is not None else None


def _said(name: str, value: Any) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


@pytest.fixture(params=["prefect", pytest.param("airflow", marks=pytest.mark.slow)])
def elsewhere(place: Place, request: pytest.FixtureRequest) -> Iterator[Elsewhere]:
    place.cli.environ["no_proxy"] = "127.0.0.1"
    if request.param == "airflow":
        there: Airflow = request.getfixturevalue("airflow")
        place.cli.environ.update(there.environ)
        yield Elsewhere(place, "airflow", there.name, nullcontext())
        return
    url, name = service_url("prefect"), f"example-{uuid4().hex[:8]}"
    place.cli.environ["PREFECT_API_URL"] = url
    env = {**environment(url, place.folder), "no_proxy": "127.0.0.1"}
    yield Elsewhere(place, "prefect", name, worker(name, env))
    engine = engine_at(url, place.cli.home)
    engine.remove(name)
    engine.close()


def test_users_and_posts(elsewhere: Elsewhere, place: Place, test_data: Path, tmp_path: Path) -> None:
    real = json.loads((test_data / "jsonplaceholder" / "data.json").read_text(encoding="utf-8"))
    flow, here, there = f"{FLOW}:users_posts", tmp_path / "here", tmp_path / "there"
    with serving({"/users": [Reply(real["users"])], "/posts": [Reply(real["posts"])]}) as api:
        place.cli.run("run", flow, "--quiet", "-p", f"base_url={api.url}", "-p", f"output_dir={here}")
        tasks = elsewhere.run(flow, {"base_url": api.url, "output_dir": str(there)})
    assert {task["state"] for task in tasks} == {"Completed"}
    assert sorted(contents(there)) == sorted(FILES)
    assert contents(there) == contents(here)


def test_the_shop(elsewhere: Elsewhere, shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    own = {
        "lake": str(folder / "lake"),
        "warehouse": f"duckdb:///{folder / 'warehouse.duckdb'}",
        "exports": str(folder / "exports"),
    }
    folder.mkdir()
    days: list[dict[str, Any]] = [{"places": {**shop.places, **own}}] * 2

    def day(number: int) -> None:
        shop.open(number)
        shop.run()

    tasks = elsewhere.run(f"{EXAMPLE / 'flow.py'}:shop", *days, before=day)
    assert {task["state"] for task in tasks} == {"Completed"}
    shop.check(2)
    found = exported(folder / "exports")
    assert found
    assert found == exported(Path(shop.places["exports"]))


def exported(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.csv")}
