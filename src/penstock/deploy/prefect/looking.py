"""Runs of Prefect as Penstock has them: from what its API tells, and from what they left in the result store."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.engines import OutsideArtifact, OutsideLine, OutsideRun, OutsideStep
from penstock.core.events import now_us
from penstock.core.states import FINAL_WORDS
from penstock.deploy.prefect.client import PrefectClient
from penstock.deploy.prefect.names import called
from penstock.deploy.prefect.record import RUN, Ended, read

_BY_NAME = {"Retrying": "Retrying", "AwaitingRetry": "Retrying", "NotReady": "Failed", "Paused": "Paused"}
_BY_TYPE = {"CANCELLING": "Running"}
_ARTIFACTS = ("markdown", "link", "image", "table", "progress")
_PATIENCE_US = 20_000_000
_UNSEEN = "Prefect has not been told of the end of this step."


def looked(client: PrefectClient, home: Path, flow_run: dict[str, Any], run_id: str) -> OutsideRun:
    """A run as it is by now.

    Args:
        client: of its server.
        home: Penstock's home folder, with the result store.
        flow_run: as the API has it.
        run_id: what Penstock calls it.
    """
    known = read(home, run_id)
    state = state_of(flow_run)
    ended = known.get(RUN)
    over = state in FINAL_WORDS
    tasks = list(client.pages("/task_runs/filter", _of_run(flow_run, sort="EXPECTED_START_TIME_ASC")))
    keys = keys_of(tasks)
    steps = _steps(tasks, keys, known)
    if over:
        steps = [_closed(step, state, flow_run) for step in steps]
    facts: dict[str, Any] = {}
    if over and ended is not None and ended.state == state.upper():
        facts = {"result": ended.result, "error": ended.error, "data": ended.data, "state_name": ended.name}
    return OutsideRun(
        reference=flow_run["id"],
        state=state,
        started=micros(flow_run.get("start_time")),
        ended=micros(flow_run.get("end_time")) if over else None,
        message=_message(flow_run, ended if facts else None),
        steps=tuple(steps),
        url=f"{client.url.removesuffix('/api')}/runs/flow-run/{flow_run['id']}",
        artifacts=tuple(_artifacts(client, flow_run, keys)),
        **facts,
    )


def _of_run(flow_run: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": [flow_run["id"]]}}, **more}


def state_of(run: Mapping[str, Any]) -> str:
    """Which of Penstock's states a run or a task run of Prefect is in."""
    state = run.get("state") or {}
    kind, name = state.get("type") or run.get("state_type") or "PENDING", state.get("name") or run.get("state_name")
    return _BY_NAME.get(name or "") or _BY_TYPE.get(kind) or kind.capitalize()


def _message(flow_run: Mapping[str, Any], ended: Ended | None) -> str | None:
    message = (flow_run.get("state") or {}).get("message")
    return ended.message if ended is not None and ended.message is not None else message


