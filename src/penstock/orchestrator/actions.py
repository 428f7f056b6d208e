"""Carries out the actions of firings.

What a firing owes is a table that its event fills and `ActionEnded` empties. An action that stays inside the journal
is one commit together with its ActionEnded: it is done exactly once. The others are `outside`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.automations import (
    CancelRun,
    ChangeState,
    EmitEvent,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    RunWorkflow,
    action_of,
)
from penstock.core.deployments import of_data
from penstock.core.errors import BadEvent, InvalidTransition, JournalError, PenstockError, RunNotFound, SequenceConflict
from penstock.core.events import Append, Event, Record, RunCancelRequested, now_us
from penstock.core.ids import derived_run_id
from penstock.core.model import OwedAction
from penstock.core.plans import ActionEnded, stream_of
from penstock.core.ports import Alerts, Journal
from penstock.core.states import StateType
from penstock.core.templates import as_text, fill, fill_text
from penstock.engine.commands import end_family
from penstock.orchestrator.calls import Send, call
from penstock.orchestrator.deployments import find_deployment, pausing, resuming, run_of
from penstock.orchestrator.emitting import happened
from penstock.orchestrator.outside import Outside, stream_of_action

_log = logging.getLogger("penstock.automations")
_AT_ONCE = 200
_TRIES = 5


class Effect:
    """What an action does to the journal: appends to other streams, events of its own, and what is told of it."""

    def __init__(self, *appends: Append, own: Event | None = None, **facts: Any) -> None:
        self.appends = list(appends)
        self.own = [Record(own)] if own is not None else []
        self.facts = facts


class Actions:
    """Carries out what is due.

    Args:
        journal: where it is owed.
        alerts: places for alerts, by name.
        send: what carries out calls.
    """

    def __init__(self, journal: Journal, alerts: Mapping[str, Alerts], send: Send = call) -> None:
        self.journal = journal
        self.outside = Outside(journal, alerts, send)

    def turn(self, now: int | None = None) -> int:
        """Carry out what is due inside the journal, and begin what is due outside; returns how many that were."""
        now = now_us() if now is None else now
        done = sum(self._carry_out(owed, now) for owed in self.journal.owed_actions(now, False, _AT_ONCE))
        return done + self.outside.turn(now)

    def _carry_out(self, owed: OwedAction, now: int) -> int:
        stream = stream_of_action(owed)
        for _ in range(_TRIES):
            error, effect = None, Effect()
            try:
                effect = effect_of(self.journal, owed, now)
            except SequenceConflict:
                continue
            except PenstockError as problem:
                _raise_if_journal(problem)
                error = problem.message
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}"
            if error is not None:
                _log.warning("Action %d of the firing %s could not be done: %s", owed.action, owed.firing, error)
            ended = ActionEnded(
                at=now, name=owed.automation, id=owed.firing, action=owed.action, error=error, facts=effect.facts
            )
            try:
                self.journal.commit([*effect.appends, Append(stream, 0, [*effect.own, Record(ended)])])
                return 1
            except SequenceConflict as conflict:
                if conflict.stream == stream:  # somebody else has done it
                    return 0
            except JournalError as problem:
                _raise_if_journal(problem)
                return self._give_up(owed, now, problem.message)
        return 0  # what it is about keeps changing: the next turn will see

    def _give_up(self, owed: OwedAction, now: int, error: str) -> int:
        """The journal will not have what an action comes to: that must not hold up the others."""
        _log.warning("Action %d of the firing %s could not be recorded: %s", owed.action, owed.firing, error)
        ended = ActionEnded(at=now, name=owed.automation, id=owed.firing, action=owed.action, error=error)
        try:
            self.journal.append(stream_of_action(owed), 0, [Record(ended)])
        except SequenceConflict:
            return 0
        return 1


def _raise_if_journal(problem: PenstockError) -> None:
    """Raise what is no fault of an action: the journal is out of reach, full, or not to be written."""
    if isinstance(problem, JournalError) and type(problem) is not JournalError:
        raise problem


def effect_of(journal: Journal, owed: OwedAction, now: int) -> Effect:
    """What an action inside the journal comes to. Only the cancelling of a run that nobody executes is done here.

    Raises:
        PenstockError: it cannot be done.
        SequenceConflict: it has to be looked at anew.
    """
    match action_of(owed.do):
        case RunDeployment() as action:
            return _run(journal, action.deployment, action, owed, now)
        case RunWorkflow() as action:
            return _run(journal, action.workflow, action, owed, now)
        case PauseDeployment() | ResumeDeployment() as action:
            return _pause(journal, action, owed)
        case CancelRun() as action:
            return _cancel(journal, action, owed, now)
        case ChangeState() as action:
            return _end(journal, action, owed, now)
        case EmitEvent() as action:
            return _emit(action, owed, now)
        case action:
            raise BadEvent(f"{type(action).__name__} is no action inside the journal.")


def _run(journal: Journal, name: str, action: RunDeployment | RunWorkflow, owed: OwedAction, now: int) -> Effect:
    deployment = of_data(find_deployment(journal, fill_text(name, owed.facts)).spec)
    run_id = derived_run_id(owed.fired_at // 1000, "automation", owed.firing, str(owed.action))
    born = run_of(
        deployment,
        run_id,
        fill(action.parameters, owed.facts),
        due_at=now,
        tags=[fill_text(tag, owed.facts) for tag in action.tags],
        key=f"{owed.firing}/{owed.action}",
        cause="automation",
        chain=owed.chain,
    )
    return Effect(born, run=run_id) if journal.run(run_id) is None else Effect(run=run_id)


def _pause(journal: Journal, action: PauseDeployment | ResumeDeployment, owed: OwedAction) -> Effect:
    name = fill_text(action.deployment, owed.facts)
    schedule = fill_text(action.schedule, owed.facts) if action.schedule is not None else None
    stream = stream_of("deployment", name)
    seq = journal.last_seq(stream)
    stored = find_deployment(journal, name)
    pauses = isinstance(action, PauseDeployment)
    event = pausing(stored, schedule) if pauses else resuming(stored, schedule)
    paused = stored.paused if schedule is None else {s.name: s.paused for s in stored.schedules}[schedule]
    if paused == pauses:
        return Effect(deployment=name, changed=False)
    event = msgspec.structs.replace(event, chain=owed.chain)
    return Effect(Append(stream, seq, [Record(event)]), deployment=name, changed=True)


def _cancel(journal: Journal, action: CancelRun, owed: OwedAction, now: int) -> Effect:
    run_id = fill_text(action.run, owed.facts)
    reason = fill_text(action.reason or f"The automation {owed.automation} cancelled it.", owed.facts)
    seq = journal.last_seq(run_id)
    run = journal.run(run_id)
    if run is None:
        raise RunNotFound(f"There is no run {run_id!r}.")
    if run.ended or run.cancel_requested:
        return Effect(run=run_id, changed=False)
    if run.owner is not None and not run.lost(now):
        return Effect(
            Append(run_id, seq, [Record(RunCancelRequested(at=now, reason=reason))]), run=run_id, changed=True
        )
    try:
        end_family(journal, run_id, StateType.CANCELLED, reason, owner=run.owner)
    except InvalidTransition:
        raise SequenceConflict(f"{run_id} has just changed.", stream=run_id) from None
    return Effect(run=run_id, changed=True)


def _end(journal: Journal, action: ChangeState, owed: OwedAction, now: int) -> Effect:
    run_id = fill_text(action.run, owed.facts)
    reason = fill_text(action.reason or f"The automation {owed.automation} ended it.", owed.facts)
    run = journal.run(run_id)
    if run is None:
        raise RunNotFound(f"There is no run {run_id!r}.")
    if run.ended:
        return Effect(run=run_id, changed=False)
    if run.owner is not None and not run.lost(now):
        raise InvalidTransition(
            f"Run {run.name} is being executed.", hint="cancel-run stops it; change-state is for those that wait"
        )
    try:
        end_family(journal, run_id, StateType[action.state.upper()], reason, owner=run.owner)
    except InvalidTransition:
        raise SequenceConflict(f"{run_id} has just changed.", stream=run_id) from None
    return Effect(run=run_id, changed=True)


def _emit(action: EmitEvent, owed: OwedAction, now: int) -> Effect:
    about = as_text(fill(action.about, owed.facts)) if action.about is not None else None
    event = happened(fill_text(action.event, owed.facts), about, fill(action.facts, owed.facts), now)
    return Effect(own=msgspec.structs.replace(event, chain=owed.chain))
