"""A real Airflow with deployments of Penstock in it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests import patience
from tests.conftest import service_url

from penstock.core.deployments import Deployment
from penstock.core.engines import EngineSettings, Order, OutsideRun
from penstock.core.errors import EngineUnreachable
from penstock.deploy.airflow.engine import AirflowEngine, airflow_engine
from penstock.deploy.outcomes import Outcomes

until = partial(patience.until, seconds=120.0, every=0.2)


class Lab:
    """The real Airflow, with some deployments, and a place for their outcomes.

    Args:
        folder: for the outcomes.
        flows: entrypoints, each deployed under a name of its own.
        project: where the flows are, if not in the folder.
    """

    def __init__(self, folder: Path, *flows: str, project: Path | None = None) -> None:
        url = urlsplit(service_url("airflow"))
        self.prefix = f"lab {uuid4().hex[:8]}"
        self.folder = folder
        self.store = Outcomes(str(folder / "store"))
        environment = {
            "AIRFLOW_API_URL": f"{url.scheme}://{url.hostname}:{url.port}",
            "AIRFLOW_USER": url.username or "",
            "AIRFLOW_PASSWORD": url.password or "",
            "AIRFLOW_DAGS_FOLDER": parse_qs(url.query)["dags"][0],
            "AIRFLOW_RESULTS": str(folder / "store"),
        }
        self.engine: AirflowEngine = airflow_engine(EngineSettings(environment=environment, home=str(folder / "home")))
        self.placed: dict[str, Any] = {}
        for entrypoint in flows:
            flow = entrypoint.rpartition(":")[2]
            plan = Deployment(name=self.name(flow), flow=flow, entrypoint=entrypoint, folder=str(project or folder))
            self.placed[flow] = self.engine.place(plan)

    def close(self) -> None:
        for flow in self.placed:
            self.engine.remove(self.name(flow))
        self.engine.close()

    def name(self, flow: str) -> str:
        return f"{self.prefix} {flow}"

    def started(self, flow: str, **parameters: Any) -> tuple[str, str]:
        run = str(uuid4())
        order = Order(deployment=self.name(flow), run_id=run, parameters=parameters)
        return run, until(lambda: self._start(order), "Airflow has read the file")

    def _start(self, order: Order) -> str | None:
        try:
            return self.engine.start(order)
        except EngineUnreachable:  # it has not read the file yet
            return None

    def ended(self, reference: str) -> OutsideRun:
        def look() -> OutsideRun | None:
            found = self.engine.look(reference)
            return found if found.ended is not None else None

        return until(look, "the run's end")

    def events(self, run: str, step: str) -> list[Any]:
        found = self.store.get(run, step)
        assert found is not None, step
        return [event for event, _ in found.records]

    def result(self, run: str, step: str = "verdict") -> Any:
        found = self.store.get(run, step)
        assert found is not None
        event, data = found.records[-1]
        value = self.store.results.load(event.result, data)  # type: ignore[attr-defined]
        return value.fetch() if hasattr(value, "fetch") else value
