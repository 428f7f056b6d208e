"""The same counting on a Dask cluster: workers count stretches of files, and the counts are put together here.

A stretch whose worker is lost is counted by another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.extras import require
from penstock.processing.logs.opening import STDIN
from penstock.processing.logs.stretches import Counted

ENGINES = ("local", "dask")
_CONNECT_SECONDS = 15


def scheduler_of(engine: str, scheduler: Any) -> Any:
    """The scheduler to spread the counting with; None to count here.

    Raises:
        BadData: there is no such engine, or a scheduler is missing, or is of no use.
    """
    if engine not in ENGINES:
        raise BadData(f"There is no engine {engine!r} for logs.", hint=f"one of {', '.join(ENGINES)}")
    if (engine == "dask") != (scheduler is not None):
        told = "needs the address of a scheduler" if engine == "dask" else "has no scheduler"
        raise BadData(f"The engine {engine} {told}.", hint="such as engine dask, scheduler tcp://10.0.0.5:8786")
    return scheduler


class Cluster:
    """The workers of a cluster; see `stretches.Hands`.

    Args:
        scheduler: its address, such as `tcp://10.0.0.5:8786`; or a `distributed.Client`, which is left open.
        files: what they are to read.

    Raises:
        SourceUnavailable: there is no such cluster, or it has no workers.
        BadData: something can be read here only.
    """

    def __init__(self, scheduler: Any, files: Sequence[str]) -> None:
        for path in files:
            if path == STDIN or not os.path.isfile(path):
                told = "standard input" if path == STDIN else path
                raise BadData(f"{told} can be read once, and here only.", hint="workers of a cluster read files")
        self._client, self._mine = _client_of(scheduler)
        self.count = _threads_of(self._client)

    def submit(self, work: Callable[..., Any], *args: Any) -> Any:
        """See `Hands.submit`."""
        return self._client.submit(work, *args, pure=False)

    def result(self, path: str, asked: Any) -> list[Counted]:
        """See `Hands.result`."""
        lost = f"The cluster was lost while {path} was read"
        try:
            found: list[Counted] = asked.result()
        except CancelledError as error:
            raise SourceUnavailable(f"{lost}: {error}.", hint="is the scheduler still running?") from None
        except require("distributed", "dask").KilledWorker as error:
            hint = "their logs say why; where memory is short, a smaller chunk_size takes less"
            told = f"The workers that read {path} died, {error.allowed_failures + 1} in a row."
            raise SourceUnavailable(told, hint=hint) from None
        except ModuleNotFoundError as error:
            hint = "workers need what is here: pip install 'penstock[data,dask]'"
            raise SourceUnavailable(f"The workers cannot count: {error}.", hint=hint) from None
        asked.release()
        return found

    def close(self, waiting: Sequence[Any]) -> None:
        """See `Hands.close`."""
        with suppress(Exception):  # the cluster may be gone
            self._client.cancel(list(waiting))
        if self._mine:
            self._client.close()


def _client_of(scheduler: Any) -> tuple[Any, bool]:
    """A client of the cluster, and whether it is ours to close."""
    distributed = require("distributed", "dask")
    if isinstance(scheduler, distributed.Client):
        return scheduler, False
    try:
        return distributed.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False), True
    except (OSError, ValueError) as error:
        hint = "its address is such as tcp://10.0.0.5:8786; `dask scheduler` says it when it starts"
        raise SourceUnavailable(f"There is no Dask scheduler at {scheduler}: {error}.", hint=hint) from None


def _threads_of(client: Any) -> int:
    """Of all workers.

    Raises:
        SourceUnavailable: there is none.
    """
    with suppress(TimeoutError):
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    threads = sum(client.nthreads().values())
    if not threads:
        client.close()
        raise SourceUnavailable("The Dask cluster has no workers.", hint="start one: dask worker ADDRESS")
    return int(threads)
