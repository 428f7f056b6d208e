"""Prefect, as the rest of Penstock deals with it: deployments there, and the runs of them."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from penstock.core.deployments import DEFAULT_QUEUE, Deployment
from penstock.core.engines import Begun, EngineSettings, Order, OutsideLine, OutsideRun, Placed
from penstock.core.errors import DeploymentError, EngineRefused, RunNotThere
from penstock.core.ports.engines import OutsideEngine
from penstock.core.workflows import WorkflowSpec
from penstock.deploy.parameters import as_described
from penstock.deploy.prefect.abilities import ABILITIES
from penstock.deploy.prefect.client import Conflict, PrefectClient
from penstock.deploy.prefect.looking import lines_of, looked, micros
from penstock.deploy.prefect.names import ORDERED, called, prepared_by
from penstock.deploy.prefect.placing import Plan, plan_of

POOL_TYPE = "process"
_BEGUN = ("RUNNING", "PAUSED", "CANCELLING")
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


class PrefectEngine(OutsideEngine):
    """Deployments and runs on a Prefect server.

    Args:
        settings: PREFECT_API_URL says where the server is; PREFECT_WORK_POOL_TYPE what a work pool is that is made.
    """

    name = "prefect"
    abilities = ABILITIES
    whole_log = True

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.client = PrefectClient(settings.environment)
        self._pool_type = settings.environment.get("PREFECT_WORK_POOL_TYPE") or POOL_TYPE
        self._url = self.client.url.removesuffix("/api")

    def place(self, plan: Deployment | WorkflowSpec) -> Placed:
        """See `OutsideEngine.place`. The same content changes nothing, whatever was changed by hand there."""
        wanted = plan_of(plan, self.settings)
        known = self._deployment(wanted.name)
        if known is not None and (prepared_by(known) or {}).get("content") == wanted.content:
            return self._placed(wanted.name, known["id"], changed=False)
        if known is not None and self._flow_of(known) != wanted.flow:
            self._delete(known)
        self._have_pool(wanted)
        flow = self.client.ask("POST", "/flows/", {"name": wanted.flow})
        made = self.client.ask("POST", "/deployments/", {**wanted.body, "flow_id": flow["id"]})
        return self._placed(wanted.name, made["id"], changed=True)

    def _placed(self, name: str, place: str, changed: bool) -> Placed:
        url = f"{self._url}/deployments/deployment/{place}"
        return Placed(name=name, place=place, changed=changed, steps=True, url=url)

    def _have_pool(self, wanted: Plan) -> None:
        """Make the work pool and the queue where they are missing; somebody else may be doing it, too."""
        if self.client.ask("GET", f"/work_pools/{_quoted(wanted.pool)}", missing=None) is None:
            self._make("/work_pools/", {"name": wanted.pool, "type": self._pool_type})
        if wanted.queue != DEFAULT_QUEUE:
            queues = f"/work_pools/{_quoted(wanted.pool)}/queues"
            if self.client.ask("GET", f"{queues}/{_quoted(wanted.queue)}", missing=None) is None:
                self._make(queues, {"name": wanted.queue})

    def _make(self, path: str, body: Mapping[str, Any]) -> None:
        try:
            self.client.ask("POST", path, body)
        except Conflict:  # somebody else was faster
            return

    def remove(self, name: str) -> bool:
        """See `OutsideEngine.remove`."""
        known = self._deployment(name)
        if known is None:
            return False
        self._delete(known)
        return True

    def _delete(self, deployment: Mapping[str, Any]) -> None:
        self.client.ask("DELETE", f"/deployments/{deployment['id']}", missing=None)

    def pause(self, name: str, paused: bool) -> None:
        """See `OutsideEngine.pause`."""
        known = self._needed(name)
        self.client.ask("POST", f"/deployments/{known['id']}/{'pause' if paused else 'resume'}_deployment")

    def start(self, order: Order) -> str:
        """See `OutsideEngine.start`: the server makes one run of one idempotency key."""
        known = self._needed(order.deployment)
        given = as_described(order.parameters, known.get("parameter_openapi_schema") or {})
        body = {"parameters": given, "idempotency_key": f"{ORDERED}{order.run_id}"}
        made = self.client.ask("POST", f"/deployments/{known['id']}/create_flow_run", body)
        return str(made["id"])

    def find(self, order: Order) -> str | None:
        """See `OutsideEngine.find`."""
        key = {"idempotency_key": {"any_": [f"{ORDERED}{order.run_id}"]}}
        found = self.client.ask("POST", "/flow_runs/filter", {"flow_runs": key, "limit": 1})
        return str(found[0]["id"]) if found else None

    def begun(self, deployments: Collection[str], since: int) -> Sequence[Begun]:
        """See `OutsideEngine.begun`."""
        after = {"after_": _moment(since)}
        wanted = {"deployments": {"name": {"any_": sorted(deployments)}}} if deployments else None
        found: dict[str, Begun] = {}
        for when in ("start_time", "end_time") if wanted is not None else ():
            runs = {when: after, "state": {"type": {"any_": [*_BEGUN, *_ENDED]}}}
            for run in self.client.pages("/flow_runs/filter", {**(wanted or {}), "flow_runs": runs}):
                if run.get("start_time") and not (run.get("idempotency_key") or "").startswith(ORDERED):
                    found[run["id"]] = self._begun(run)
        return list(found.values())

    def _begun(self, run: Mapping[str, Any]) -> Begun:
        deployment = self.client.ask("GET", f"/deployments/{run['deployment_id']}", missing={})
        due = micros(run.get("expected_start_time") or run.get("start_time")) or 0
        return Begun(
            deployment=deployment.get("name", ""),
            reference=run["id"],
            run_id=called(run),
            parameters=run.get("parameters") or {},
            at=due,
        )

    def look(self, reference: str) -> OutsideRun:
        """See `OutsideEngine.look`."""
        run = self._run(reference)
        return looked(self.client, Path(self.settings.home), run, called(run))

    def lines(self, reference: str, step: str | None, after: int) -> Sequence[OutsideLine]:
        """See `OutsideEngine.lines`. Without a step these are the lines of the run and of all its steps."""
        return lines_of(self.client, Path(self.settings.home), self._run(reference), step, after)

    def cancel(self, reference: str) -> None:
        """See `OutsideEngine.cancel`: a worker ends the process, or the run is not begun."""
        run = self._run(reference)
        if run.get("state_type") in _ENDED:
            return
        state = {"type": "CANCELLING", "name": "Cancelling", "message": "Penstock was asked to cancel the run."}
        self.client.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": False})

    def status(self) -> str:
        """See `OutsideEngine.status`."""
        return f"Prefect {self.client.ask('GET', '/admin/version')} at {self.client.url}"

    def close(self) -> None:
        """See `OutsideEngine.close`."""
        self.client.close()

    def _run(self, reference: str) -> dict[str, Any]:
        try:
            UUID(reference)
        except ValueError:
            raise RunNotThere(f"{reference!r} is no run of Prefect.") from None
        run: dict[str, Any] | None = self.client.ask("GET", f"/flow_runs/{reference}", missing=None)
        if run is None:
            raise RunNotThere(f"Prefect at {self.client.url} has no run {reference}; it may have been deleted there.")
        return run

    def _deployment(self, name: str) -> dict[str, Any] | None:
        """The deployment of this name.

        Raises:
            DeploymentError: it is not Penstock's.
        """
        body = {"deployments": {"name": {"any_": [name]}}, "limit": 50}
        found = self.client.ask("POST", "/deployments/filter", body)
        ours: list[dict[str, Any]] = [each for each in found if prepared_by(each) is not None]
        if found and not ours:
            raise DeploymentError(
                f"Prefect has a deployment {name!r} already, and Penstock has not made it.",
                hint="give yours another name, or delete that one in Prefect",
            )
        return ours[0] if ours else None

    def _needed(self, name: str) -> dict[str, Any]:
        known = self._deployment(name)
        if known is None:
            raise EngineRefused(
                f"Prefect has no deployment {name!r}.", hint=f"put it there: penstock deploy prefect {name}"
            )
        return known

    def _flow_of(self, deployment: Mapping[str, Any]) -> str:
        return str(self.client.ask("GET", f"/flows/{deployment['flow_id']}", missing={}).get("name", ""))


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def _moment(since: int) -> str:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (epoch + datetime.timedelta(microseconds=since)).isoformat()
