"""The facts a journal keeps.

Each class names what is stored: `stored` is its name and `version` its layout. Both are literals, so that renaming a
class never changes a journal. An event this Penstock does not know decodes to `UnknownEvent` and passes through.

Times are integer microseconds since the epoch (UTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from penstock.core import typed
from penstock.core.clock import now_us as now_us
from penstock.core.extras import LateModule

_plans: Any = LateModule("penstock.core.plans")  # most runs never meet them, and they cost milliseconds
_verdicts: Any = LateModule("penstock.core.verdicts")
_sealed: Any = LateModule("penstock.core.sealed")
_datasets: Any = LateModule("penstock.core.datasets")
_webhooks: Any = LateModule("penstock.core.webhooks")
_uploads: Any = LateModule("penstock.core.uploads")
_audit: Any = LateModule("penstock.core.audit")


class Saved(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a value is: inline in the record's data (ref is None), or in the result store under `ref`.

    Attributes:
        serializer: json, pickle, cloudpickle, arrow.polars, arrow.pandas or arrow.table.
        size: bytes.
    """

    serializer: str
    size: int = 0
    ref: str | None = None


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exception as recorded; the exception itself is in the record's data where it can be pickled."""

    type: str
    text: str = ""
    trace: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which call of a flow this is.

    Attributes:
        key: task name and call number inside its scope, such as `fetch#2`; nested ones as `outer#1/inner#1`.
        name: what people see (from `task_run_name`).
        task: the task's name.
        ordinal: position among all calls of its scope, from 1.
        parent: key of the step that called it; None for the flow itself.
        tags: sorted.
        inputs: a fingerprint for each argument.
    """

    key: str
    name: str
    task: str
    ordinal: int
    parent: str | None = None
    tags: tuple[str, ...] = ()
    inputs: dict[str, str] = {}


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a paused run waits for.

    Attributes:
        key: of the step that waits.
        kind: sleep, pause, input or approval.
        until: when it goes on by itself (sleep), or gives up (the others); None for never.
        prompt: what to tell whoever answers.
        answer: JSON schema of the answer.
        run: the subflow run the step is in; None where it is in the run itself.
        approvers: who may answer; empty for anybody.
        refused: what was wrong with the last answer.
    """

    key: str
    kind: str
    until: int | None = None
    prompt: str | None = None
    answer: dict[str, Any] | None = None
    run: str | None = None
    approvers: tuple[str, ...] = ()
    refused: str | None = None


ON_REQUEST = "pause"
"""The `key` of what a run waits for that somebody has asked to pause; no step is called so."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A fact about what its stream is about: a run, a deployment, a pool, a limit, an automation."""

    stored: ClassVar[str] = ""
    version: ClassVar[int] = 1
    at: int


class UnknownEvent(Event, frozen=True):
    """An event from another version; kept as it is."""

    name: str = ""
    layout: int = 0
    body: dict[str, Any] = {}


