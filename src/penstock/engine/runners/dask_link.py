"""The connection of a flow's process to a Dask cluster: packs go there, and what came of them comes back."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

from penstock.core.errors import CrashedRun, EngineUnreachable, PenstockError, ResultUnavailable
from penstock.core.extras import require
from penstock.engine.runners.dask_orders import Head, Job, Receipt
from penstock.engine.runners.dask_packs import Pack, Sent
from penstock.engine.runners.dask_worker import run_pack
from penstock.engine.runners.pipes import dumps

_LARGE = 1_000_000
_CONNECT_SECONDS = 10
_LOOK_SECONDS = 2.0
Came = Callable[[Pack, Any], None]
"""Is told what came of a pack: receipts, an exception, or None where it is lost and has to be sent again."""


class Link:
    """One connection.

    Args:
        place: an address, a cluster, or what makes one.
        options: for what makes one.
        adapt: how it grows and shrinks.
        came: see `Came`; called on any thread.

    Raises:
        EngineUnreachable: there is no such cluster.
    """

    def __init__(self, place: Any, options: dict[str, Any], adapt: dict[str, Any] | None, came: Came) -> None:
        self._dask = require("distributed", "dask")
        self._came = came
        self._cluster: Any = None
        self.asks = f"penstock-asks-{uuid.uuid4().hex}"
        if callable(place):
            self._cluster = place = _made(place, options, adapt)
        self.place = place
        self.client: Any = None
        self._threads = (0, -1.0)
        self._queue: Any = None
        self._hearing: Any = None
        self._finished: deque[Pack] = deque()
        self._fetching = False
        self._connect()

    def _connect(self) -> None:
        try:
            self.client = self._dask.Client(self.place, timeout=_CONNECT_SECONDS, set_as_default=False)
            self._queue = self._dask.Queue(self.asks, client=self.client)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            self.close()
            raise EngineUnreachable(
                f"No Dask scheduler answers at {self.place}: {error}",
                hint="see that it runs and that its address is right",
            ) from None

    @property
    def link(self) -> str:
        """Where people see the cluster."""
        return str(self.client.dashboard_link)

    @property
    def threads(self) -> int:
        """How many threads its workers have, as of a moment ago."""
        count, at = self._threads
        if time.monotonic() - at > _LOOK_SECONDS:
            with contextlib.suppress(OSError, RuntimeError):
                count = sum(self.client.nthreads().values())
            self._threads = (count, time.monotonic())
        return max(1, count)

    def alive(self) -> bool:
        """Whether the scheduler can be spoken to now."""
        return self.client is not None and self.client.status == "running"

    def mend(self) -> bool:
        """Connect again where the connection was lost; False as long as nobody answers."""
        if self.client is not None and self.client.status == "connecting":
            return False
        if not self.alive():
            try:
                self._connect()
            except PenstockError:
                return False
        else:
            self._queue = self._dask.Queue(self.asks, client=self.client)
        self._threads = (0, -1.0)
        return True

    def send(self, packs: Sequence[Pack], results: bytes, run: bytes) -> None:
        """Send packs. What is wrong with a single one of them is told as what came of it."""
        plain: dict[Any, list[tuple[Pack, bytes]]] = {}
        for pack in packs:
            try:
                blob, held = self._packed(pack, results, run)
            except Exception as error:
                self._came(pack, error)
                continue
            if held:
                self._submit(pack, blob, held)
            else:
                plain.setdefault(repr(pack.tasks[0].options), []).append((pack, blob))
        for group in plain.values():
            keys = [_key() for _ in group]
            options = group[0][0].tasks[0].options
            blobs = [blob for _, blob in group]
            futures = self.client.map(run_pack, blobs, key=keys, pure=False, retries=0, **options)
            for (pack, _), future in zip(group, futures, strict=True):
                self._follow(pack, future)

    def _submit(self, pack: Pack, blob: bytes, held: list[Any]) -> None:
        options = pack.tasks[0].options
        self._follow(pack, self.client.submit(run_pack, blob, held, key=_key(), pure=False, retries=0, **options))

    def _packed(self, pack: Pack, results: bytes, run: bytes) -> tuple[bytes, list[Any]]:
        held: dict[str, Any] = {}
        jobs = []
        for task in pack.tasks:
            held |= {key: future for key, future in task.needs.items() if future.status == "finished"}
            arguments: bytes | str = task.arguments
            if len(task.arguments) > _LARGE:
                future = self.client.scatter(task.arguments, hash=False)
                held[future.key] = future
                arguments = future.key
            jobs.append(Job(task.number, 0, arguments, task.seconds, task.saves, task.facts))
        function = dumps(pack.tasks[0].fn, "A task's function")
        head = Head(self.client.id, self.asks, tuple(sys.path), results, run, tuple(held), (function,))
        return pickle.dumps((head, jobs), protocol=5), list(held.values())

    def _follow(self, pack: Pack, future: Any) -> None:
        pack.future = future
        future.add_done_callback(lambda _: self._ended(pack))

    def _ended(self, pack: Pack) -> None:
        """On Dask's thread for callbacks."""
        status = pack.future.status
        if status == "error":
            self._came(pack, pack.future.exception())
        elif status != "finished":
            self._came(pack, None)
        else:
            self._finished.append(pack)
            if not self._fetching:
                self._fetching = True
                asyncio.run_coroutine_threadsafe(self._fetch(), self.client.loop.asyncio_loop)

    async def _fetch(self) -> None:
        """Get the receipts of all packs that have ended, at once."""
        self._fetching = False
        packs = [self._finished.popleft() for _ in range(len(self._finished))]
        try:
            ends = await self.client.gather([pack.future for pack in packs], asynchronous=True)
        except Exception:  # one of them is lost meanwhile
            ends = [await self._end_of(pack) for pack in packs]
        for pack, end in zip(packs, ends, strict=True):
            pack.future.release()  # or else Dask would have it done again where it loses the receipts
            self._came(pack, pickle.loads(end) if isinstance(end, bytes) else end)

    async def _end_of(self, pack: Pack) -> Any:
        try:
            return await self.client.gather(pack.future, asynchronous=True)
        except Exception as error:
            return None if pack.future.status in ("cancelled", "lost", "pending") else error

    def held(self, key: str) -> Any:
        """A future of a value that a task has left on the cluster."""
        return self._dask.Future(key, client=self.client, state="memory")

    def fetched(self, future: Any) -> Any:
        """A value that is on the cluster only.

        Raises:
            ResultUnavailable: it is there no more.
        """
        try:
            return future.result(timeout=None)
        except Exception as error:
            raise ResultUnavailable(
                f"A result that was not saved is on the cluster no more: {type(error).__name__}.",
                hint="its task says persist_result=False; without that, it is kept in the result store as well",
            ) from None

    def cancel(self, packs: Sequence[Pack]) -> None:
        """Nobody wants these any more."""
        futures = [pack.future for pack in packs if pack.future is not None]
        with contextlib.suppress(Exception):  # the cluster may be gone
            self.client.cancel(futures, force=True)

    def asked(self) -> tuple[int, str, str, bytes]:
        """Wait until a task on the cluster asks for something: for what."""
        rpc = self.client.scheduler.queue_get(name=self.asks, client=self.client.id, timeout=None, batch=False)
        self._hearing = asyncio.run_coroutine_threadsafe(rpc, self.client.loop.asyncio_loop)
        found: tuple[int, str, str, bytes] = pickle.loads(self._hearing.result()["value"])
        return found

    def answer(self, queue: str, kind: str, data: bytes) -> None:
        """Tell a task what it has asked for."""
        said = pickle.dumps((kind, data), protocol=5)
        self.client.sync(self.client.scheduler.queue_put, name=queue, key=None, data=said, client=self.client.id)

    def close(self) -> None:
        """Let go of the cluster; one that was made here ends."""
        if self._hearing is not None:
            self._hearing.cancel()
        for part in (self._queue, self.client, self._cluster):
            with contextlib.suppress(Exception):  # it may be gone
                if part is not None:
                    part.close()


