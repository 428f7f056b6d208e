"""For tests of Prefect: flows that are run in a process of their own, against the real server, and a real worker.

As a program it runs what it is given on its standard input, and says under which id Prefect has each run.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.authoring.loading import load_flow
from penstock.core.deployments import Deployment
from penstock.core.engines import EngineSettings, OutsideRun
from penstock.core.states import FINAL_WORDS
from penstock.deploy.prefect.engine import PrefectEngine
from penstock.orchestrator.declaring import deployment_of

AT_ONCE = 3


def environment(url: str, folder: Path) -> dict[str, str]:
    """Of processes that use a server; what they keep is in this folder."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "PREFECT_"))},
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }


def engine_at(url: str, home: Path) -> PrefectEngine:
    """The engine of a server."""
    return PrefectEngine(EngineSettings(environment={"PREFECT_API_URL": url}, home=str(home)))


def deployment(file: Path, flow: str, name: str, **options: Any) -> Deployment:
    """A deployment of a flow in a file."""
    made = deployment_of(load_flow(f"{file}:{flow}"), name, options)
    assert isinstance(made, Deployment)
    return made


def run_there(projects: list[dict[str, Any]], given: list[Mapping[str, Any]], env: Mapping[str, str]) -> list[str]:
    """Run flows in one process, several at once; gives their ids on Prefect, in order."""
    text = json.dumps([projects, given])
    done = subprocess.run(
        [sys.executable, __file__], input=text, env=dict(env), capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    references: list[str] = json.loads(done.stdout.splitlines()[-1])
    return references


@contextmanager
def worker(pool: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of Prefect, which starts a process for each run."""
    program = str(Path(sys.executable).with_name("prefect"))
    command = [program, "worker", "start", "--pool", pool, "--type", "process"]
    log = Path(env["PREFECT_HOME"]).with_name(f"worker-{pool}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(env), stdout=out, stderr=out, start_new_session=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until(
    engine: PrefectEngine, reference: str, wanted: Callable[[OutsideRun], bool], seconds: float
) -> OutsideRun:
    """Look at a run until it is as wanted."""
    end = time.monotonic() + seconds
    while True:
        run = engine.look(reference)
        if wanted(run):
            return run
        if time.monotonic() > end:
            said = "\n".join(line.message for line in engine.lines(reference, None, 0))
            raise AssertionError(f"after {seconds:g} s it is {run}\n{said}")
        time.sleep(0.2)


def ended(run: OutsideRun) -> bool:
    """It is over."""
    return run.state in FINAL_WORDS


def _main() -> None:
    from prefect.flow_engine import run_flow

    from penstock.deploy.prefect.entry import Project, flow_of

    projects, given = json.load(sys.stdin)

    def run(project: dict[str, Any], parameters: dict[str, Any]) -> str:
        flow = flow_of(Project(**project))
        state = run_flow(flow, parameters=parameters, return_type="state")
        if inspect.iscoroutine(state):
            state = asyncio.run(state)
        return str(state.state_details.flow_run_id)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        print(json.dumps(list(threads.map(run, projects, given))))


if __name__ == "__main__":
    _main()
