"""The thread of a flow's process that sends tasks to a Dask cluster, and hears what came of them."""

from __future__ import annotations

import atexit
import contextlib
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.context import Scope, current_scope
from penstock.core.errors import CrashedRun, EngineUnreachable, PenstockError
from penstock.core.extras import LateExtra
from penstock.core.interruptions import RunCancelled
from penstock.engine.logs import engine_logger
from penstock.engine.runners.dask_link import Asking, Link, reason, settle_all
from penstock.engine.runners.dask_orders import Receipt
from penstock.engine.runners.dask_packs import Pack, Packer, Sent
from penstock.engine.runners.pipes import dumps
from penstock.engine.runners.there import where

RUN_FACTS = ("run", "run_id", "alone")
_END_SECONDS = 15
_AGAIN_SECONDS = 0.2
_distributed: Any = LateExtra("distributed", "dask")
Hear = Callable[[int, str, str, bytes], None]


class Sending:
    """The tasks of one run.

    Args:
        live: the run.
        place: the cluster, or what makes one.
        settings: of the runner.
        hear: is told what tasks ask for.

    Attributes:
        sent: those of which nothing has come yet, by number.
        link: the connection; None until there is one.
    """

    def __init__(self, live: Any, place: Any, settings: Mapping[str, Any], hear: Hear) -> None:
        self.sent: dict[int, Sent] = {}
        self.link: Link | None = None
        self._run = live
        self._place = place
        self._settings = settings
        self._hear = hear
        self._broken: PenstockError | None = None
        self._packs: set[Pack] = set()
        self._outbox: deque[Sent] = deque()
        self._inbox: deque[tuple[Pack, Any]] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._send_all, name="penstock-dask", daemon=True)
        atexit.register(self._finish)
        self._thread.start()

    def put(self, task: Sent) -> None:
        """Have a task sent soon.

        Raises:
            RunCancelled: the run is stopping.
            PenstockError: nothing can be sent.
        """
        with self._news:
            if self._closing:
                raise RunCancelled("The run was cancelled.")
            if self._broken is not None:
                raise self._broken
            self.sent[task.number] = task
            self._outbox.append(task)
            self._news.notify()

    def stop(self, kill: bool) -> None:
        """Let go of the cluster; with `kill`, of the tasks that are under way, too."""
        with self._news:
            self._closing = True
            left, self.sent = [*self.sent.values()], {}
            packs, self._packs = [*self._packs], set()
            self._news.notify()
        if self.link is not None and packs:
            threading.Thread(target=self.link.cancel, args=(packs,), daemon=True).start()
        settle_all(left, RunCancelled("The run was cancelled; its tasks on the cluster are stopped."))
        if not kill:
            self._thread.join(_END_SECONDS)

    def _finish(self) -> None:
        """The process ends: let go of the cluster before Dask itself clears up."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(_END_SECONDS)

    def _send_all(self) -> None:
        token = current_scope.set(self._run.scope)
        try:
            self.link = Link(self._place, self._settings["options"], self._settings["adapt"], self._came)
            engine_logger().info("Tasks run on the Dask cluster %s; its dashboard is %s", *self._told())
            Asking(self.link, self._hear, lambda: self._closing)
            self._serve(self.link)
        except PenstockError as error:
            self._break(error)
        except Exception as error:
            self._break(CrashedRun(f"The Dask cluster cannot be used: {type(error).__name__}: {error}"))
        finally:
            current_scope.reset(token)
            if self.link is not None:
                self.link.close()
            atexit.unregister(self._finish)

    def _told(self) -> tuple[str, str]:
        assert self.link is not None
        return str(self.link.client.scheduler.address), self.link.link

    def _serve(self, link: Link) -> None:
        packer = Packer()
        run, results = self._run_facts(), pickle.dumps(self._run.results)
        wait: float | None = None
        while True:
            with self._news:
                if not (self._outbox or self._inbox or self._closing):
                    self._news.wait(wait)
                if self._closing:
                    return
                arrived, self._inbox = self._inbox, deque()
                waiting, self._outbox = self._outbox, deque()
            for task in waiting:
                packer.add(task)
            again = [pack for pack, end in arrived if not self._take(packer, pack, end)]
            if again:
                self._mend(link)
            packs, wait = packer.take(link.threads)
            self._packs.update(packs, again)
            link.send([*again, *packs], results, run)

    def _take(self, packer: Packer, pack: Pack, end: Any) -> bool:
        """What came of a pack is told to its tasks; False where it has to be sent again."""
        self._packs.discard(pack)
        if end is None:
            for task in pack.tasks:
                task.needs = {}  # whatever it needs is in the result store, too
            return False
        if not isinstance(end, BaseException):
            packer.came(pack, [receipt.seconds for receipt in end if receipt.kind != "left"])
            for task, receipt in reversed([*zip(pack.tasks, end, strict=True)]):  # what is left keeps its order
                if receipt.kind == "left":
                    packer.add(task, first=True)
                else:
                    self._settle(task, receipt)
            return True
        packer.came(pack)
        killed = isinstance(end, _distributed.KilledWorker)
        if killed and len(pack.tasks) > 1:  # one of them has killed the others
            for task in pack.tasks:
                task.kind = (*task.kind, task.number)
                packer.add(task)
            return True
        told = reason(end, _distributed)
        for task in pack.tasks:
            self._settle(task, told)
        return True

    def _mend(self, link: Link) -> None:
        """The scheduler was lost: wait for it."""
        if link.alive() and link.mend():
            return
        engine_logger().warning("The Dask scheduler was lost; %d tasks wait for it.", len(self.sent))
        end = time.monotonic() + self._settings["patience_seconds"]
        while not self._closing and not link.mend():
            if time.monotonic() > end:
                raise EngineUnreachable(
                    f"The Dask scheduler at {link.place} was lost, and has not come back.",
                    hint="the run can be resumed: penstock runs resume ID",
                )
            with self._news:
                self._news.wait(_AGAIN_SECONDS)
        engine_logger().info("The Dask scheduler is back; its dashboard is %s", link.link)

    def _run_facts(self) -> bytes:
        """What tasks are told of the run. Parameters that are large, or cannot be sent, are left out."""
        facts = {name: fact for name, fact in where(Scope(self._run, None)).items() if name in RUN_FACTS}
        with contextlib.suppress(PenstockError):
            data = dumps(facts, "The run's context")
            if len(data) < 100_000:
                return data
        facts["run"]["parameters"] = {}
        return dumps(facts, "The run's context")

    def _came(self, pack: Pack, end: Any) -> None:
        with self._news:
            self._inbox.append((pack, end))
            self._news.notify()

    def _settle(self, task: Sent, end: Receipt | BaseException) -> None:
        self.sent.pop(task.number, None)
        if task.asked is not None:
            task.asked.leave_since(set())
        task.settle(end)

    def _break(self, error: PenstockError) -> None:
        """Nothing can be sent any more."""
        with self._news:
            self._broken = error
            left, self.sent = [*self.sent.values()], {}
        settle_all(left, error)
