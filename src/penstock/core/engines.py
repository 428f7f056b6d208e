"""What an engine can do, what is asked of one, and what it tells of a run: the words all engines share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from penstock.core.events import ErrorInfo, Saved, Step

LOCAL = "local"
"""The engine that executes runs in processes of Penstock's own workers."""

Ability = Literal[True] | str
"""True, or why the engine cannot: a sentence for whoever asks for it."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do: True, or the reason why it cannot.

    Attributes:
        schedules: runs are made by cron expressions and intervals.
        rrule: runs are made by recurrence rules.
        catch_up: instants that were missed are made up for.
        parameters: a run is given parameters, checked against the flow's annotations.
        retries: a failed task is tried again, after a delay.
        retry_conditions: whether it is tried again is asked of a function.
        timeouts: a task that takes too long fails.
        concurrency: submitted tasks run beside each other.
        mapping: a task runs for each of many values that are known only in the run.
        dynamic: the flow may decide by what its tasks return.
        results: results are kept, and read by Penstock.
        caching: a result may come from an earlier run.
        subflows: a flow calls a flow.
        asynchronous: tasks and flows may be coroutines.
        hooks: functions are called when a task or a run changes its state.
        logs: what a run logs is read back.
        artifacts: what a run shows is kept.
        limits: so many tasks with a tag, or slots of a name, at once.
        transactions: what several tasks do is committed together, or rolled back.
        waiting: a run waits for a moment, for a person's answer or for an event.
        cancel: a run can be ended, with all its processes.
        resume: a run that failed goes on from where it was.
        fork: a new run begins in the middle of an old one.
        promises: a deadline that is broken is told.
        workflows: workflows that were given as data are executed.
    """

    schedules: Ability = True
    rrule: Ability = True
    catch_up: Ability = True
    parameters: Ability = True
    retries: Ability = True
    retry_conditions: Ability = True
    timeouts: Ability = True
    concurrency: Ability = True
    mapping: Ability = True
    dynamic: Ability = True
    results: Ability = True
    caching: Ability = True
    subflows: Ability = True
    asynchronous: Ability = True
    hooks: Ability = True
    logs: Ability = True
    artifacts: Ability = True
    limits: Ability = True
    transactions: Ability = True
    waiting: Ability = True
    cancel: Ability = True
    resume: Ability = True
    fork: Ability = True
    promises: Ability = True
    workflows: Ability = True

    def lacking(self, needs: Iterable[str]) -> dict[str, str]:
        """Which of these it cannot do, each with its reason."""
        found = ((need, getattr(self, need)) for need in sorted(set(needs)))
        return {need: ability for need, ability in found if ability is not True}


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment, as it was put on an engine.

    Attributes:
        name: of the deployment.
        place: what it is there: a file, or an id.
        changed: it was not there, or was another.
        steps: one step of the engine for each task; otherwise the flow as a whole is one.
        why: why it is as a whole.
        url: where people see it.
    """

    name: str
    place: str
    changed: bool
    steps: bool = False
    why: str | None = None
    url: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A run that an engine is to make. The same order twice makes one run.

    Attributes:
        deployment: the name of the deployment or workflow.
        run_id: the run's id in the journal.
        parameters: JSON values.
    """

    deployment: str
    run_id: str
    parameters: Mapping[str, Any] = {}


class OutsideStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run, as an engine tells of it.

    Attributes:
        key: of the step, as the journal has it: `fetch#1`.
        state: one of Penstock's.
        state_name: what people see instead of it, such as NotReady.
        attempt: from 1; 0 where it ends without having begun.
        started, ended: microseconds since 1970.
        message: what the engine says of it.
        result, error: of one that has ended, where the result store has them.
        data: what belongs to them: a serialized result, or an exception.
        step: which call of its flow it is, where that is known.
    """

    key: str
    state: str
    state_name: str | None = None
    attempt: int = 1
    started: int | None = None
    ended: int | None = None
    message: str | None = None
    result: Saved | None = None
    error: ErrorInfo | None = None
    data: bytes | None = None
    step: Step | None = None


class OutsideArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What a run shows, as an engine has kept it.

    Attributes:
        id: a UUID.
        kind: markdown, link, image, table or progress.
        key: names it over its versions.
        step: the key of the step that made it; None for the flow itself.
        at: when it was made, or changed last (microseconds since 1970).
        content: JSON, as Penstock keeps it for this kind.
    """

    id: str
    kind: str
    key: str | None = None
    step: str | None = None
    description: str | None = None
    at: int = 0
    content: Any = None


class OutsideRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as an engine tells of it.

    Attributes:
        reference: its id there.
        state: one of Penstock's.
        started, ended: microseconds since 1970.
        message: what the engine says of it.
        steps: as far as they have begun, in the order in which they did.
        url: where people see it.
        result, error, data: of one that has ended; see `OutsideStep`.
        whole_log: see `OutsideEngine`; for this run.
        artifacts: what it shows so far.
    """

    reference: str
    state: str
    state_name: str | None = None
    started: int | None = None
    ended: int | None = None
    message: str | None = None
    steps: tuple[OutsideStep, ...] = ()
    url: str | None = None
    result: Saved | None = None
    error: ErrorInfo | None = None
    data: bytes | None = None
    whole_log: bool = False
    artifacts: tuple[OutsideArtifact, ...] = ()


class OutsideLine(msgspec.Struct, frozen=True, kw_only=True):
    """A log line of a run on an engine.

    Attributes:
        at: microseconds since 1970.
        level: as `logging` has it.
        message: what it says.
        step: the key of the step that said it.
    """

    at: int
    level: int
    message: str
    step: str | None = None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that nobody ordered: the engine's own schedule, or a person there, has begun it.

    Attributes:
        deployment: of which it is one.
        reference: its id there.
        run_id: its id in the journal, which follows from the reference.
        parameters: JSON values.
        at: when it was due (microseconds since 1970).
    """

    deployment: str
    reference: str
    run_id: str
    parameters: Mapping[str, Any] = {}
    at: int = 0


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made of.

    Attributes:
        environment: variables; those of an engine begin with its name.
        home: Penstock's folder, with the results in it.
    """

    environment: Mapping[str, str]
    home: str
