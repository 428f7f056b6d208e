"""The facts a journal keeps.

Each class names what is stored: `stored` is its name and `version` its layout. Both are literals, so that renaming a
class never changes a journal. An event this Penstock does not know decodes to `UnknownEvent` and passes through.

Times are integer microseconds since the epoch (UTC).
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, NamedTuple

import msgspec


def now_us() -> int:
    """The wall clock in microseconds."""
    return time.time_ns() // 1000


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


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A fact about one run."""

    stored: ClassVar[str] = ""
    version: ClassVar[int] = 1
    at: int


class UnknownEvent(Event, frozen=True):
    """An event from another version; kept as it is."""

    name: str = ""
    layout: int = 0
    body: dict[str, Any] = {}


class RunCreated(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A run exists. The record's data holds its parameters."""

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


class RunStarted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A process began an attempt, and holds the lease until `lease_until`."""

    stored: ClassVar[str] = "RunStarted"
    owner: str
    lease_until: int
    attempt: int = 1


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


class TaskCompleted(TaskEnded, frozen=True, omit_defaults=True, kw_only=True):
    """The step's result is on record; it is never executed again in this run."""

    stored: ClassVar[str] = "TaskCompleted"


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


class Stored(NamedTuple):
    """A record as read back: where it stands in the whole journal, and in its run."""

    position: int
    run_id: str
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
)
EVENTS: dict[tuple[str, int], type[Event]] = {(kind.stored, kind.version): kind for kind in _KNOWN}
_DECODERS = {key: msgspec.json.Decoder(kind) for key, kind in EVENTS.items()}
_any = msgspec.json.Decoder()

encode_event = msgspec.json.Encoder().encode


def decode_event(name: str, version: int, at: int, body: bytes) -> Event:
    """Read an event back; unknown names and layouts give an `UnknownEvent`."""
    decoder = _DECODERS.get((name, version))
    if decoder is None:
        return UnknownEvent(at=at, name=name, layout=version, body=_any.decode(body))
    event: Event = decoder.decode(body)
    return event


def stored_name(event: Event) -> tuple[str, int]:
    """The name and layout an event is stored under."""
    if isinstance(event, UnknownEvent):
        return event.name, event.layout
    return event.stored, event.version
