"""Where commands get what they show, and have done what they do: the journal at hand, or a server.

Both give the same: runs as `core.model` has them, workflows as records (`orchestrator.records`). What is written from
these knows nothing of where they came from, and is the same to the letter.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from penstock.app import Penstock
from penstock.cli.servers import VARIABLE
from penstock.cli.session import executing, reading
from penstock.core.events import ErrorInfo, Waiting
from penstock.core.extras import LateModule
from penstock.core.model import Run
from penstock.core.ports import Journal, Watch
from penstock.core.ports.reading import Reading
from penstock.engine import recovery
from penstock.orchestrator.records import errors_of

if TYPE_CHECKING:
    from penstock.cli.access_desk import LocalAudit, LocalKeys, LocalUsers
    from penstock.cli.alert_desk import LocalAlerts
    from penstock.cli.connection_desk import LocalConnections
    from penstock.cli.dataset_desk import LocalDatasets
    from penstock.cli.hook_desk import LocalHooks
    from penstock.cli.plan_desk import LocalAutomations, LocalDeployments, LocalEvents
    from penstock.cli.workflow_desk import WorkflowDesk

_remote: Any = LateModule("penstock.cli.desk_remote")
_access: Any = LateModule("penstock.cli.access_desk")
_alerts: Any = LateModule("penstock.cli.alert_desk")
_connections: Any = LateModule("penstock.cli.connection_desk")
_datasets: Any = LateModule("penstock.cli.dataset_desk")
_hooks: Any = LateModule("penstock.cli.hook_desk")
_plans: Any = LateModule("penstock.cli.plan_desk")
_replies: Any = LateModule("penstock.engine.waiting.replies")
_workflows: Any = LateModule("penstock.cli.workflow_desk")
Told = list[tuple[str | None, ErrorInfo]]


class Desk(Protocol):
    """What commands about runs and workflows work with.

    Attributes:
        remote: a server has them.
    """

    remote: bool

    @property
    def journal(self) -> Reading:
        """Reads runs."""

    @property
    def workflows(self) -> WorkflowDesk:
        """The workflows."""

    @property
    def deployments(self) -> LocalDeployments:
        """The deployments."""

    @property
    def automations(self) -> LocalAutomations:
        """The automations."""

    @property
    def events(self) -> LocalEvents:
        """What happens."""

    @property
    def users(self) -> LocalUsers:
        """The accounts."""

    @property
    def keys(self) -> LocalKeys:
        """The API keys."""

    @property
    def audit(self) -> LocalAudit:
        """Who did what to what."""

    @property
    def hooks(self) -> LocalHooks:
        """The webhooks."""

    @property
    def alerts(self) -> LocalAlerts:
        """Alerts and silences."""

    @property
    def connections(self) -> LocalConnections:
        """The connections."""

    @property
    def datasets(self) -> LocalDatasets:
        """The datasets."""

    def errors(self, run_id: str) -> Told:
        """What steps of a run and the run itself ended with."""

    def cancel(self, run_id: str, grace_seconds: float) -> Run:
        """Stop a run."""

    def pause(self, run_id: str, reason: str | None) -> Run:
        """Let a run begin no other step."""

    def delete(self, run_ids: Sequence[str]) -> tuple[int, int | None]:
        """Delete runs; how many with their subflow runs, and how many files of results (None: that is not known)."""

    def question(self, run: Run, step: str | None) -> Waiting:
        """What a run asks."""

    def reply(self, run_id: str, value: Any, *, by: str | None, step: str | None) -> Run:
        """Answer it."""

    def watch(self) -> Watch:
        """Waits until there may be something new."""


def server() -> str | None:
    """The address of the server that commands are meant for; None for the journal at hand."""
    return os.environ.get(VARIABLE) or None


@contextmanager
def at_desk(*, writing: bool = False) -> Iterator[Desk]:
    """The runs and workflows that a command is about.

    Args:
        writing: a journal is made where there is none.
    """
    place = server()
    if place is not None:
        with _remote.asking(place) as found:
            yield found
    else:
        with (executing if writing else reading)() as penstock:
            yield LocalDesk(penstock)


class LocalDesk:
    """The journal at hand."""

    remote = False

    def __init__(self, penstock: Penstock) -> None:
        self.journal: Journal = penstock.journal
        self._penstock = penstock

    @property
    def workflows(self) -> WorkflowDesk:
        """See `Desk`."""
        found: WorkflowDesk = _workflows.LocalWorkflows(self._penstock)
        return found

    @property
    def deployments(self) -> LocalDeployments:
        """See `Desk`."""
        found: LocalDeployments = _plans.LocalDeployments(self._penstock)
        return found

    @property
    def automations(self) -> LocalAutomations:
        """See `Desk`."""
        found: LocalAutomations = _plans.LocalAutomations(self._penstock)
        return found

    @property
    def events(self) -> LocalEvents:
        """See `Desk`."""
        found: LocalEvents = _plans.LocalEvents(self._penstock)
        return found

    @property
    def users(self) -> LocalUsers:
        """See `Desk`."""
        found: LocalUsers = _access.LocalUsers(self._penstock)
        return found

    @property
    def keys(self) -> LocalKeys:
        """See `Desk`."""
        found: LocalKeys = _access.LocalKeys(self._penstock)
        return found

    @property
    def audit(self) -> LocalAudit:
        """See `Desk`."""
        found: LocalAudit = _access.LocalAudit(self._penstock)
        return found

    @property
    def hooks(self) -> LocalHooks:
        """See `Desk`."""
        found: LocalHooks = _hooks.LocalHooks(self._penstock)
        return found

    @property
    def alerts(self) -> LocalAlerts:
        """See `Desk`."""
        found: LocalAlerts = _alerts.LocalAlerts(self._penstock)
        return found

    @property
    def connections(self) -> LocalConnections:
        """See `Desk`."""
        found: LocalConnections = _connections.LocalConnections(self._penstock)
        return found

    @property
    def datasets(self) -> LocalDatasets:
        """See `Desk`."""
        found: LocalDatasets = _datasets.LocalDatasets(self._penstock)
        return found

    def errors(self, run_id: str) -> Told:
        """See `Desk`."""
        return errors_of(self.journal, run_id)

    def cancel(self, run_id: str, grace_seconds: float) -> Run:
        """See `Desk`."""
        return recovery.cancel(self.journal, run_id, grace_seconds=grace_seconds)

    def pause(self, run_id: str, reason: str | None) -> Run:
        """See `Desk`."""
        asked: Run = _replies.pause(self.journal, run_id, by=me(), reason=reason)
        return asked

    def delete(self, run_ids: Sequence[str]) -> tuple[int, int]:
        """See `Desk`."""
        count = sum(recovery.delete(self.journal, each) for each in run_ids)
        return count, self._penstock.results.sweep(self.journal.unused)

    def question(self, run: Run, step: str | None) -> Waiting:
        """See `Desk`."""
        found: Waiting = _replies.question(_replies.asked_of(self.journal, run), step)
        return found

    def reply(self, run_id: str, value: Any, *, by: str | None, step: str | None) -> Run:
        """See `Desk`."""
        after: Run = _replies.reply(self.journal, run_id, value, by=by or me(), step=step)
        return after

    def watch(self) -> Watch:
        """See `Desk`."""
        return self.journal.watch()


def me() -> str | None:
    """The user of this machine who does it; None in a container without users."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
