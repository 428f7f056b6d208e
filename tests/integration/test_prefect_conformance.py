"""The flows and workflows that every engine runs, on a real Prefect server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.conftest import service_url
from tests.integration.prefect_lab import engine_at, environment, run_there

from penstock.core.deployments import Deployment
from penstock.core.engines import OutsideRun
from penstock.deploy.prefect import ABILITIES
from penstock.journal.results import FileResultStore
from penstock.testing.engines import EngineConformance, Outcome, Trial

pytestmark = pytest.mark.integration


class TestPrefect(EngineConformance):
    abilities = ABILITIES

    url: str
    folder: Path

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.url = service_url("prefect")
        cls.folder = tmp_path_factory.mktemp("prefect")

    def run(self, trials: Sequence[Trial]) -> Iterable[Outcome]:
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        (project / "pyproject.toml").write_text(
            '[tool.penstock.workflows]\nmodules = ["penstock.testing.engine_flows"]\n'
        )
        home = self.folder / "home"
        told = []
        for trial in trials:
            about = {"home": str(home), "folder": str(project), "deployment": trial.case.name}
            if trial.workflow is not None:
                about["workflow"] = msgspec.to_builtins(trial.workflow)
            else:
                about["entrypoint"] = trial.case.entrypoint
            told.append(about)
        references = run_there(told, [trial.parameters for trial in trials], environment(self.url, self.folder))
        engine = engine_at(self.url, home)
        results = FileResultStore(home / "results")
        for reference in references:
            yield outcome_of_run(engine.look(reference), engine.lines(reference, None, 0), results)
        engine.close()

    def refuse(self, trial: Trial) -> None:
        flow = trial.case.entrypoint
        engine_at(self.url, self.folder).place(Deployment(name=trial.case.name, flow=trial.case.name, entrypoint=flow))


def outcome_of_run(run: OutsideRun, lines: Sequence[object], results: FileResultStore) -> Outcome:
    """What came of a run, as the engine tells of it."""
    return Outcome(
        state=run.state,
        result=results.load(run.result, run.data) if run.result is not None else None,
        message=run.message or "",
        steps={step.key: (step.state, max(step.attempt, 1)) for step in run.steps},
        lines=tuple((line.message, line.step) for line in lines),  # type: ignore[attr-defined]
        artifacts=tuple(sorted(((made.kind, made.key, made.step) for made in run.artifacts), key=str)),
    )
