"""One step in a process of its own: how it ends, what it says, and what it does when those around it are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tests.unit.waiting import until

from penstock.core.engines import OutsideLine
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import Record, RunCompleted, TaskCompleted, TaskRetrying
from penstock.core.release import VERSION
from penstock.deploy.lines import read, written
from penstock.deploy.orders import StepOrder
from penstock.deploy.outcomes import Outcomes, OutcomesUnreachable, checked_address, outcome
from penstock.deploy.step import run_step

FLOWS = """
import os, time
from pathlib import Path
from penstock import flow, get_run_logger, runtime, task
from penstock import sleep

@task
def make(n):
    get_run_logger().warning("making %d\\nof them", n)
    return list(range(n))

@task(retries=1)
def shaky(items):
    if runtime.task_run.run_count == 1:
        raise ValueError("not yet")
    return sum(items)

@task
def waits():
    os.open("begun", os.O_CREAT)
    child = os.fork()
    if not child:
        Path("child").write_text(str(os.getpid()))
    time.sleep(600)

@flow
def shop(n: int = 4):
    return shaky(make(n))

@flow
def sleeper():
    call = [sleep][0]
    call(1)

@flow
def stuck():
    waits()

@flow
def whole(n: int = 3):
    return [make(each) for each in range(n) if not (n == 3 and each == 2 and dies())]

def dies():
    if not os.path.exists("died"):
        os.open("died", os.O_CREAT)
        os._exit(9)
