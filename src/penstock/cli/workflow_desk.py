"""Workflows for commands: those of the journal at hand, as records. Those of a server are in `desk_remote`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from penstock.app import Penstock
from penstock.cli.desk import me, server
from penstock.cli.session import reading
from penstock.core.errors import PenstockError
from penstock.core.model import Run
from penstock.core.workflow_texts import Format, of_text, to_text
from penstock.core.workflows import WorkflowFilter, WorkflowSpec
from penstock.engine.workflows import callables_of, version_of
from penstock.orchestrator.engines import Engines
from penstock.orchestrator.records import version_record, workflow_record
from penstock.orchestrator.workflows import Workflows

Record = dict[str, Any]


class Text(NamedTuple):
    """A workflow as somebody wrote it."""

    content: bytes
    format: Format


class WorkflowDesk(Protocol):
    """Workflows, as records."""

    def create(self, text: Text, key: str | None) -> Record:
        """Make one."""

    def apply(self, text: Text, key: str | None) -> Record:
        """Make one, or have the one of its name become as this says."""

    def validate(self, text: Text) -> None:
        """See whether it can be."""

    def list(self, where: WorkflowFilter) -> tuple[Sequence[Record], int]:
        """Those that fit, by name, at most so many; and how many there are."""

    def get(self, name: str) -> Record:
        """One of them."""

    def versions(self, name: str) -> Sequence[Record]:
        """Every version that there was, the newest first."""

    def rollback(self, name: str, version: int) -> Record:
        """Make it what it was."""

    def clone(self, name: str, new_name: str, key: str | None) -> Record:
        """Make one like it."""

    def enable(self, name: str, active: bool) -> Record:
        """Let its schedule make runs, or not."""

    def delete(self, name: str) -> None:
        """Remove it."""

    def trigger(
        self, name: str, parameters: Record, *, key: str | None, tags: Sequence[str], run_name: str | None
    ) -> Run:
        """Ask for a run."""

    def plan(self, name: str, parameters: Record) -> Record:
        """Say what a run would do."""

    def export(self, name: str, form: Format, version: int | None) -> bytes:
        """One as a text."""


class LocalWorkflows:
    """The workflows of the journal at hand."""

    def __init__(self, penstock: Penstock) -> None:
        self._all = Workflows(penstock.journal, callables_of(), Engines(penstock))

    def _spec(self, text: Text) -> WorkflowSpec:
        return of_text(text.content, text.format, self._all.mistakes_in)

    def create(self, text: Text, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.create(self._spec(text), me(), key=key))

    def apply(self, text: Text, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.apply(self._spec(text), me(), key=key))

    def validate(self, text: Text) -> None:
        """See `WorkflowDesk`."""
        self._spec(text)

    def list(self, where: WorkflowFilter) -> tuple[Sequence[Record], int]:
        """See `WorkflowDesk`."""
        found = self._all.journal.workflows(where)
        return [workflow_record(each) for each in found], self._all.journal.count_workflows(where)

    def get(self, name: str) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.get(name))

    def versions(self, name: str) -> Sequence[Record]:
        """See `WorkflowDesk`."""
        return [version_record(each) for each in self._all.versions(name)]

    def rollback(self, name: str, version: int) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.rollback(name, version, by=me()))

    def clone(self, name: str, new_name: str, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.clone(name, new_name, me(), key=key))

    def enable(self, name: str, active: bool) -> Record:
        """See `WorkflowDesk`."""
        return workflow_record(self._all.enable(name, active))

    def delete(self, name: str) -> None:
        """See `WorkflowDesk`."""
        self._all.delete(name, by=me())

    def trigger(
        self, name: str, parameters: Record, *, key: str | None, tags: Sequence[str], run_name: str | None
    ) -> Run:
        """See `WorkflowDesk`."""
        return self._all.trigger(name, parameters, key=key, tags=tags, run_name=run_name)

    def plan(self, name: str, parameters: Record) -> Record:
        """See `WorkflowDesk`."""
        return self._all.plan(name, parameters)

    def export(self, name: str, form: Format, version: int | None) -> bytes:
        """See `WorkflowDesk`."""
        if version is None:
            return to_text(self._all.spec(self._all.get(name)), form).encode()
        return to_text(version_of(self._all.journal, name, version), form).encode()


def complete_workflow(incomplete: str) -> list[tuple[str, str]]:
    """Workflows for the shell's completion; those of a server are not asked for."""
    if server() is not None:
        return []
    try:
        with reading() as penstock:
            found = penstock.journal.workflows(WorkflowFilter(limit=200))
    except (PenstockError, OSError):
        return []
    return [(each.name, f"version {each.version}") for each in found if each.name.startswith(incomplete)]
