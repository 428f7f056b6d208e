"""Rows of the journal's tables as the structs people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.core import typed
from penstock.core.events import Event, Saved, Stored, UnknownEvent, Waiting, decode_event
from penstock.core.model import Run, TaskRun

_dict = typed.json_decoder(dict[str, Any]).decode
_waiting = typed.json_decoder(Waiting).decode
_saved = typed.json_decoder(Saved).decode
_tags = typed.json_decoder(tuple[str, ...]).decode
EVENT_COLUMNS = "position, stream, seq, type, version, at, body, data"


def stored_of(row: Sequence[Any]) -> Stored:
    """A row of `events`."""
    position, stream, seq, name, version, at, body, data = row
    return Stored(position, stream, seq, decode_event(name, version, at, bytes_of(body)), data)


def bytes_of(body: str | bytes) -> bytes:
    """The body of an event, as bytes."""
    return body.encode() if isinstance(body, str) else body


def run_of(row: Mapping[str, Any]) -> Run:
    """A row of `runs`."""
    values = dict(row)
    values["parameters"] = _dict(values["parameters"])
    values["tags"] = _tags(values["tags"])
    for name in ("cancel_requested", "pause_requested"):
        values[name] = bool(values[name])
    if values["waiting"] is not None:
        values["waiting"] = _waiting(values["waiting"])
    return Run(**values)


def task_run_of(row: Mapping[str, Any]) -> TaskRun:
    """A row of `task_runs`."""
    values = dict(row)
    values["tags"] = _tags(values["tags"])
    return TaskRun(**values)


def saved_of(text: str) -> Saved:
    """Where a value is, as it is written in a column."""
    return _saved(text)


def result_refs(event: Event) -> Iterator[str]:
    """References into the result store that an event holds, also one from a newer Penstock."""
    if isinstance(event, UnknownEvent):
        yield from _refs_in(event.body)
    for field in ("result", "parameters"):
        saved = getattr(event, field, None)
        if saved is not None and saved.ref:
            yield saved.ref
    staged = getattr(event, "staged", None)
    if staged is not None and staged.values is not None and staged.values.ref:
        yield staged.values.ref


def _refs_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("ref"), str):
            yield value["ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _refs_in(item)
