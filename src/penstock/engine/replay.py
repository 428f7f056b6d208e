"""What is on record for a run, as its flow is executed again.

A step is known by its task and call number. A recorded end is given back instead of calling the task. When the run is
resumed or forked, a call that does not fit the record is an error. What earlier attempts of a retried flow recorded
does not bind it: it may take another way, and gets back what it calls again with the same arguments.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from typing import Any

from penstock.core.decisions import TaskState, ended_as, evolve_task
from penstock.core.errors import RecordedError, ReplayDiverged
from penstock.core.events import ArtifactSaved, ErrorInfo, RunRetrying, Saved, Step, Stored, TaskEvent, TaskRetrying
from penstock.core.ports import ResultStore
from penstock.core.states import NO_DATA, State, StateType

_GENERATION = re.compile(r"~\d+(?=/|$)")


class Remembered:
    """The last that is known of one call.

    Attributes:
        earlier: it was recorded in an earlier attempt of the flow. It does not bind this attempt, which may take
            another way; it is given back only to a call with the same arguments.
        settled: what the transaction around it decided (commit or rollback), if it has.
        decider: that transaction.
        opened: of a transaction with a key: the record that says whether there was a value under it.
    """

    __slots__ = ("decider", "earlier", "generation", "opened", "settled", "state", "stored")

    def __init__(self, stored: Stored, state: TaskState, generation: int) -> None:
        self.stored = stored
        self.state = state
        self.generation = generation
        self.earlier = False
        self.settled: str | None = None
        self.decider = ""
        self.opened: Stored | None = None


class Replay:
    """The recorded steps of one run.

    Attributes:
        strict: a call that does not fit the record is an error.
        diverged: that error, once there was one.
        calls: how many calls of the flow itself are on record, in its latest attempt.
    """

    def __init__(self, strict: bool) -> None:
        self.diverged: ReplayDiverged | None = None
        self.strict = strict
        self.calls = 0
        self.steps: dict[str, Remembered] = {}
        self._places: dict[tuple[str | None, int], str] = {}
        self._visited: set[str] = set()
        self._artifacts: list[tuple[ArtifactSaved, bytes | None]] = []

    def made(self, wanted: ArtifactSaved, data: bytes) -> str | None:
        """The id of such an artifact that was recorded at this place; each is found once."""
        for place, (event, content) in enumerate(self._artifacts):
            same = (event.step, event.kind, event.key, event.description, content)
            if same == (wanted.step, wanted.kind, wanted.key, wanted.description, data):
                del self._artifacts[place]
                return event.id
        return None

    def take(self, stored: Stored) -> None:
        """Take in one record, in order."""
        event = stored.event
        if isinstance(event, RunRetrying):
            for remembered in self.steps.values():
                remembered.earlier = True
            self._places.clear()
            self.calls = 0
            self._artifacts.clear()
        if isinstance(event, ArtifactSaved) and all(event.id != made.id for made, _ in self._artifacts):
            self._artifacts.append((event, stored.data))
        if not isinstance(event, TaskEvent):
            return
        if event.step.parent is None:
            self.calls = max(self.calls, event.step.ordinal)
        base, generation = plain_key(event.step.key), split_key(event.step.key)[1]
        if isinstance(event, TaskRetrying):
            self._set_aside(event.step.key)
        before = self.steps.get(base)
        same = before is not None and before.generation == generation
        state = evolve_task(before.state if before is not None and same else None, event)
        known = self.steps[base] = Remembered(stored, state, generation)
        if before is not None and same:
            known.opened = before.opened
        if event.step.ordinal:
            self._places[(event.step.parent, event.step.ordinal)] = base
        if event.stored == "TransactionDecided":
            decided: Any = event
            if decided.verdict in ("found", "open"):
                known.opened = stored
            self._settle(base, decided.steps, "commit")
            self._settle(base, decided.undone, "rollback")

    def _settle(self, decider: str, steps: Iterable[str], verdict: str) -> None:
        """A transaction around these steps, and all they have called, was decided."""
        for step in map(plain_key, steps):
            prefix = f"{step}/"
            for key, remembered in self.steps.items():
                if key == step or key.startswith(prefix):
                    remembered.settled, remembered.decider = verdict, decider

    def visit(self, key: str) -> Remembered | None:
        """What is on record under this key; the flow has come to it."""
        self._visited.add(plain_key(key))
        return self.steps.get(plain_key(key))

    def _set_aside(self, outer: str) -> None:
        """The step is attempted again: what its last attempt called does not bind the next one."""
        prefix = f"{plain_key(outer)}/"
        for key, remembered in self.steps.items():
            if key.startswith(prefix):
                remembered.earlier = True
        for place in list(self._places):
            if place[0] is not None and f"{plain_key(place[0])}/".startswith(prefix):
                del self._places[place]

    def reopen(self, outer: str, records: Iterable[Stored]) -> None:
        """Take in what a step has called so far, because it is attempted again."""
        prefix = f"{outer}/"
        for stored in records:
            if isinstance(stored.event, TaskEvent) and stored.event.step.key.startswith(prefix):
                self.take(stored)
        self._set_aside(outer)

    def find(self, step: Step) -> Remembered | None:
        """What is on record for this call.

        Raises:
            ReplayDiverged: (strict) the record shows another call in this place, or other arguments.
        """
        key = plain_key(step.key)
        found = self.steps.get(key)
        if self.diverged is not None:
            raise self.diverged
        if self.strict:
            try:
                self._check(step, key, found)
            except ReplayDiverged as error:
                self.diverged = error
                raise
        if found is not None:
            self._visited.add(key)
        return found

    def _check(self, step: Step, key: str, found: Remembered | None) -> None:
        where = f"step {step.parent}" if step.parent else "the flow"
        recorded = self._places.get((step.parent, step.ordinal))
        if recorded is not None and recorded != key:
            raise ReplayDiverged(
                f"Call {step.ordinal} of {where} was {recorded} when it was recorded, and is {step.key} now."
            )
        if found is None or found.earlier:
            return
        then = found.state.step
        if then.ordinal != step.ordinal:
            raise ReplayDiverged(
                f"{step.key} was call {then.ordinal} of {where} when it was recorded, and is call {step.ordinal} now."
            )
        changed = [name for name, mark in step.inputs.items() if then.inputs.get(name) != mark]
        changed += [name for name in then.inputs if name not in step.inputs]
        if changed and found.state.ended:
            told = ", ".join(repr(name) for name in changed)
            raise ReplayDiverged(f"{step.key} is called with another value for {told} than when it was recorded.")

    def check_all_reached(self) -> None:
        """At the end of the flow: every completed call must have been made again.

        Raises:
            ReplayDiverged: (strict) the flow no longer makes a call that is on record.
        """
        if not self.strict:
            return
        for key, found in self.steps.items():
            top = found.state.step.parent is None
            completed = found.state.type is StateType.COMPLETED and not found.earlier
            if top and completed and key not in self._visited:
                raise ReplayDiverged(f"{key} completed when it was recorded, and the flow does not call it any more.")


def plain_key(key: str) -> str:
    """A key without any generation mark, its own or of the steps around it."""
    return _GENERATION.sub("", key) if "~" in key else key


def split_key(key: str) -> tuple[str, int]:
    """A key without its generation mark (`fetch#1~2` is the second time a retried flow ran `fetch#1`)."""
    base, tilde, number = key.rpartition("~")
    if tilde and number.isdigit():
        return base, int(number)
    return key, 1


def state_of(stored: Stored, results: ResultStore) -> State:
    """The final state that a recorded end (of a step or of a run) stands for, with its value or exception."""
    event: Any = stored.event
    kind = ended_as(event)
    if kind is None:
        raise ValueError(f"{type(event).__name__} is not an end")
    data: Any = NO_DATA
    saved: Saved | None = event.result
    if event.error is not None:
        data = load_error(event.error, stored.data)
    elif saved is not None:
        data = results.load(saved, stored.data)
    state = State(kind, event.state_name, event.message, data, event.at / 1_000_000).recorded()
    state._returned = getattr(event, "returned", False)
    return state


def load_error(info: ErrorInfo, data: bytes | None) -> BaseException:
    """The recorded exception; a `RecordedError` stands in for one that could not be stored."""
    if data is not None:
        try:
            error = pickle.loads(data)
            if isinstance(error, BaseException):
                return error
        except Exception:
            pass
    return RecordedError(info.type, info.text)
