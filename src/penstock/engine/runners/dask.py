"""Tasks on a Dask cluster.

The flow, its journal, retries and time limits stay in the flow's process. What is submitted goes to the cluster, and
what it gives stays there for other tasks (see `dask_values`); tasks that take milliseconds go in packs (`dask_packs`).
One thread sends; what comes back wakes the steps that wait for it, which hold no thread meanwhile.

A worker that is lost has its tasks executed by others. When the scheduler is lost, everything that was under way is
sent again as soon as there is one at its address.
"""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from itertools import count
from typing import Any

from penstock.core.context import Scope, current_scope
from penstock.core.engines import Abilities
from penstock.core.errors import AuthoringError, ResultNotSaved, ResultUnavailable
from penstock.core.extras import LateExtra
from penstock.core.interruptions import RunCancelled
from penstock.core.ports import RemoteTaskRunner, TaskRunner, current_engine
from penstock.engine.runners.dask_link import Link
from penstock.engine.runners.dask_orders import Job, Receipt
from penstock.engine.runners.dask_packs import Sent
from penstock.engine.runners.dask_sending import RUN_FACTS, Sending
from penstock.engine.runners.dask_values import Kept, places
from penstock.engine.runners.favours import Favours
from penstock.engine.runners.pipes import dumps
from penstock.engine.runners.processes import error_of, log_again
from penstock.engine.runners.there import where
from penstock.engine.runners.threads import ThreadPoolTaskRunner

ABILITIES = Abilities()
_PLAIN = frozenset({int, str, float, bool, bytes, type(None)})
_distributed: Any = LateExtra("distributed", "dask")
_here = threading.local()


