"""A deployment: a flow with its parameters, its schedules, and where its runs are executed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

import msgspec

from penstock.core import typed
from penstock.core.calendar import ScheduleSpec
from penstock.core.engines import LOCAL
from penstock.core.errors import DeploymentError, ParameterError
from penstock.core.partitions import Partitions

Collision = Literal["wait", "skip"]
DEFAULT_POOL = "default"
SERVED = "served"
"""The pool of deployments that are served by the process that declares them."""
DEFAULT_QUEUE = "default"


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a deployment runs, and with which parameters.

    Attributes:
        name: tells it from the deployment's other schedules.
        spec: when it is due.
        parameters: over those of the deployment.
        paused: it makes no runs.
    """

    name: str
    spec: ScheduleSpec
    parameters: dict[str, Any] = {}
    paused: bool = False


class Promises(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is promised about time. A broken one is an event, `DeadlineMissed`; the run goes on.

    Attributes:
        start_seconds: a run starts within so long after it was due.
        duration_seconds: it takes no longer.
        finish_seconds: it has ended so long after it was due.
        fresh_seconds: the deployment has a completed run that is no older.
    """

    start_seconds: float | None = None
    duration_seconds: float | None = None
    finish_seconds: float | None = None
    fresh_seconds: float | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flow that is run without being called.

    Attributes:
        name: unique in the journal.
        flow: the flow's name.
        entrypoint: where a worker finds it, `FILE.py:NAME` or `MODULE:NAME`.
        schedules: when it runs by itself.
        parameters: of every run; those of a schedule or a trigger go over them.
        pool, queue: which workers take its runs.
        priority: among the runs of its queue; a lower number comes first.
        concurrency: at most so many runs at once.
        collision: when there are so many, a new run waits its turn, or (skip) a schedule makes none.
        paused: no schedule of it makes runs.
        crash_retries: how often a run whose process died is taken up again.
        crash_delay_seconds: how long to wait before the first time; twice as long before each one after it.
        folder: what a relative entrypoint is relative to, and where its runs are executed.
        promises: about time.
        partitions: a scheduled run is about the last one that is over when it is due.
        engine: where its runs are executed.
    """

    name: str
    flow: str
    entrypoint: str
    schedules: tuple[Schedule, ...] = ()
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    description: str | None = None
    version: str | None = None
    pool: str = DEFAULT_POOL
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    concurrency: int | None = None
    collision: Collision = "wait"
    paused: bool = False
    crash_retries: int = 3
    crash_delay_seconds: float = 1.0
    folder: str | None = None
    promises: Promises = Promises()
    partitions: Partitions | None = None
    engine: str = LOCAL


def checked(deployment: Deployment) -> Deployment:
    """The deployment, if it can be.

    Raises:
        DeploymentError: it lists every mistake.
    """
    if mistakes := mistakes_of(deployment):
        raise DeploymentError(f"The deployment {deployment.name!r} cannot be: {'; '.join(mistakes)}.")
    return deployment


def mistakes_of(deployment: Deployment) -> list[str]:
    """What is wrong with it, apart from its schedules' times and its parameters."""
    mistakes = []
    for what in ("name", "pool", "queue"):
        text = getattr(deployment, what)
        if not isinstance(text, str) or not text or "/" in text or text != text.strip() or not text.isprintable():
            mistakes.append(f"{what} {text!r} must be a text without slashes and without space around it")
    names = [each.name for each in deployment.schedules]
    mistakes += [f"two schedules are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    if deployment.concurrency is not None and deployment.concurrency < 1:
        mistakes.append(f"concurrency {deployment.concurrency} must be at least 1")
    if deployment.crash_retries < 0:
        mistakes.append(f"crash_retries {deployment.crash_retries} must not be below 0")
    if not 0 <= deployment.crash_delay_seconds < math.inf:
        mistakes.append(f"crash_delay_seconds {deployment.crash_delay_seconds:g} must not be below 0")
    for name in Promises.__struct_fields__:
        seconds = getattr(deployment.promises, name)
        if seconds is not None and not 0 < seconds < math.inf:
            told = f"the promise {name.removesuffix('_seconds')} is about {seconds:g} seconds"
            mistakes.append(f"{told}, and must be about more than none")
    return mistakes


def plain_parameters(target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them, which is how they wait for their run; the flow's annotations make them whole again.

    Raises:
        ParameterError: one has no such form.
    """
    found: dict[str, Any] = {}
    mistakes: list[tuple[str, str]] = []
    for name, value in parameters.items():
        try:
            found[name] = msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
        except (TypeError, ValueError, RecursionError):
            mistakes.append((name, f"a {type(value).__name__} cannot wait for its run as JSON"))
    if mistakes:
        raise ParameterError(target, mistakes)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError


def as_data(deployment: Deployment) -> dict[str, Any]:
    """As it is stored."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(deployment))
    return data


def schedule_data(schedule: Schedule) -> dict[str, Any]:
    """A schedule as it is stored."""
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schedule))
    return data


def of_data(data: dict[str, Any]) -> Deployment:
    """As it was declared."""
    return typed.convert(data, Deployment)


def schedule_of(data: dict[str, Any]) -> Schedule:
    """A stored schedule."""
    return typed.convert(data, Schedule)
