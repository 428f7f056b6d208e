"""The suite of `penstock.testing.engines` on threads and on processes of this machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on, newest

from penstock.app import Penstock
from penstock.authoring.loading import load_flow
from penstock.core.engines import Abilities
from penstock.core.ports import TaskRunner
from penstock.engine.workflows import callables_of, execute
from penstock.flows import Flow
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from penstock.testing.engines import EngineConformance, Outcome, Trial, completeness, outcome_of

pytestmark = pytest.mark.timeout(300)  # the first test of a class waits for all its runs
LISTED = '[tool.penstock.workflows]\nmodules = ["penstock.testing.engine_flows"]\n'


def flow_of(trial: Trial, runner: TaskRunner) -> Any:
    """What to call: the flow, or one that executes the workflow."""
    spec = trial.workflow
    if spec is None:
        return load_flow(trial.case.entrypoint).with_options(task_runner=runner)
    (trial.folder / "pyproject.toml").write_text(LISTED)
    callables = callables_of(trial.folder)

    def workflow(**parameters: Any) -> Any:
        return execute(spec, callables, parameters)

    return Flow(workflow, name=spec.name, task_runner=runner)


class Runners(EngineConformance):
    app: Penstock

    @abstractmethod
    def runner(self) -> TaskRunner:
        """A new one."""

    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> Iterator[None]:
        with engine_on(tmp_path).activate() as self.app:
            yield

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        runner = self.runner()
        for trial in trials:
            call = flow_of(trial, runner)(**trial.parameters, return_state=True)
            if hasattr(call, "__await__"):
                import asyncio

                asyncio.run(_awaited(call))
            yield outcome_of(self.app, newest(self.app).id)


async def _awaited(call: Any) -> Any:
    return await call


class TestThreads(Runners):
    def runner(self) -> TaskRunner:
        return ThreadPoolTaskRunner()


class TestProcesses(Runners):
    def runner(self) -> TaskRunner:
        return ProcessPoolTaskRunner(max_workers=2)


def test_the_table_says_why() -> None:
    table = completeness({"here": Abilities(), "there": Abilities(fork="it cannot", resume="it cannot")})
    assert "| `retries`: a failed task is tried again, after a delay | yes | yes |" in table
    assert "| `fork`: a new run begins in the middle of an old one | yes | no (1) |" in table
    assert table.endswith("\n1. it cannot\n")
    assert all(f"| `{name}`: " in table for name in Abilities.__struct_fields__)