class DaskRunner(ThreadPoolTaskRunner, RemoteTaskRunner):
    """Runs submitted tasks on a Dask cluster.

    Args:
        cluster: the address of a scheduler, such as `tcp://10.0.0.5:8786`; or what makes a cluster, such as
            `dask.distributed.LocalCluster`, which is started with the first submitted task of a run and ends with the
            run; or a cluster, which is left as it is. Left out, a LocalCluster.
        options: keyword arguments for what makes a cluster.
        adapt: its cluster grows and shrinks as needed: the arguments of its `adapt()`, such as `{"maximum": 8}`.
        resources: what a task needs of Dask's worker resources, by the name of the task, such as
            `{"train": {"GPU": 1}}`.
        patience_seconds: how long to wait for a scheduler that is lost to come back.
    """

    keeps = True

    def __init__(
        self,
        cluster: Any = None,
        *,
        options: Mapping[str, Any] | None = None,
        adapt: Mapping[str, Any] | None = None,
        resources: Mapping[str, Mapping[str, float]] | None = None,
        patience_seconds: float = 60.0,
    ) -> None:
        super().__init__()
        if cluster is None:
            cluster = _distributed.LocalCluster
        if not (isinstance(cluster, str) or callable(cluster) or hasattr(cluster, "scheduler_address")):
            raise AuthoringError(
                f"A DaskRunner is given an address, a cluster or a cluster class, not {cluster!r}.",
                hint="such as DaskRunner('tcp://10.0.0.5:8786') or DaskRunner(LocalCluster)",
            )
        if not callable(cluster) and (options or adapt is not None):
            raise AuthoringError("options and adapt are for cluster classes; this cluster is there already.")
        self._place = cluster
        self._settings: dict[str, Any] = {
            "options": dict(options or {}),
            "adapt": None if adapt is None else dict(adapt),
            "resources": _resources(resources or {}),
            "patience_seconds": patience_seconds,
        }
        self._results: Any = None
        self._sending: Sending | None = None
        self._numbers = count(1)
        self._asking: dict[str, _Asked] = {}

    def duplicate(self) -> TaskRunner:
        """See `TaskRunner.duplicate`."""
        return type(self)(self._place, **self._given())

    def _given(self) -> dict[str, Any]:
        given = dict(self._settings)
        if not callable(self._place):
            del given["options"], given["adapt"]
        return given

    def __repr__(self) -> str:
        name = self._place if isinstance(self._place, str) else getattr(self._place, "__name__", str(self._place))
        return f"{type(self).__name__}({name!r})"

    def start(self, live: Any) -> None:
        """See `TaskRunner.start`. The cluster is connected to, or made, meanwhile."""
        super().start(live)
        self._results = live.results
        self._sending = Sending(live, self._place, self._settings, self._hear)

    def begin(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Sent | None:
        """See `RemoteTaskRunner.begin`."""
        if getattr(_here, "asked", None) is not None:
            return None
        needs: dict[str, Any] = {}
        plain = not kwargs and all(type(value) in _PLAIN for value in args)
        if plain:
            arguments = pickle.dumps((args, kwargs), protocol=5)
        else:
            arguments, needs = places(lambda: dumps((args, kwargs), "The arguments of a task on a cluster"))
        task = Sent(next(self._numbers), fn, arguments, needs, self._outcome)
        scope = current_scope.get()
        assert scope is not None
        task.facts = {name: fact for name, fact in where(scope).items() if name not in RUN_FACTS}
        needed = self._settings["resources"].get(task.facts["task_name"])
        if needed is not None:
            task.options = {"resources": needed}
            task.kind = (*task.kind, *sorted(needed.items()))
        task.saves = _saves(scope)
        task.seconds, task.late, task.context = seconds, late, copy_context()
        assert self._sending is not None
        self._sending.put(task)
        return task

    def invoke(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """See `RemoteTaskRunner.invoke`: what a task calls is executed where it is."""
        asked: _Asked = _here.asked
        arguments, _ = places(lambda: dumps((args, kwargs), "The arguments of a nested task"))
        scope = current_scope.get()
        assert scope is not None
        facts = {name: fact for name, fact in where(scope).items() if name not in RUN_FACTS}
        job = Job(asked.task.number, 0, arguments, seconds, _saves(scope), facts)
        payload = pickle.dumps((dumps(fn, "A task's function"), job), protocol=5)
        receipt = asked.executed(payload)
        return self._value(receipt, late)

    def _outcome(self, task: Sent, receipt: Receipt) -> Any:
        return self._value(receipt, task.late)

    def _value(self, receipt: Receipt, late: Any) -> Any:
        log_again(receipt.lines)
        if receipt.kind == "kept":
            if receipt.saved.ref is not None and not self._results.renew(receipt.saved):
                raise ResultUnavailable(
                    "A worker has saved the result of this task where the flow's process does not find it.",
                    hint="share the folder of the results (PENSTOCK_HOME/results) with every worker",
                )
            link = self._sending.link if self._sending is not None else None
            future = link.held(receipt.key) if receipt.key is not None and link is not None else None
            fetched = None if link is None else link.fetched
            return Kept(receipt.saved, receipt.data, self._results, future, fetched)
        if receipt.kind == "late":
            raise late
        if receipt.kind == "stopped":
            raise RunCancelled("The run was cancelled.")
        assert receipt.data is not None
        if receipt.kind == "raised":
            raise error_of(receipt.data, receipt.text)
        return pickle.loads(receipt.data)

    def stop(self, kill: bool = False) -> None:
        """See `TaskRunner.stop`."""
        super().stop(kill)
        if self._sending is not None:
            self._sending.stop(kill)

    def _hear(self, number: int, answers: str, kind: str, payload: bytes) -> None:
        if kind == "done":
            asked = self._asking.get(answers)
            if asked is not None:
                asked.done.put(pickle.loads(payload))
            return
        sending = self._sending
        task = sending.sent.get(number) if sending is not None else None
        if sending is not None and task is not None and sending.link is not None:
            task.asked = task.asked or Favours()
            forget = partial(self._asking.pop, answers, None)
            asked = self._asking[answers] = _Asked(task, sending.link, answers, kind, payload, forget)
            self.submit_first(_Errand(asked))


class _Asked:
    """Something that a task on the cluster has asked for."""

    def __init__(
        self, task: Sent, link: Link, answers: str, kind: str, payload: bytes, forget: Callable[[], object]
    ) -> None:
        self.task = task
        self.forget = forget
        self.link = link
        self.answers = answers
        self.kind = kind
        self.payload = payload
        self.done: queue.SimpleQueue[Receipt] = queue.SimpleQueue()

    def executed(self, payload: bytes) -> Receipt:
        """Have the task execute another one, in its place."""
        self.link.answer(self.answers, "call", payload)
        return self.done.get()

    def __call__(self) -> None:
        """Do it, in the context of the task."""
        _here.asked = self
        try:
            kind, answer = self._answered()
        finally:
            _here.asked = None
            self.forget()  # before the answer is there: the task may ask for the next thing by the same queue
        self.link.answer(self.answers, kind, answer)

    def _answered(self) -> tuple[str, bytes]:
        try:
            return "answer", dumps(self._done(), "An answer")
        except Exception as error:
            return "refused", _told(error)

    def _done(self) -> Any:
        if self.kind == "task":
            task, args, kwargs, wait_for = pickle.loads(self.payload)
            return current_engine().call_task(task, args, kwargs, wait_for, True)
        kind, what = pickle.loads(self.payload)
        favours = self.task.asked
        return favours.hold(what, float("inf")) if kind == "hold" else getattr(favours, kind)(what)


def _told(error: Exception) -> bytes:
    try:
        return dumps(error, "An error")
    except ResultNotSaved as unsendable:
        return dumps(unsendable, "An error")


class _Errand:
    """The same as a job of the pool."""

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked

    def __call__(self) -> None:
        context = self._asked.task.context
        assert context is not None
        context.copy().run(self._asked)

    def abandon(self) -> None:
        """The run was stopped: the task is, too."""


def _saves(scope: Scope) -> bool:
    return scope.info is None or getattr(scope.info[0].task, "persist_result", None) is not False


def _resources(given: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    for name, needed in given.items():
        fine = isinstance(needed, Mapping) and all(
            isinstance(amount, (int, float)) and amount > 0 for amount in needed.values()
        )
        if not fine:
            raise AuthoringError(
                f"The resources of the task {name!r} are amounts by name, and not {needed!r}.",
                hint='such as resources={"train": {"GPU": 1}}',
            )
    return {name: dict(needed) for name, needed in given.items()}
