"""What a task in Airflow has left of the steps that it executed, in the words that engines share."""

from __future__ import annotations

import msgspec

from penstock.core.decisions import ended_as
from penstock.core.engines import OutsideArtifact, OutsideStep
from penstock.core.events import ArtifactSaved, Record, RunEnded, TaskEnded, TaskEvent, TaskRetrying


class Told(msgspec.Struct, frozen=True):
    """What is known of a task that has ended.

    Attributes:
        steps: those that it executed: its own, and those that it called.
        artifacts: what they show.
        end: how the run ended, where the task is the one that says so.
    """

    steps: tuple[OutsideStep, ...] = ()
    artifacts: tuple[OutsideArtifact, ...] = ()
    end: Record | None = None


def told_of(records: list[Record]) -> Told:
    """What these records say."""
    steps: dict[str, OutsideStep] = {}
    artifacts: dict[str, OutsideArtifact] = {}
    end = None
    for event, data in records:
        if isinstance(event, TaskEvent):
            steps[event.step.key] = _step(event, data, steps.get(event.step.key))
        elif isinstance(event, ArtifactSaved):
            artifacts[event.id] = OutsideArtifact(
                id=event.id, kind=event.kind, key=event.key, step=event.step, description=event.description,
                at=event.at, content=msgspec.json.decode(data) if data is not None else None,
            )  # fmt: skip
        elif isinstance(event, RunEnded):
            end = Record(event, data)
    return Told(tuple(steps.values()), tuple(artifacts.values()), end)


def _step(event: TaskEvent, data: bytes | None, before: OutsideStep | None) -> OutsideStep:
    kind = ended_as(event)
    retrying = isinstance(event, TaskRetrying)
    began = event.started or (before.started if before is not None else None) or event.at
    found = OutsideStep(
        key=event.step.key,
        state=kind.word if kind is not None else "Retrying" if retrying else "Running",
        attempt=event.attempt,
        started=began,
        ended=event.at if kind is not None or retrying else None,
        error=event.error if isinstance(event, (TaskRetrying, TaskEnded)) else None,
        step=event.step,
    )
    if not isinstance(event, TaskEnded):
        return found
    never = not event.started and before is None  # it was not executed
    return msgspec.structs.replace(
        found,
        attempt=0 if never and event.state_name == "NotReady" else event.attempt,
        state_name=event.state_name,
        message=event.message,
        result=event.result,
        data=data,
    )
