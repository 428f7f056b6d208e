"""The flows and workflows that every engine runs, on a real Airflow."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import msgspec
import pytest
from tests.conftest import service_url

from penstock.core.deployments import Deployment
from penstock.core.engines import EngineSettings, Order, OutsideRun
from penstock.core.errors import EngineUnreachable
from penstock.core.workflows import WorkflowSpec
from penstock.deploy.airflow import ABILITIES, airflow_engine
from penstock.deploy.airflow.engine import AirflowEngine
from penstock.deploy.outcomes import Outcomes
from penstock.testing.engines import EngineConformance, Outcome, Trial

_PATIENCE_SECONDS = 250.0

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


class TestAirflow(EngineConformance):
    abilities = ABILITIES

    engine: ClassVar[AirflowEngine]
    store: ClassVar[Outcomes]
    prefix: ClassVar[str]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        url = urlsplit(service_url("airflow"))
        folder = tmp_path_factory.mktemp("airflow")
        (folder / "pyproject.toml").write_text(
            '[tool.penstock.workflows]\nmodules = ["penstock.testing.engine_flows"]\n'
        )
        environment = {
            "AIRFLOW_API_URL": f"{url.scheme}://{url.hostname}:{url.port}",
            "AIRFLOW_USER": url.username or "",
            "AIRFLOW_PASSWORD": url.password or "",
            "AIRFLOW_DAGS_FOLDER": parse_qs(url.query)["dags"][0],
        }
        cls.engine = airflow_engine(EngineSettings(environment=environment, home=str(folder / "home")))
        cls.store = Outcomes(str(folder / "home"))
        cls.prefix = f"c{uuid4().hex[:8]}"
        before = Path.cwd()
        os.chdir(folder)
        yield
        os.chdir(before)
        for trial, _ in cls._outcomes.values():
            cls.engine.remove(cls._named(trial))
        cls.engine.close()

    @classmethod
    def _named(cls, trial: Trial) -> str:
        return f"{cls.prefix}_{trial.case.name.replace('-', '_')}"

    def _placed(self, trial: Trial) -> Order:
        plan: Deployment | WorkflowSpec
        if trial.workflow is not None:
            plan = msgspec.structs.replace(trial.workflow, name=self._named(trial))
        else:
            plan = Deployment(name=self._named(trial), flow=trial.case.name, entrypoint=trial.case.entrypoint)
        self.engine.place(plan)
        return Order(deployment=self._named(trial), run_id=str(uuid4()), parameters=trial.parameters)

    def run(self, trials: Sequence[Trial]) -> Iterable[Outcome]:
        orders = [self._placed(trial) for trial in trials]
        references = [self._started(order) for order in orders]
        end = time.monotonic() + _PATIENCE_SECONDS
        left, ended = list(references), dict[str, OutsideRun]()
        while left and time.monotonic() < end:
            for reference in list(left):
                seen = self.engine.look(reference)
                if seen.ended is not None:
                    ended[reference] = seen
                    left.remove(reference)
            time.sleep(0.5)
        assert not left, left
        for reference in references:
            yield self._outcome(reference, ended[reference])

    def _started(self, order: Order) -> str:
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(EngineUnreachable):  # Airflow has not read the file yet
                return self.engine.start(order)
            time.sleep(0.2)
        raise AssertionError(f"Airflow did not read {order.deployment}")

    def _outcome(self, reference: str, run: OutsideRun) -> Outcome:
        keys = (None, *(step.key for step in run.steps))
        lines = [line for key in keys for line in self.engine.lines(reference, key, 0)]
        value = self.store.results.load(run.result, run.data) if run.result is not None else None
        return Outcome(
            state=run.state,
            result=value.fetch() if hasattr(value, "fetch") else value,
            message=run.message or "",
            steps={step.key: (step.state, max(step.attempt, 1)) for step in run.steps},
            lines=tuple((line.message, line.step) for line in lines),
            artifacts=tuple(sorted(((made.kind, made.key, made.step) for made in run.artifacts), key=str)),
        )

    def refuse(self, trial: Trial) -> None:
        self._placed(trial)
