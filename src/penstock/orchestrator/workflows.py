"""Workflows in a journal: made, changed, restored, deleted. Each has a deployment of its name, which runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.authoring.callables import Callables
from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Deployment, Schedule
from penstock.core.errors import BadWorkflow, SequenceConflict, WorkflowConflict, WorkflowNotFound
from penstock.core.events import Append, Event, Record, now_us
from penstock.core.model import Run
from penstock.core.plans import DeploymentDeleted, stream_of
from penstock.core.ports import Journal
from penstock.core.workflow_events import WorkflowCreated, WorkflowDeleted, WorkflowUpdated
from penstock.core.workflows import (
    FACTS,
    StoredWorkflow,
    WorkflowFilter,
    WorkflowSpec,
    as_data,
    of_data,
    read,
    refuse_unknown,
)
from penstock.engine.uploads import refuse_missing
from penstock.engine.workflows import ENTRYPOINT, version_of
from penstock.orchestrator import deployments
from penstock.orchestrator.engines import Engines

_ATTEMPTS = 10


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a workflow that there is or was.

    Attributes:
        at: since when.
        restores: the earlier version that it is again.
        by: who made it.
    """

    version: int
    at: int
    spec: dict[str, Any]
    restores: int | None = None
    by: str | None = None


class Workflows:
    """The workflows of a project.

    Args:
        journal: where they are.
        callables: what they may call, and the folder that their runs are executed in.
        engines: what may execute them besides Penstock itself.
    """

    def __init__(self, journal: Journal, callables: Callables, engines: Engines | None = None) -> None:
        self.journal = journal
        self.callables = callables
        self.engines = engines

    def mistakes_in(self, spec: WorkflowSpec) -> list[tuple[str, str]]:
        """What is wrong with what a workflow calls and where it is to be executed, each mistake with its place."""
        return self.callables.mistakes_in(spec) + (self.engines.mistakes_in(spec) if self.engines is not None else [])

    def _check(self, spec: WorkflowSpec) -> None:
        if mistakes := self.mistakes_in(spec):
            raise BadWorkflow(spec.name, mistakes)

    def get(self, name: str, any_tags: Sequence[str] | None = None) -> StoredWorkflow:
        """One workflow.

        Args:
            name: of it.
            any_tags: it bears at least one of these; None for any or none.

        Raises:
            WorkflowNotFound: there is none of this name.
        """
        among = tuple(any_tags) if any_tags is not None else None
        found = self.journal.workflows(WorkflowFilter(name=name, any_tags=among, limit=1))
        if not found:
            raise WorkflowNotFound(
                f"There is no workflow {name!r}.", hint="the list of workflows shows those there are"
            )
        return found[0]

    def spec(self, stored: StoredWorkflow) -> WorkflowSpec:
        """What it is, active as it is now."""
        return msgspec.structs.replace(of_data(stored.spec), active=stored.active)

    def create(self, spec: WorkflowSpec, by: str | None = None, *, key: str | None = None) -> StoredWorkflow:
        """Make a workflow.

        Args:
            spec: what it is.
            by: who makes it.
            key: an idempotency key: a second call with it, for the same, gives what the first one made.

        Raises:
            BadWorkflow: something it calls is not allowed, or not there.
            WorkflowConflict: there is a workflow, or a deployment, of this name; or what the key has made was deleted.
        """
        self._check(spec)
        for _ in range(_ATTEMPTS):
            seqs = self._seqs(spec.name)
            known = self.journal.workflows(WorkflowFilter(name=spec.name, limit=1))
            data, made = as_data(spec), self._made(spec.name) if key is not None and seqs[0] else []
            if known and made and (made[-1].key, made[-1].spec) == (key, data):
                return known[0]
            if not known and any(each.key == key for each in made):
                raise WorkflowConflict("The workflow that this key has made was deleted.", hint="give another key")
            if known or self.journal.deployments(spec.name):
                raise self._taken(spec.name, bool(known))
            number = self._last_number(stream_of("workflow", spec.name), seqs[0]) + 1
            event = WorkflowCreated(at=now_us(), name=spec.name, number=number, spec=data, by=by, key=key)
            if self._commit(spec, event.number, event, seqs):
                return self.get(spec.name)
        raise _busy(spec.name)

    def _made(self, name: str) -> list[WorkflowCreated]:
        """How often a workflow of this name was made, the last time last."""
        stream = stream_of("workflow", name)
        return [each.event for each in self.journal.load(stream) if isinstance(each.event, WorkflowCreated)]

    def _taken(self, name: str, by_workflow: bool) -> WorkflowConflict:
        if by_workflow:
            hint = "give another name, or update that one"
            return WorkflowConflict(f"There is a workflow {name!r} already.", hint=hint)
        return WorkflowConflict(
            f"There is a deployment {name!r} already, and a workflow has one of its name.",
            hint=f"give another name, or delete it: penstock deployments delete {name}",
        )

    def update(
        self,
        name: str,
        spec: WorkflowSpec,
        *,
        expected: int | None = None,
        restores: int | None = None,
        by: str | None = None,
        keep_active: bool = False,
    ) -> StoredWorkflow:
        """Change a workflow. A change that changes nothing makes no version.

        Args:
            name: of the workflow.
            spec: as it is to be.
            expected: the version that it has; another one is left alone.
            restores: the earlier version that this is.
            by: who does it.
            keep_active: it stays active, or not active, as it is.

        Raises:
            BadWorkflow: something it calls is not allowed, or not there.
            WorkflowNotFound: there is none of this name.
            WorkflowConflict: it has another name, or another version by now.
        """
        if spec.name != name:
            raise WorkflowConflict(
                f"The workflow {name!r} cannot become {spec.name!r}: its runs are known by its name.",
                hint="clone it under the new name, and delete the old one",
            )
        self._check(spec)
        for _ in range(_ATTEMPTS):
            seqs = self._seqs(name)
            stored = self.get(name)
            if expected is not None and stored.version != expected:
                raise WorkflowConflict(
                    f"The workflow {name!r} was changed meanwhile: it has version {stored.version}, not {expected}.",
                    hint="get it again, and make your change to what it is now",
                )
            if keep_active:
                spec = msgspec.structs.replace(spec, active=stored.active)
            if self.spec(stored) == spec:
                return stored
            number, data = stored.version + 1, as_data(spec)
            event = WorkflowUpdated(at=now_us(), name=name, number=number, spec=data, restores=restores, by=by)
            if self._commit(spec, event.number, event, seqs):
                return self.get(name)
        raise _busy(name)

    def delete(self, name: str, *, expected: int | None = None, by: str | None = None) -> None:
        """Remove a workflow, and its schedule with it; its runs stay.

        Raises:
            WorkflowNotFound: there is none of this name.
            WorkflowConflict: it has another version than expected.
        """
        for _ in range(_ATTEMPTS):
            seq, last = self._seqs(name)
            stored = self.get(name)
            if expected is not None and stored.version != expected:
                raise WorkflowConflict(f"The workflow {name!r} was changed meanwhile: it has version {stored.version}.")
            event = WorkflowDeleted(at=now_us(), name=name, number=stored.version, by=by)
            appends = [Append(stream_of("workflow", name), seq, [Record(event)])]
            for deployed in self.journal.deployments(name):
                names = tuple(each.name for each in deployed.schedules)
                gone = DeploymentDeleted(at=event.at, name=name, schedules=names)
                appends.append(Append(stream_of("deployment", name), last, [Record(gone)]))
            if self._try(appends):
                return
        raise _busy(name)

    def apply(self, spec: WorkflowSpec, by: str | None = None, *, key: str | None = None) -> StoredWorkflow:
        """Make a workflow, or have the one of its name become as this says.

        Raises:
            BadWorkflow, WorkflowConflict: see `create` and `update`.
        """
        if self.journal.workflows(WorkflowFilter(name=spec.name, limit=1)):
            return self.update(spec.name, spec, by=by)
        return self.create(spec, by, key=key)

    def clone(self, name: str, new_name: str, by: str | None = None, *, key: str | None = None) -> StoredWorkflow:
        """A workflow with the tasks and all of another one, not active.

        Raises:
            BadWorkflow: the new name cannot be, or something it calls is not there.
            WorkflowNotFound, WorkflowConflict: there is none of the one name, or there is one of the other.
        """
        spec = self.spec(self.get(name))
        return self.create(read({**as_data(spec), "name": new_name, "active": False}), by, key=key)

    def enable(self, name: str, active: bool) -> StoredWorkflow:
        """Let its schedule make runs from now on, or not. It can be triggered either way."""
        stored = self.get(name)
        if not self.journal.deployments(name):  # somebody has deleted it by hand
            spec = self.spec(stored)
            deployments.declare(self.journal, self._deployment(spec, stored.version))
        if stored.active != active:
            (deployments.unpause if active else deployments.pause)(self.journal, name)
        return self.get(name)

    def versions(self, name: str) -> list[Version]:
        """Every version that there was, the newest first, also of a workflow that was deleted.

        Raises:
            WorkflowNotFound: there was none.
        """
        found = []
        for stored in self.journal.load(stream_of("workflow", name)):
            event = stored.event
            if isinstance(event, (WorkflowCreated, WorkflowUpdated)):
                restores = event.restores if isinstance(event, WorkflowUpdated) else None
                found.append(
                    Version(version=event.number, at=event.at, spec=event.spec, restores=restores, by=event.by)
                )
        if not found:
            raise WorkflowNotFound(f"There is no workflow {name!r}.")
        return found[::-1]

    def rollback(
        self, name: str, version: int, *, expected: int | None = None, by: str | None = None
    ) -> StoredWorkflow:
        """Make a workflow what it was in an earlier version; that makes a new one. Active it is or is not as it is now.

        Raises:
            WorkflowNotFound: there is no such workflow or version.
            BadWorkflow: what it called then is not there any more.
        """
        self.get(name)
        spec = version_of(self.journal, name, version)
        return self.update(name, spec, expected=expected, restores=version, by=by, keep_active=True)

    def trigger(self, name: str, parameters: dict[str, Any], **options: Any) -> Run:
        """Ask for a run; see `orchestrator.deployments.trigger`.

        Raises:
            WorkflowNotFound: there is none of this name.
            ParameterError: it has no such parameter, or the key has made a run with others.
        """
        stored = self.get(name)
        spec = of_data(stored.spec)
        refuse_unknown(spec, parameters)
        if not self.journal.deployments(name):
            deployments.declare(self.journal, self._deployment(self.spec(stored), stored.version))
        return deployments.trigger(self.journal, name, parameters, **options, same=True)

    def plan(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """What a run would do, all that it calls being there; nothing is executed.

        Raises:
            WorkflowNotFound: there is none of this name.
            ParameterError: it has no such parameter, or one names a file that is not there.
            BadWorkflow: something it calls is not there.
        """
        stored = self.get(name)
        spec = of_data(stored.spec)
        refuse_unknown(spec, parameters)
        refuse_missing(self.journal, f"the workflow {name!r}", {**spec.parameters, **parameters})
        self._check(spec)
        return {
            "workflow": name,
            "version": stored.version,
            "parameters": {**spec.parameters, **parameters},
            "tasks": [
                {"name": task.name, "python_callable": task.python_callable, "after": list(task.needs())}
                for task in spec.ordered()
            ],
        }

    def _seqs(self, name: str) -> tuple[int, int]:
        """How far a workflow and its deployment are; read before they are looked at, so that no change is missed."""
        return self.journal.last_seq(stream_of("workflow", name)), self.journal.last_seq(stream_of("deployment", name))

    def _commit(self, spec: WorkflowSpec, version: int, event: Event, seqs: tuple[int, int]) -> bool:
        """The workflow and its deployment, both or neither; False when somebody was faster."""
        appends = [Append(stream_of("workflow", spec.name), seqs[0], [Record(event)])]
        deployed = deployments.declaring(self.journal, self._deployment(spec, version), by_hand=False)
        if deployed is not None:
            appends.append(Append(stream_of("deployment", spec.name), seqs[1], [Record(deployed)]))
        return self._try(appends)

    def _try(self, appends: list[Append]) -> bool:
        try:
            self.journal.commit(appends)
        except SequenceConflict:
            return False
        return True

    def _last_number(self, stream: str, seq: int) -> int:
        """Of a workflow of this name that was deleted; 0 where there was none."""
        last = next(iter(self.journal.load(stream, seq - 1)), None) if seq else None
        return getattr(last.event, "number", 0) if last is not None else 0

    def _deployment(self, spec: WorkflowSpec, version: int) -> Deployment:
        when = ScheduleSpec.of(spec.schedule.strip(), timezone=spec.timezone) if spec.schedule is not None else None
        return Deployment(
            name=spec.name,
            flow=spec.name,
            entrypoint=ENTRYPOINT,
            schedules=(Schedule(name="schedule", spec=when),) if when is not None else (),
            parameters={name: value for name, value in spec.parameters.items() if name not in FACTS},
            tags=spec.tags,
            description=spec.description,
            version=str(version),
            paused=not spec.active,
            folder=self.callables.folder,
            engine=spec.engine,
        )


def _busy(name: str) -> WorkflowConflict:
    return WorkflowConflict(f"The workflow {name!r} is being changed by others all the time.", hint="try again")
