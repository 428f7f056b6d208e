"""Answering runs that wait, from any process."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from penstock.authoring.checking import mistakes_in
from penstock.authoring.schema import as_json
from penstock.core.decisions import Answer, RequestPause, RunState, decide_run, evolve_run
from penstock.core.engines import LOCAL
from penstock.core.errors import AnswerRefused, InvalidTransition, NotWaiting, RunNotFound, SequenceConflict
from penstock.core.events import ON_REQUEST, Append, Record, RunAnswered, Waiting, now_us
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.engine.outside import executed_by
from penstock.engine.recovery import find_run


class Asked(NamedTuple):
    """A run as its events tell it.

    Attributes:
        run: as the tables have it.
        state: as decisions are made on it.
        seq: its last record.
        answered: answers it was given, the last one first.
    """

    run: Run
    state: RunState
    seq: int
    answered: tuple[RunAnswered, ...]


def reply(journal: Journal, wanted: str, value: Any = None, *, by: str | None = None, step: str | None = None) -> Run:
    """Answer what a run asks. It goes on; if it has no process, a worker gives it one.

    Args:
        journal: where the run is.
        wanted: the run: its id, the beginning or the end of its id, or its name.
        value: the answer, of the type that was asked for or as JSON would have it; for an approval True, False or
            {"approved": True, "note": "..."}; nothing for a run that is only paused.
        by: who answers.
        step: which of its steps, where several ask.

    Returns:
        The run as it is then.

    Raises:
        NotWaiting: it asks nothing, was answered already, or the time for it is over.
        AnswerRefused: the answer does not fit; it tells every mistake, and the run goes on waiting.
        RunNotFound: there is no such run.
    """
    while True:
        asked = asked_of(journal, find_run(journal, wanted))
        waiting = question(asked, step)
        content = _checked(waiting, value, by)
        try:
            journal.commit(_appends(_line(journal, asked, waiting), waiting, content, by))
        except SequenceConflict:
            continue
        return journal.run(asked.run.id) or asked.run


def pause(journal: Journal, wanted: str, *, by: str | None = None, reason: str | None = None) -> Run:
    """Ask a run to begin no other step, until somebody lets it go on; what is under way ends. Once is enough.

    Args:
        journal: where the run is.
        wanted: the run: its id, the beginning or the end of its id, or its name.
        by: who asks.
        reason: why.

    Returns:
        The run as it is then; it is Paused as soon as it comes to its next step.

    Raises:
        InvalidTransition: it has ended, is to stop, nobody or an engine elsewhere executes it, or it is a part of
            another run.
        RunNotFound: there is no such run.
    """
    run = find_run(journal, wanted)
    _refuse_pause(journal, run)
    while True:
        asked = asked_of(journal, run)
        if asked.state.pausing is None:
            event = decide_run(asked.state, RequestPause(now_us(), by, reason))
            try:
                journal.append(run.id, asked.seq, [Record(event)])
            except SequenceConflict:
                continue
        return journal.run(run.id) or run


def _refuse_pause(journal: Journal, run: Run) -> None:
    if run.ended:
        raise InvalidTransition(f"Run {run.name} has ended ({run.state}).", hint="an ended run needs no pausing")
    if run.parent_id is not None:
        raise InvalidTransition(
            f"Run {run.name} is a subflow of run {run.root_id}, and they pause together.",
            hint=f"pause that: penstock runs pause {run.root_id}",
        )
    if abandoned(run):
        raise InvalidTransition(
            f"Nobody executes run {run.name} now.", hint=f"it goes on with: penstock runs resume {run.id}"
        )
    if (engine := executed_by(journal, run)) != LOCAL:
        raise InvalidTransition(
            f"Run {run.name} is executed by {engine}, which begins its steps by itself: it cannot be paused from here.",
            hint=f"end it with `penstock runs cancel {run.id}`, or pause it in {engine}",
        )


def abandoned(run: Run) -> bool:
    """Whether nobody executes a run that has not ended, and no worker will."""
    return run.pool is None and (run.owner is None or run.lost(now_us()))


def let_go_on(journal: Journal, wanted: str, *, by: str | None = None) -> Run | None:
    """Let a run go on that was asked to pause, wherever it is. Saying so twice is no mistake.

    Returns:
        The run as it is then; None where it was not asked to pause since it went on the last time.
    """
    run = find_run(journal, wanted)
    if run.ended:
        return None
    if run.pause_requested:
        try:
            return reply(journal, run.id, by=by, step=ON_REQUEST)
        except NotWaiting:  # somebody else was faster
            return journal.run(run.id) or run
    last = next(iter(asked_of(journal, run).answered), None)
    return run if last is not None and last.step == ON_REQUEST else None


def waits_of(journal: Journal, run_id: str) -> tuple[Waiting, ...]:
    """Everything a run waits for; `Run.waiting` is the last of it."""
    run = journal.run(run_id)
    return asked_of(journal, run).state.waits if run is not None else ()


def asked_of(journal: Journal, run: Run) -> Asked:
    """What is on record of a run, as far as it has to do with waiting."""
    state, seq, answered = RunState(), 0, []
    for stored in journal.load(run.id):
        state, seq = evolve_run(state, stored.event), stored.seq
        if isinstance(stored.event, RunAnswered):
            answered.append(stored.event)
    return Asked(run, state, seq, tuple(reversed(answered)))


def question(asked: Asked, step: str | None = None) -> Waiting:
    """What a run asks.

    Args:
        asked: the run.
        step: which of its steps, where several ask.

    Raises:
        NotWaiting: nothing, or several things.
    """
    run, waits = asked.run, asked.state.waits
    open_ = [each for each in waits if each.kind != "sleep" and step in (None, each.key)]
    if len(open_) == 1:
        return open_[0]
    if asked.state.pausing is not None and not open_ and step in (None, ON_REQUEST):  # it has not come so far as yet
        return Waiting(key=ON_REQUEST, kind="pause", answer={"type": "null"})
    if open_:
        named = ", ".join(each.key for each in open_)
        raise NotWaiting(f"Run {run.name} asks several things: {named}.", hint="say which step: --step KEY")
    earlier = next((each for each in asked.answered if step in (None, each.step)), None)
    told = f"`penstock runs show {run.id}` tells how it is"
    if run.ended:
        raise NotWaiting(f"Run {run.name} has ended ({run.state}), and asks nothing any more.")
    if earlier is not None and (step is not None or not waits):
        who = f" by {earlier.by}" if earlier.by else ""
        raise NotWaiting(f"{earlier.step} of run {run.name} was answered already{who}.", hint="an answer is given once")
    if step is not None:
        raise NotWaiting(f"{step} of run {run.name} does not wait for an answer.", hint=told)
    if waits:
        raise NotWaiting(f"Run {run.name} sleeps, and asks nothing.", hint="it goes on by itself")
    raise NotWaiting(f"Run {run.name} asks nothing now.", hint=told)


def _checked(waiting: Waiting, value: Any, by: str | None) -> bytes:
    """The answer as JSON.

    Raises:
        AnswerRefused, NotWaiting: it does not fit, or may not come from this person.
    """
    if waiting.approvers and by not in waiting.approvers:
        raise NotWaiting(
            f"{waiting.key} is not for {by or 'somebody without a name'} to decide.",
            hint=f"it is for {', '.join(waiting.approvers)}; who is one of them says so: --by NAME (in Python: by=)",
        )
    if waiting.kind == "approval" and isinstance(value, bool):
        value = {"approved": value}
    try:
        content = as_json(value)
        plain = msgspec.json.decode(content)
    except (TypeError, ValueError, NotImplementedError, RecursionError, msgspec.MsgspecError) as error:
        raise AnswerRefused(waiting.key, [("answer", f"cannot be written as JSON: {error}")]) from None
    mistakes = mistakes_in(plain, waiting.answer if waiting.answer is not None else True)
    if mistakes:
        raise AnswerRefused(waiting.key, mistakes)
    return content


def _line(journal: Journal, asked: Asked, waiting: Waiting) -> list[Asked]:
    """The run whose step waits, and the runs around it that wait for it."""
    inner = asked if waiting.run is None else _asked_again(journal, waiting.run, asked)
    line, above = [inner], inner.run.parent_id
    while above is not None:
        outer = _asked_again(journal, above, asked)
        if not any((each.key, each.run) == (waiting.key, inner.run.id) for each in outer.state.waits):
            break
        line.append(outer)
        above = outer.run.parent_id
    return line


def _asked_again(journal: Journal, run_id: str, known: Asked) -> Asked:
    if run_id == known.run.id:
        return known
    run = journal.run(run_id)
    if run is None:
        raise RunNotFound(f"Run {run_id}, which is a part of run {known.run.name}, is not in the journal any more.")
    return asked_of(journal, run)


def _appends(line: list[Asked], waiting: Waiting, content: bytes, by: str | None) -> list[Append]:
    now, inner = now_us(), line[0]
    appends = []
    for each in line:
        event = decide_run(each.state, Answer(now, waiting.key, None if each is inner else inner.run.id, by))
        appends.append(Append(each.run.id, each.seq, [Record(event, content if each is inner else None)]))
    return appends
