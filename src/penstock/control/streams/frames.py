"""What goes over the wire of a stream: frames of `text/event-stream`, each encoded once for all who listen."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.core.clock import iso
from penstock.core.events import RunEnded, Stored, TaskEvent, stored_name
from penstock.core.model import LogLine
from penstock.core.states import STATE_AFTER
from penstock.orchestrator.records import log_record, seconds

Place = tuple[int, int]
"""Up to where somebody has heard a stream: the number of a record, and the id of a log line."""

RECORD, LINE = 0, 1
_encode = msgspec.json.Encoder().encode


class Frame(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: RECORD or LINE.
        number: of the record, or the id of the line.
        at: when.
        body: its name and its data.
        last: it ends the run.
    """

    kind: int
    number: int
    at: int
    body: bytes
    last: bool = False


def body_of(name: str, data: Any) -> bytes:
    """The name and the data of a frame. JSON holds no line ends, so that it is one line."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


def frame_of_record(stored: Stored) -> Frame:
    """What a listener of a run is told of one of its records."""
    event = stored.event
    kind = stored_name(event)[0]
    told: dict[str, Any] = {"event": kind, "run_id": stored.stream, "seq": stored.seq, "at": iso(event.at)}
    if kind in STATE_AFTER:
        told["state"] = STATE_AFTER[kind]
    if kind == "RunCreated" and getattr(event, "due_at", None) is not None:
        told["state"] = "Scheduled"
    for field in ("state_name", "message", "attempt", "reason", "name", "delay"):
        value = getattr(event, field, None)
        if value is not None:
            told[field] = value
    error = getattr(event, "error", None)
    if error is not None:
        told["error"] = {"type": error.type, "text": error.text}
    name = "state" if kind in STATE_AFTER else "note"
    if isinstance(event, TaskEvent):
        step = event.step
        told |= {"step": step.key, "name": step.name, "task": step.task, "child_run_id": event.child}
        told["duration_seconds"] = seconds(event.started or None, event.at) if told.get("state") in _ENDED else None
        name = "step"
    return Frame(RECORD, stored.seq, event.at, body_of(name, told), isinstance(event, RunEnded))


_ENDED = frozenset({"Completed", "Failed", "Crashed", "Cancelled"})


def frame_of_line(line: LogLine) -> Frame:
    """What a listener of a run is told of a log line."""
    return Frame(LINE, line.id, line.at, body_of("log", {"id": line.id, **log_record(line)}))


def in_order(records: Iterable[Frame], lines: Iterable[Frame]) -> list[Frame]:
    """Both by their times, each of the two in its own order."""
    return list(heapq.merge(records, lines, key=lambda frame: frame.at))


def together(
    records: Sequence[Frame], lines: Sequence[Frame], *, more_records: bool = False, more_lines: bool = False
) -> list[Frame]:
    """A part of a run's history: both by their times; where there are more of one, nothing that is later than it.

    Args:
        records: some records.
        lines: some lines.
        more_records: there are more records.
        more_lines: there are more lines.
    """
    ends = [max(frame.at for frame in part) for part, more in ((records, more_records), (lines, more_lines)) if more]
    if ends:
        end = min(ends)
        records, lines = _until(records, end), _until(lines, end)
    return in_order(records, lines)


def _until(frames: Sequence[Frame], end: int) -> Sequence[Frame]:
    """The first of these, none of them later. Times may go back; the order of the frames does not."""
    later = next((index for index, frame in enumerate(frames) if frame.at > end), len(frames))
    return frames[:later]


def after(place: Place, frame: Frame) -> Place:
    """The place behind a frame."""
    return (max(place[0], frame.number), place[1]) if frame.kind == RECORD else (place[0], max(place[1], frame.number))