class RunCreated(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A run exists. The record's data holds its parameters.

    Attributes:
        due_at: from then on a worker of the pool may take it; None where whoever made it executes it.
        scheduled_at: the due instant it stands for.
        next_due: when the schedule that made it is due again.
        interval: start and end of the data it is about.
        key: idempotency key; two runs of one deployment never have the same.
        cause: what made it: schedule, backfill, api, cli, automation.
        chain: when automations fired, each because of the one before, and the last one made this run.
    """

    stored: ClassVar[str] = "RunCreated"
    flow: str
    name: str
    parameters: Saved | None = None
    shown: dict[str, Any] = {}
    entrypoint: str | None = None
    flow_version: str | None = None
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    parent_key: str | None = None
    root_id: str | None = None
    origin_id: str | None = None
    origin: str | None = None
    from_step: str | None = None
    deployment: str | None = None
    pool: str | None = None
    queue: str | None = None
    priority: int = 0
    due_at: int | None = None
    schedule: str | None = None
    scheduled_at: int | None = None
    next_due: int | None = None
    partition: str | None = None
    interval: tuple[int, int] | None = None
    key: str | None = None
    cause: str | None = None
    chain: tuple[int, ...] = ()


class RunClaimed(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A worker took the run, and holds the lease until `lease_until`; a process of its own will execute it."""

    stored: ClassVar[str] = "RunClaimed"
    owner: str
    lease_until: int


class RunRescheduled(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The run goes back to its queue, and may be taken from `due_at` on.

    Attributes:
        crashes: how often its process died so far.
    """

    stored: ClassVar[str] = "RunRescheduled"
    due_at: int
    crashes: int = 0
    reason: str | None = None


class RunPaused(Event, frozen=True, omit_defaults=True, kw_only=True):
    """One of its steps waits; an earlier answer to that step does not count.

    Attributes:
        held: its process waits with it; otherwise no process is needed until it goes on.
    """

    stored: ClassVar[str] = "RunPaused"
    waiting: Waiting
    held: bool = False


class RunAnswered(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody answered what a paused run asked; the record's data holds the answer as JSON.

    Attributes:
        step: which one asked.
        run: the subflow run it is in, and the answer too; None where it is in the run itself.
        by: who answered.
        due_at: from then on a worker may take the run; None where a process waits with it.
        waiting: what it still waits for.
    """

    stored: ClassVar[str] = "RunAnswered"
    step: str
    run: str | None = None
    by: str | None = None
    due_at: int | None = None
    waiting: Waiting | None = None


class RunContinued(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A wait is over, and the process that waited with it goes on.

    Attributes:
        step: which one waited.
        run: the subflow run it is in; None where it is in the run itself.
        waiting: what it still waits for.
    """

    stored: ClassVar[str] = "RunContinued"
    step: str
    run: str | None = None
    waiting: Waiting | None = None


class DeadlineMissed(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A run did not keep a promise about time; it goes on all the same.

    Attributes:
        promise: start, duration, finish or fresh.
        deadline: when it should have been kept.
    """

    stored: ClassVar[str] = "DeadlineMissed"
    promise: str
    deadline: int
    deployment: str | None = None
    run_id: str | None = None


class ArtifactSaved(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Something to look at; the record's data holds its content.

    Attributes:
        id: of this version; sorts by time.
        key: names the artifact over its versions; None for one without a history.
        kind: markdown, table, link, image, progress.
        step: which step made it.
    """

    stored: ClassVar[str] = "ArtifactSaved"
    id: str
    kind: str
    key: str | None = None
    step: str | None = None
    description: str | None = None


class RunStarted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A process began an attempt, and holds the lease until `lease_until`.

    Attributes:
        name: the run is called so from now on, where its flow names its runs.
    """

    stored: ClassVar[str] = "RunStarted"
    owner: str
    lease_until: int
    attempt: int = 1
    name: str | None = None


class RunResumed(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Another process took the run over; whoever held it before can append no more."""

    stored: ClassVar[str] = "RunResumed"
    owner: str
    lease_until: int


class RunRetrying(Event, frozen=True, omit_defaults=True, kw_only=True):
    """An attempt failed and another follows after `delay` seconds."""

    stored: ClassVar[str] = "RunRetrying"
    attempt: int
    delay: float = 0.0
    error: ErrorInfo | None = None


class RunReleased(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The process let go of the run without ending it; it can be resumed."""

    stored: ClassVar[str] = "RunReleased"
    reason: str | None = None


class RunCancelRequested(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody asked the run to stop."""

    stored: ClassVar[str] = "RunCancelRequested"
    reason: str | None = None


class RunPauseRequested(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody asked the run to begin no other step for now; an answer to `ON_REQUEST` lets it go on."""

    stored: ClassVar[str] = "RunPauseRequested"
    by: str | None = None
    reason: str | None = None


class RunEnded(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Fields shared by the four ends of a run. The record's data holds the value or the exception."""

    state_name: str | None = None
    message: str | None = None
    result: Saved | None = None
    error: ErrorInfo | None = None


class RunCompleted(RunEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The run ended well."""

    stored: ClassVar[str] = "RunCompleted"


class RunFailed(RunEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The run ended with an exception, or with failed states."""

    stored: ClassVar[str] = "RunFailed"


class RunCrashed(RunEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The run was ended by something that is not an answer of the flow (exit, signal, lost database)."""

    stored: ClassVar[str] = "RunCrashed"


class RunStopped(RunEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The run was cancelled."""

    stored: ClassVar[str] = "RunCancelled"


class TaskEvent(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Fields shared by the events of a step."""

    step: Step
    attempt: int = 1
    started: int = 0
    child: str | None = None


class TaskStarted(TaskEvent, frozen=True, omit_defaults=True, kw_only=True):
    """A step runs. Not recorded for steps that end at once: their end says it all."""

    stored: ClassVar[str] = "TaskStarted"


class TaskRetrying(TaskEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An attempt failed and another follows after `delay` seconds."""

    stored: ClassVar[str] = "TaskRetrying"
    delay: float = 0.0
    error: ErrorInfo | None = None


class TaskEnded(TaskEvent, frozen=True, omit_defaults=True, kw_only=True):
    """Fields shared by the four ends of a step. The record's data holds the value or the exception.

    `returned`: the function itself returned this state, so that a direct call gives the state and not its value.
    """

    returned: bool = False
    state_name: str | None = None
    message: str | None = None
    result: Saved | None = None
    error: ErrorInfo | None = None


class Staged(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is done about a completed step when the transaction around it is decided.

    Attributes:
        cache_key, cache_until: under which other runs may use its result, once it is committed.
        on_commit, on_rollback: where its hooks are found again; empty for one that cannot be.
        values, data: what the step has set in its transaction.
    """

    cache_key: str | None = None
    cache_until: int | None = None
    on_commit: tuple[str, ...] = ()
    on_rollback: tuple[str, ...] = ()
    values: Saved | None = None
    data: bytes | None = None


class TaskCompleted(TaskEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The step's result is on record; it is never executed again in this run.

    Attributes:
        cache_key: other runs may use the result under this key, until `cache_until`.
        staged: what waits for the transaction around it.
    """

    stored: ClassVar[str] = "TaskCompleted"
    cache_key: str | None = None
    cache_until: int | None = None
    staged: Staged | None = None


class TaskFailed(TaskEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The step failed for good, or was not run because an upstream failed."""

    stored: ClassVar[str] = "TaskFailed"


class TaskCrashed(TaskEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The step was ended by something that is not an exception of its own."""

    stored: ClassVar[str] = "TaskCrashed"


class TaskStopped(TaskEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The step was cancelled."""

    stored: ClassVar[str] = "TaskCancelled"


class Record(NamedTuple):
    """An event with the bytes that belong to it (a serialized result, parameters or exception)."""

    event: Event
    data: bytes | None = None


class Append(NamedTuple):
    """What goes to one stream in a commit: `records` after the stream's record `expected_seq`."""

    stream: str
    expected_seq: int
    records: Sequence[Record]


class Stored(NamedTuple):
    """A record as read back: where it stands in the whole journal, and in its stream."""

    position: int
    stream: str
    seq: int
    event: Event
    data: bytes | None


_KNOWN: tuple[type[Event], ...] = (
    RunCreated,
    RunStarted,
    RunResumed,
    RunRetrying,
    RunReleased,
    RunCancelRequested,
    RunPauseRequested,
    RunCompleted,
    RunFailed,
    RunCrashed,
    RunStopped,
    TaskStarted,
    TaskRetrying,
    TaskCompleted,
    TaskFailed,
    TaskCrashed,
    TaskStopped,
    RunClaimed,
    RunRescheduled,
    RunPaused,
    RunAnswered,
    RunContinued,
    DeadlineMissed,
    ArtifactSaved,
)
EVENTS: dict[tuple[str, int], type[Event]] = {(kind.stored, kind.version): kind for kind in _KNOWN}
_DECODERS: dict[tuple[str, int], msgspec.json.Decoder[Event]] = {}
_any = msgspec.json.Decoder()

encode_event = msgspec.json.Encoder().encode


def decode_event(name: str, version: int, at: int, body: bytes) -> Event:
    """Read an event back; unknown names and layouts give an `UnknownEvent`."""
    decoder = _DECODERS.get((name, version)) or decode_kind(name, version)
    if decoder is None:
        return UnknownEvent(at=at, name=name, layout=version, body=_any.decode(body))
    return decoder.decode(body)


def decode_kind(name: str, version: int) -> msgspec.json.Decoder[Event] | None:
    """The decoder of one kind of event, made when it is first asked for; None for an unknown one."""
    kind = event_kind(name, version)
    if kind is None:
        return None
    decoder = _DECODERS[(name, version)] = typed.json_decoder(kind)
    return decoder


def event_kind(name: str, version: int) -> type[Event] | None:
    """The class of an event as it is stored; None for an unknown one."""
    kind = EVENTS.get((name, version))
    if kind is None:
        kinds = (_plans.PLANS, _verdicts.VERDICTS, _sealed.CONNECTIONS, _datasets.DATASETS, _webhooks.WEBHOOKS)
        others = (kind for some in (*kinds, _uploads.UPLOADS, _audit.AUDIT) for kind in some)
        EVENTS.update({(kind.stored, kind.version): kind for kind in others})
        kind = EVENTS.get((name, version))
    return kind


def stored_name(event: Event) -> tuple[str, int]:
    """The name and layout an event is stored under."""
    if isinstance(event, UnknownEvent):
        return event.name, event.layout
    return event.stored, event.version