def keys_of(tasks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The keys of steps, by the ids of the task runs. That of a subflow is not on Prefect: it is counted."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    for task in tasks:
        if "#" in task["task_key"]:
            found[task["id"]] = task["task_key"]
    for task in tasks:
        if task["id"] not in found:
            parents = (task.get("task_inputs") or {}).get("__parents__") or []
            within = next((found[each["id"]] for each in parents if each.get("id") in found), None)
            name = f"{within}/{_subflow(task)}" if within else _subflow(task)
            counts[name] = counts.get(name, 0) + 1
            found[task["id"]] = f"{name}#{counts[name]}"
    return found


def _subflow(task: Mapping[str, Any]) -> str:
    """The name of the flow that a task run stands for: Prefect adds a number to it."""
    return str(task["name"]).rpartition("-")[0] or str(task["name"])


def _steps(
    tasks: Sequence[Mapping[str, Any]], keys: Mapping[str, str], known: Mapping[str, Ended]
) -> list[OutsideStep]:
    latest: dict[str, Mapping[str, Any]] = {}
    for task in tasks:
        latest[keys[task["id"]]] = task
    found = {key: _step(key, task) for key, task in latest.items()}
    found |= {key: _ended_step(ended, found.get(key)) for key, ended in known.items() if key != RUN}
    begun = [step for step in found.values() if step.state not in ("Pending", "Scheduled")]
    return sorted(begun, key=lambda step: step.started or 0)


def _step(key: str, task: Mapping[str, Any]) -> OutsideStep:
    state = state_of(task)
    return OutsideStep(
        key=key,
        state=state,
        attempt=int(task.get("run_count") or 0),
        started=micros(task.get("start_time")),
        ended=micros(task.get("end_time")) if state in FINAL_WORDS else None,
        message=(task.get("state") or {}).get("message"),
    )


def _ended_step(ended: Ended, task: OutsideStep | None) -> OutsideStep:
    """A step whose end is in the result store, which is the last word."""
    return OutsideStep(
        key=ended.key,
        state=ended.state.capitalize(),
        state_name=ended.name,
        attempt=ended.attempt,
        started=ended.started or (task.started if task is not None else None),
        ended=ended.ended,
        message=ended.message,
        result=ended.result,
        error=ended.error,
        data=ended.data,
        step=ended.step,
    )


def _closed(step: OutsideStep, state: str, flow_run: Mapping[str, Any]) -> OutsideStep:
    """A step of a run that has ended has ended, too."""
    if step.state == "Crashed" and state == "Cancelled":  # a worker ends the process to cancel the run
        return msgspec.structs.replace(step, state=state, error=None, data=None)
    if step.state in FINAL_WORDS:
        return step
    end = "Crashed" if state in ("Crashed", "Completed", "Failed") else state
    return msgspec.structs.replace(step, state=end, ended=micros(flow_run.get("end_time")), message=_UNSEEN)


def _artifacts(
    client: PrefectClient, flow_run: Mapping[str, Any], keys: Mapping[str, str]
) -> Iterable[OutsideArtifact]:
    for found in client.pages("/artifacts/filter", _of_run(flow_run, sort="ID_DESC")):
        kind = found.get("type")
        if kind not in _ARTIFACTS:  # what Prefect has made of results and of code
            continue
        yield OutsideArtifact(
            id=found["id"],
            kind=kind,
            key=found.get("key"),
            step=keys.get(found.get("task_run_id") or ""),
            description=found.get("description"),
            at=micros(found.get("updated")) or 0,
            content=_content(kind, found.get("data")),
        )


def _content(kind: str, data: Any) -> Any:
    """As Penstock keeps it: tables are no text."""
    if kind == "table" and isinstance(data, str):
        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError:
            return data
    return data


def lines_of(
    client: PrefectClient, home: Path, flow_run: dict[str, Any], step: str | None, after: int
) -> list[OutsideLine]:
    """What a run has logged, or one of its steps, but for the first lines.

    Prefect may have a line before it knows of the task run that said it. Such a line, and what comes behind it, is told
    another time, as long as the run is not over.
    """
    keys = keys_of(list(client.pages("/task_runs/filter", _of_run(flow_run, sort="EXPECTED_START_TIME_ASC"))))
    keys |= {ended.reference: key for key, ended in read(home, called(flow_run)).items() if ended.reference}
    logs: dict[str, Any] = {"flow_run_id": {"any_": [flow_run["id"]]}}
    if step is not None:
        logs = {"task_run_id": {"any_": [each for each, key in keys.items() if key == step]}}
        if not logs["task_run_id"]["any_"]:
            return []
    patience = 0 if state_of(flow_run) in FINAL_WORDS else now_us() - _PATIENCE_US
    found = []
    for line in client.pages("/logs/filter", {"logs": logs, "sort": "TIMESTAMP_ASC", "offset": after}):
        said_by, at = line.get("task_run_id"), micros(line["timestamp"]) or 0
        if said_by and said_by not in keys and patience and at > patience:
            break
        found.append(OutsideLine(at=at, level=line["level"], message=line["message"], step=keys.get(said_by or "")))
    return found


def micros(text: str | None) -> int | None:
    """An instant, as Penstock has it (microseconds since 1970)."""
    if not text:
        return None
    moment = datetime.datetime.fromisoformat(text)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
