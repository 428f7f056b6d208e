"""Commands meant for a server: what `desk` has at hand, asked for over HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec

from penstock.cli.desk import Told
from penstock.cli.workflow_desk import Record, Text, WorkflowDesk
from penstock.core.errors import ConfigurationError, NotWaiting
from penstock.core.events import ErrorInfo, Waiting
from penstock.core.extras import LateModule
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Watch
from penstock.core.release import VERSION
from penstock.core.workflow_texts import Format
from penstock.core.workflows import WorkflowFilter
from penstock.remote import Client, answers
from penstock.remote.identity import Identity
from penstock.remote.logins import saved_login
from penstock.remote.reading import RemoteReading, run_of, waiting_of

API_KEY, INSECURE, CA_FILE = "PENSTOCK_API_KEY", "PENSTOCK_INSECURE", "PENSTOCK_CA_FILE"
_PAGE = 500
_access: Any = LateModule("penstock.cli.access_desk_remote")
_alerts: Any = LateModule("penstock.cli.alert_desk_remote")
_connections: Any = LateModule("penstock.cli.connection_desk_remote")
_datasets: Any = LateModule("penstock.cli.dataset_desk_remote")
_hooks: Any = LateModule("penstock.cli.hook_desk_remote")
_plans: Any = LateModule("penstock.cli.plan_desk_remote")


@contextmanager
def asking(server: str) -> Iterator[RemoteDesk]:
    """The desk of a server."""
    with client_of(server) as client:
        yield RemoteDesk(client)


def client_of(server: str) -> Client:
    """A client as the environment says (PENSTOCK_API_KEY, PENSTOCK_CA_FILE, PENSTOCK_INSECURE), or `penstock login`."""
    key = os.environ.get(API_KEY) or None
    return client_as(server, saved_login(server) if key is None else None, api_key=key)


def client_as(server: str, identity: Identity | None, **more: Any) -> Client:
    """A client for somebody."""
    return Client(
        server,
        identity=identity,
        ca_file=os.environ.get(CA_FILE) or None,
        insecure=is_insecure(),
        agent=f"penstock/{VERSION}",
        **more,
    )


def is_insecure() -> bool:
    """Whether secrets may go over a network that is not encrypted."""
    return os.environ.get(INSECURE, "").lower() in ("1", "true", "yes")


class RemoteDesk:
    """A server; see `Desk`."""

    remote = True

    def __init__(self, client: Client) -> None:
        self.client = client
        self.journal = RemoteReading(client)

    @property
    def workflows(self) -> WorkflowDesk:
        """See `Desk`."""
        return RemoteWorkflows(self.client)

    @property
    def deployments(self) -> Any:
        """See `Desk`; a test holds that these have what the local ones have."""
        return _plans.RemoteDeployments(self.client)

    @property
    def automations(self) -> Any:
        """See `Desk`."""
        return _plans.RemoteAutomations(self.client)

    @property
    def events(self) -> Any:
        """See `Desk`."""
        return _plans.RemoteEvents(self.client)

    @property
    def users(self) -> Any:
        """See `Desk`."""
        return _access.RemoteUsers(self.client)

    @property
    def keys(self) -> Any:
        """See `Desk`."""
        return _access.RemoteKeys(self.client)

    @property
    def audit(self) -> Any:
        """See `Desk`."""
        return _access.RemoteAudit(self.client)

    @property
    def hooks(self) -> Any:
        """See `Desk`."""
        return _hooks.RemoteHooks(self.client)

    @property
    def alerts(self) -> Any:
        """See `Desk`."""
        return _alerts.RemoteAlerts(self.client)

    @property
    def connections(self) -> Any:
        """See `Desk`."""
        return _connections.RemoteConnections(self.client)

    @property
    def datasets(self) -> Any:
        """See `Desk`."""
        return _datasets.RemoteDatasets(self.client)

    def errors(self, run_id: str) -> Told:
        """See `Desk`."""
        return [(each.step, ErrorInfo(each.type, each.text, each.trace)) for each in self.client.runs.errors(run_id)]

    def cancel(self, run_id: str, grace_seconds: float) -> Run:
        """See `Desk`."""
        return run_of(self.client.runs.cancel(run_id, grace_seconds=grace_seconds))

    def pause(self, run_id: str, reason: str | None) -> Run:
        """See `Desk`."""
        return run_of(self.client.runs.pause(run_id, reason=reason))

    def delete(self, run_ids: Sequence[str]) -> tuple[int, int | None]:
        """See `Desk`. The server removes files of results later, by itself."""
        count = 0
        for each in run_ids:
            family = self._family(each)
            self.client.runs.delete(each)
            count += family
        return count, None

    def _family(self, run_id: str) -> int:
        """How many runs there are of this one and its subflows."""
        below = self.journal.runs(RunFilter(parent_id=run_id, limit=10_000))
        return 1 + sum(self._family(each.id) for each in below)

    def question(self, run: Run, step: str | None) -> Waiting:
        """See `Desk`."""
        asked = [
            each for each in self.client.runs.waiting(run.id) if each.kind != "sleep" and step in (None, each.step)
        ]
        if len(asked) == 1:
            return waiting_of(asked[0])
        if asked:
            named = ", ".join(each.step for each in asked)
            raise NotWaiting(f"Run {run.name} asks several things: {named}.", hint="say which step: --step KEY")
        raise NotWaiting(f"Run {run.name} asks nothing now.", hint=f"`penstock runs show {run.id}` tells how it is")

    def reply(self, run_id: str, value: Any, *, by: str | None, step: str | None) -> Run:
        """See `Desk`. A server knows by itself who answers."""
        if by is not None:
            raise ConfigurationError("A server knows who answers: whoever has signed in.", hint="leave --by out")
        return run_of(self.client.runs.answer(run_id, value, step=step))

    def again(self, run_id: str, from_step: str | None) -> Run:
        """Have a worker of the server go on with a run, or fork it from a step."""
        runs = self.client.runs
        return run_of(runs.resume(run_id) if from_step is None else runs.fork(run_id, from_step))

    def watch(self) -> Watch:
        """See `Desk`."""
        return _Patience()


class _Patience(Watch):
    """Waits as long as it is told to: what happens on a server is asked for."""

    def wait(self, seconds: float) -> bool:
        """See `Watch`."""
        time.sleep(seconds)
        return True

    def wake(self) -> None:
        """Nobody does."""

    def close(self) -> None:
        """Nothing to do."""


class RemoteWorkflows:
    """The workflows of a server; see `WorkflowDesk`."""

    def __init__(self, client: Client) -> None:
        self._all = client.workflows

    def create(self, text: Text, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.create(_sent(text), key=key))

    def apply(self, text: Text, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.apply(_sent(text), key=key))

    def validate(self, text: Text) -> None:
        """See `WorkflowDesk`."""
        self._all.validate(_sent(text))

    def list(self, where: WorkflowFilter) -> tuple[Sequence[Record], int]:
        """See `WorkflowDesk`."""
        size = min(where.limit, _PAGE)
        page = self._all.page(limit=size, tag=where.tag, active=where.active, text=where.text)
        found = list(page.items)
        if page.next is not None and len(found) < where.limit:
            rest = self._all.list(
                tag=where.tag, active=where.active, text=where.text, limit=size, cursor=page.next
            )  # fmt: skip
            found += islice(rest, where.limit - len(found))
        return [_record(each) for each in found], page.total

    def get(self, name: str) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.get(name))

    def versions(self, name: str) -> Sequence[Record]:
        """See `WorkflowDesk`."""
        return [msgspec.to_builtins(each) for each in self._all.versions(name)]

    def rollback(self, name: str, version: int) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.rollback(name, version))

    def clone(self, name: str, new_name: str, key: str | None) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.clone(name, new_name, key=key))

    def enable(self, name: str, active: bool) -> Record:
        """See `WorkflowDesk`."""
        return _record(self._all.enable(name) if active else self._all.disable(name))

    def delete(self, name: str) -> None:
        """See `WorkflowDesk`."""
        self._all.delete(name)

    def trigger(
        self, name: str, parameters: Record, *, key: str | None, tags: Sequence[str], run_name: str | None
    ) -> Run:
        """See `WorkflowDesk`."""
        return run_of(self._all.trigger(name, parameters, key=key, tags=tags, run_name=run_name))

    def plan(self, name: str, parameters: Record) -> Record:
        """See `WorkflowDesk`."""
        found: Record = msgspec.to_builtins(self._all.dry_run(name, parameters))
        return found

    def export(self, name: str, form: Format, version: int | None) -> bytes:
        """See `WorkflowDesk`."""
        return self._all.export(name, form, version=version)


def _sent(text: Text) -> bytes | str:
    return text.content if text.format == "json" else text.content.decode("utf-8", "surrogateescape")


def _record(workflow: answers.Workflow) -> Record:
    """As `workflow_record` has it."""
    found: Record = msgspec.to_builtins(workflow)
    del found["etag"]
    return found
