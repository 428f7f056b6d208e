"""What is appended to a run and to the runs around it at once: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.interruptions import RunFenced
from penstock.engine.recorder import Recorder

Part = tuple[Recorder, list[Record]]
"""What one run gets."""


class Moved(Exception):
    """Somebody else has appended first. What they appended is taken in."""


@contextmanager
def holding(recorders: Sequence[Recorder]) -> Iterator[None]:
    """Let nothing else be appended from here to any of these runs, the outermost of which is the first."""
    with ExitStack() as stack:
        for recorder in recorders:
            stack.enter_context(recorder.lock)
        yield


def look(recorder: Recorder) -> None:
    """Take in what others have appended to a run.

    Raises:
        RunFenced: it was taken over.
    """
    with recorder.lock:
        if recorder.fault is not None:
            raise recorder.fault
        try:
            recorder.take_news()
        except RunFenced as fenced:
            recorder.fail(fenced)
            raise


def append_together(parts: Sequence[Part]) -> None:
    """Append to each of these runs, which are held (see `holding`), in one transaction.

    Raises:
        Moved: somebody else has appended to one of them, and nothing was written.
    """
    first = parts[0][0]
    if first.fault is not None:
        raise first.fault
    if any(recorder.state.ended for recorder, _ in parts):
        raise RunFenced(f"Run {first.run_id} has ended; nothing more is recorded.")
    before = [(recorder.seq, recorder.state) for recorder, _ in parts]
    try:
        _append(parts)
    except Moved:
        raise
    except BaseException as error:
        if isinstance(error, (Exception, RunFenced)) and not isinstance(error, (RecursionError, MemoryError)):
            first.fail(error)
            raise
        for (recorder, records), (seq, state) in zip(parts, before, strict=True):
            recorder.seq, recorder.state = seq, state
            recorder.doubt(records)
        raise


def _append(parts: Sequence[Part]) -> None:
    first = parts[0][0]
    try:
        if len(parts) == 1:
            first.journal.append(first.run_id, first.seq, parts[0][1])
        else:
            first.journal.commit([Append(recorder.run_id, recorder.seq, records) for recorder, records in parts])
    except SequenceConflict:
        news = [recorder.take_news() for recorder, _ in parts]
        if not any(news):
            raise RunFenced(f"Run {first.run_id} is no longer in the journal; this process stops.") from None
        raise Moved from None
    for recorder, records in parts:
        recorder.take_note(records)
