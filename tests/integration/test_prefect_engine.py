"""Deployments on a real Prefect server: placed once, changed, paused, removed; and what is refused or goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.conftest import service_url
from tests.integration import prefect_flows
from tests.integration.prefect_lab import deployment, engine_at
from tests.integration.proxy import Proxy

from penstock.core.engines import Order
from penstock.core.errors import (
    DeploymentError,
    EngineRefused,
    EngineUnreachable,
    RunNotThere,
    Unsupported,
)
from penstock.core.ids import new_run_id
from penstock.core.workflows import read
from penstock.deploy.prefect.engine import PrefectEngine

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[PrefectEngine]:
    made = engine_at(service_url("prefect"), tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(prefect_flows.__file__, tmp_path / f"flows_{uuid4().hex[:8]}.py"))


@pytest.fixture
def name(engine: PrefectEngine) -> Iterator[str]:
    made = f"test-{uuid4().hex[:12]}"
    yield made
    engine.remove(made)


def there(engine: PrefectEngine, place: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.client.ask("GET", f"/deployments/{place}")
    return found


def test_what_is_unchanged_stays_and_what_is_changed_is_changed(engine: PrefectEngine, file: Path, name: str) -> None:
    options: dict[str, Any] = {"cron": "0 2 * * *", "timezone": "Europe/Paris", "parameters": {"folder": "here"}}
    placed = engine.place(deployment(file, "shop", name, **options, tags=["x"], version="7"))
    assert placed.changed
    assert placed.steps
    found = there(engine, placed.place)
    assert (found["version"], found["tags"], found["parameters"]) == ("7", ["shop", "x"], {"folder": "here"})
    assert [(each["schedule"]["cron"], each["schedule"]["timezone"]) for each in found["schedules"]] == [
        ("0 2 * * *", "Europe/Paris")
    ]
    assert found["parameter_openapi_schema"]["properties"]["count"]["default"] == 2
    again = engine.place(deployment(file, "shop", name, **options, tags=["x"], version="7"))
    assert (again.changed, again.place) == (False, placed.place)
    assert there(engine, placed.place)["updated"] == found["updated"]
    changed = engine.place(deployment(file, "shop", name, **{**options, "cron": "0 3 * * *"}))
    assert (changed.changed, changed.place) == (True, placed.place)
    assert [each["schedule"]["cron"] for each in there(engine, placed.place)["schedules"]] == ["0 3 * * *"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"interval": "15m"}, "interval"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO"}, "rrule"),
        ({"at": ["2031-01-02T03:04:05", "2031-02-02T03:04:05"]}, "rrule"),
        ({"cron": "@daily"}, "cron"),
    ],
)
def test_each_kind_of_schedule_is_taken(
    engine: PrefectEngine, file: Path, name: str, options: dict[str, Any], kind: str
) -> None:
    placed = engine.place(deployment(file, "shop", name, parameters={"folder": "."}, **options))
    schedules = there(engine, placed.place)["schedules"]
    assert len(schedules) == len(options.get("at", [1]))
    assert all(kind in each["schedule"] for each in schedules)


def test_it_is_paused_and_removed(engine: PrefectEngine, file: Path, name: str) -> None:
    placed = engine.place(deployment(file, "shop", name))
    engine.pause(name, True)
    assert there(engine, placed.place)["paused"]
    engine.pause(name, False)
    assert not there(engine, placed.place)["paused"]
    assert engine.remove(name)
    assert not engine.remove(name)
    with pytest.raises(EngineRefused, match="no deployment"):
        engine.pause(name, True)
    with pytest.raises(EngineRefused, match="penstock deploy prefect"):
        engine.start(Order(deployment=name, run_id=new_run_id()))


def test_one_order_makes_one_run_and_wrong_parameters_none(engine: PrefectEngine, file: Path, name: str) -> None:
    engine.place(deployment(file, "shop", name))
    order = Order(deployment=name, run_id=new_run_id(), parameters={"folder": "."})
    assert engine.find(order) is None
    with pytest.raises(EngineRefused, match="count"):
        engine.start(Order(deployment=name, run_id=new_run_id(), parameters={"folder": ".", "count": "many"}))
    with ThreadPoolExecutor(3) as threads:
        references = set(threads.map(lambda _: engine.start(order), range(3)))
    assert references == {engine.find(order)}
    reference = references.pop()
    assert engine.look(reference).state == "Scheduled"
    engine.cancel(reference)
    assert engine.look(reference).state == "Cancelled"


def test_runs_that_nobody_ordered_are_found(engine: PrefectEngine, file: Path, name: str) -> None:
    placed = engine.place(deployment(file, "shop", name))
    engine.start(Order(deployment=name, run_id=new_run_id(), parameters={"folder": "."}))
    body = {"parameters": {"folder": "theirs"}}
    made = engine.client.ask("POST", f"/deployments/{placed.place}/create_flow_run", body)
    assert engine.begun([name], 0) == []
    for state in ("PENDING", "RUNNING"):
        engine.client.ask("POST", f"/flow_runs/{made['id']}/set_state", {"state": {"type": state}, "force": True})
    (found,) = engine.begun([name, "another"], 0)
    assert (found.deployment, found.reference, found.run_id) == (name, made["id"], made["id"])
    assert found.parameters == {"folder": "theirs"}
    assert engine.begun([], 0) == []


def test_two_who_deploy_at_once_make_one(engine: PrefectEngine, file: Path, name: str) -> None:
    plan = deployment(file, "shop", name, cron="@daily", parameters={"folder": "."}, work_pool_name=f"{name}-pool")
    with ThreadPoolExecutor(4) as threads:
        placed = list(threads.map(lambda _: engine.place(plan), range(4)))
    assert len({each.place for each in placed}) == 1
    assert len(there(engine, placed[0].place)["schedules"]) == 1


def test_another_flow_may_take_the_name(engine: PrefectEngine, file: Path, name: str) -> None:
    engine.place(deployment(file, "shop", name))
    placed = engine.place(deployment(file, "patient", name))
    assert placed.changed
    flow = engine.client.ask("GET", f"/flows/{there(engine, placed.place)['flow_id']}")
    assert flow["name"] == "patient"
    assert len(engine.client.ask("POST", "/deployments/filter", {"deployments": {"name": {"any_": [name]}}})) == 1


def test_a_deployment_of_somebody_else_is_left_alone(engine: PrefectEngine, file: Path, name: str) -> None:
    flow = engine.client.ask("POST", "/flows/", {"name": "theirs"})
    made = engine.client.ask("POST", "/deployments/", {"name": name, "flow_id": flow["id"]})
    with pytest.raises(DeploymentError, match="already, and Penstock has not made it"):
        engine.place(deployment(file, "shop", name))
    engine.client.ask("DELETE", f"/deployments/{made['id']}")


def test_a_workflow_is_placed(engine: PrefectEngine, name: str) -> None:
    workflow = name.replace("-", "_")
    task = {"name": "one", "python_callable": "shop.tasks:one"}
    spec = read({"name": workflow, "schedule": "@daily", "parameters": {"rows": 3}, "tasks": [task]})
    placed = engine.place(spec)
    assert there(engine, placed.place)["parameters"] == {"rows": 3}
    assert not engine.place(spec).changed
    assert engine.remove(workflow)


def test_what_prefect_lacks_is_refused_with_every_reason(engine: PrefectEngine, file: Path, name: str) -> None:
    with pytest.raises(Unsupported) as refused:
        engine.place(deployment(file, "cannot", name, cron="0 0 2 * * *", jitter=5, parameters={"folder": "."}))
    told = str(refused.value)
    assert all(each in told for each in ("commit together", "a run that waits", "seconds", "jitter")), told
    with pytest.raises(Unsupported) as refused:
        engine.place(deployment(file, "odd", name))
    assert all(each in str(refused.value) for each in ("'a/b'", "one delay", "under any name"))
    assert engine.client.ask("POST", "/deployments/filter", {"deployments": {"name": {"any_": [name]}}}) == []


def test_a_server_that_is_away_is_told_and_may_come_back(engine: PrefectEngine, file: Path, name: str) -> None:
    placed = engine.place(deployment(file, "shop", name))
    reference = engine.start(Order(deployment=name, run_id=new_run_id(), parameters={"folder": "."}))
    where = urlsplit(engine.client.url)
    proxy = Proxy(where.hostname or "", where.port or 80)
    behind = engine_at(f"http://127.0.0.1:{proxy.port}/api", Path("home"))
    assert behind.look(reference).state == "Scheduled"
    behind.close()
    proxy.close()
    for ask in (
        lambda: behind.look(reference),
        lambda: behind.place(deployment(file, "shop", name)),
        behind.status,
    ):
        with pytest.raises(EngineUnreachable, match="cannot be reached"):
            ask()
    behind.close()
    assert engine.look(reference).state == "Scheduled"
    assert engine.status().startswith("Prefect 3.")
    assert there(engine, placed.place)["name"] == name
    wrong = engine_at(engine.client.url.removesuffix("/api"), Path("home"))
    with closing(wrong), pytest.raises(EngineRefused, match="/api"):
        wrong.status()


def test_runs_that_are_not_there(engine: PrefectEngine) -> None:
    for reference in (str(uuid4()), "../../admin", "", "no"):
        with pytest.raises(RunNotThere):
            engine.look(reference)
        with pytest.raises(RunNotThere):
            engine.lines(reference, None, 0)