def _key() -> str:
    return f"penstock-{uuid.uuid4().hex}"


def _made(kind: Any, options: dict[str, Any], adapt: dict[str, Any] | None) -> Any:
    if kind.__name__ == "LocalCluster":
        options = {"dashboard_address": "127.0.0.1:0", **options}
    cluster = kind(**options)
    if adapt is not None:
        cluster.adapt(**adapt)
    return cluster


def reason(error: BaseException, dask: Any) -> BaseException:
    """What is told of a pack that the cluster could not execute."""
    if isinstance(error, PenstockError):
        return error
    if isinstance(error, dask.KilledWorker):
        count = error.allowed_failures + 1
        return CrashedRun(
            f"The {count} workers that executed this task died, one after the other.",
            hint="the logs of the workers say why; often they have too little memory for it",
        )
    told = f"{type(error).__name__}: {error}"
    hint = "workers need Penstock and the modules of the project, in the same versions as the flow's process"
    return CrashedRun(f"The workers cannot execute this task: {told}", hint=hint)


def settle_all(tasks: Sequence[Sent], end: BaseException | Receipt) -> None:
    """The same comes of all of these."""
    for task in tasks:
        task.settle(end)


class Asking:
    """The thread that hears what tasks on the cluster ask for."""

    def __init__(self, link: Link, hear: Callable[[int, str, str, bytes], None], stopped: Callable[[], bool]) -> None:
        self._link = link
        self._hear = hear
        self._stopped = stopped
        threading.Thread(target=self._listen, name="penstock-dask-asks", daemon=True).start()

    def _listen(self) -> None:
        while not self._stopped():
            try:
                asked = self._link.asked()
            except CancelledError:
                return
            except Exception:  # the scheduler is away
                time.sleep(_LOOK_SECONDS / 4)
                continue
            self._hear(*asked)