"""
STEPS = ["make#1", "shaky#1"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shopping.py").write_text(FLOWS)
    return folder


def order_of(project: Path, step: str, flow: str = "shop", **more: Any) -> dict[str, Any]:
    return {
        **{"penstock": VERSION, "results": str(project.parent / "store"), "run": RUN, "step": step},
        **{"deployment": "d", "entrypoint": f"shopping.py:{flow}", "folder": str(project), "steps": STEPS, **more},
    }


def started(project: Path, step: str, flow: str = "shop", **more: Any) -> subprocess.Popen[bytes]:
    order = order_of(project, step, flow, **more)
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock.deploy.step"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    return process


RUN = str(uuid4())


def done(project: Path, step: str, flow: str = "shop", **more: Any) -> tuple[int, str]:
    with started(project, step, flow, **more) as process:
        assert process.stdout is not None
        said = process.stdout.read().decode()
        return process.wait(), said


def test_steps_hand_their_outcomes_on_and_say_how_they_ended(project: Path) -> None:
    code, said = done(project, "make#1", parameters={"n": 5})
    assert code == 0, said
    (line,) = read(said.splitlines())
    assert (line.level, line.message, line.step) == (30, "making 5\nof them", "make#1")
    code, said = done(project, "shaky#1", parameters={"n": 5})
    assert code == 20, said
    assert "ValueError: not yet" in said
    assert "making" not in said
    assert done(project, "shaky#1", parameters={"n": 5})[0] == 0
    assert done(project, "verdict", parameters={"n": 5})[0] == 0
    store = Outcomes(str(project.parent / "store"))
    events = [event for event, _ in _records(store, "shaky#1")]
    assert [(type(event), getattr(event, "attempt", 0)) for event in events] == [(TaskRetrying, 1), (TaskCompleted, 2)]
    (last,) = _records(store, "verdict")
    assert isinstance(last.event, RunCompleted)
    assert last.event.result is not None
    assert store.results.load(last.event.result, last.data) == 10


def _records(store: Outcomes, step: str) -> list[Record]:
    found = store.get(RUN, step)
    assert found is not None
    return found.records


def test_a_step_that_is_executed_again_begins_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    steps = ("make#1", "shaky#1", "shaky#1", "shaky#1")
    codes = [run_step(msgspec.convert(order_of(project, step), StepOrder)) for step in steps]
    assert codes == [0, 20, 0, 20]


def test_a_flow_that_is_executed_as_a_whole_goes_on_after_its_process_died(project: Path) -> None:
    code, said = done(project, "whole", "whole")
    assert code == 9, said
    code, said = done(project, "whole", "whole")
    assert code == 0, said
    assert "making 0" not in said
    assert "making 2" in said
    store = Outcomes(str(project.parent / "store"))
    assert isinstance(_records(store, "whole")[-1].event, RunCompleted)
    assert list((project.parent / "store" / "journals").iterdir()) == []  # executed again, it begins anew


def test_a_wait_that_nobody_can_end_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert run_step(msgspec.convert(order_of(project, "whole", "sleeper"), StepOrder)) == 21
    ended = _records(Outcomes(str(project.parent / "store")), "whole")[-1].event
    assert "cannot wait for a moment" in (ended.message or "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"penstock": "99.0.1"}, "was deployed by Penstock 99.0.1"),
        ({"entrypoint": "shopping.py:nothing"}, "has no flow 'nothing'"),
        ({"entrypoint": "away.py:nothing"}, "There is no file 'away.py'"),
        ({"folder": "/nowhere/at/all"}, "/nowhere/at/all, where d was deployed, is no folder here"),
        ({"results": "/proc/nowhere"}, "/proc/nowhere cannot be reached"),
        ({"results": "relative"}, "is no absolute path"),
        ({"steps": ["other#1"]}, "calls make#1 now, and did not when it was deployed"),
    ],
    ids=["version", "flow", "file", "folder", "unreachable", "relative", "plan"],
)
def test_a_broken_set_up_is_told_in_a_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(PenstockError) as caught:
        run_step(msgspec.convert(order_of(project, "make#1", **more), StepOrder))
    assert told in caught.value.message


def test_a_process_says_that_its_set_up_is_broken(project: Path) -> None:
    code, said = done(project, "make#1", penstock="99.0.1")
    (line,) = read(said.splitlines())
    assert (code, line.level, line.step) == (22, 40, "make#1")
    assert "Hint: deploy it again" in line.message


def test_a_run_that_fails_before_its_step_passes_it_by(project: Path) -> None:
    code, said = done(project, "make#1", parameters={"n": "many"})
    assert code == 23
    assert "not reached: Validation of flow parameters failed" in said


def test_what_is_no_order_is_told() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "penstock.deploy.step"], input=b"{}\n", capture_output=True, check=False
    )
    assert run.returncode == 22
    assert b"this is no order" in run.stderr


def test_nothing_is_left_when_nobody_waits_any_more(project: Path) -> None:
    process = started(project, "waits#1", "stuck", steps=["waits#1"])
    try:
        child = _text(project / "child")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()
    until(lambda: _gone(Path(f"/proc/{child}/stat")), "its child lives")


def _text(path: Path) -> str:
    return str(until(lambda: path.exists() and path.read_text(), f"{path} did not come"))


def _gone(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


# ---------------------------------------------------------------------------------------------------- lines and places
@pytest.mark.parametrize(
    "line",
    [
        OutsideLine(at=1_700_000_000_123_456, level=20, message="plain", step="fetch#1"),
        OutsideLine(at=1, level=35, message="two\nlines | and more\n", step=None),
        OutsideLine(at=1_700_000_000_000_000, level=40, message="", step="an odd | näme#2/inner#1~2"),
    ],
    ids=["plain", "lines", "odd"],
)
def test_lines_are_read_as_they_were_written(line: OutsideLine) -> None:
    noise = ["*** not a line", "    | nor this"]
    assert list(read([*noise, *written(line).split("\n"), "another thing"])) == [line]


def test_outcomes_of_odd_names_are_kept_apart(tmp_path: Path) -> None:
    store = Outcomes(str(tmp_path))
    for step in ("a#1", "a/b#1", "../a#1", "ä ö#1"):
        store.put("run", step, outcome("1", []))
    assert sorted(step for step, _ in store.of_run("run")) == sorted(["a#1", "a/b#1", "../a#1", "ä ö#1"])
    assert store.get("other", "a#1") is None


def test_an_outcome_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    store = Outcomes(str(tmp_path))
    store.put("run", "a#1", outcome("9.9", []))
    (file,) = (tmp_path / "outcomes" / "run").iterdir()
    file.write_bytes(b"damaged")
    with pytest.raises(OutcomesUnreachable, match=r"outcome of a#1 .* is damaged"):
        store.get("run", "a#1")


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="holds a password"):
        checked_address("s3://key:secret@bucket/prefix")
