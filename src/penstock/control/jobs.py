"""What takes long is done in the background: old runs removed, many runs cancelled or deleted.

A job is kept in the journal's bookmarks, so that every server on it tells how far it is, and goes on with it where the
server that began it is gone. What a job does can be done twice without harm.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from penstock.app import Penstock
from penstock.control.jobs_work import WORK
from penstock.core import typed
from penstock.core.errors import JournalError, PenstockError
from penstock.core.events import now_us
from penstock.core.ids import new_owner, new_run_id, owner_is_dead

_log = logging.getLogger("penstock.control.jobs")
_NAME = "jobs/runs"
_KEPT = 50
_LEASE_US = 30_000_000
_SAVED_EVERY = 0.5
RUNNING, COMPLETED, FAILED = "Running", "Completed", "Failed"


class Job(msgspec.Struct, kw_only=True):
    """Something that is done in the background.

    Attributes:
        kind: cleanup, cancel, pause, resume or delete.
        state: Running, Completed or Failed.
        by: who asked for it.
        wanted: what exactly is to be done.
        total: how many runs it is about, where that is known.
        done: of how many that is done.
        skipped: how many were left alone, and why.
        result: what else there is to tell.
    """

    id: str
    kind: str
    by: str
    wanted: dict[str, Any]
    created_at: int
    state: str = RUNNING
    updated_at: int = 0
    ended_at: int | None = None
    total: int | None = None
    done: int = 0
    skipped: dict[str, int] = {}
    result: dict[str, Any] = {}
    error: str | None = None


_decode = typed.json_decoder(list[Job]).decode
_encode = msgspec.json.Encoder().encode


class Jobs:
    """The jobs of a journal, and a thread that does them one after the other.

    Args:
        penstock: whose runs they are about.
    """

    def __init__(self, penstock: Penstock) -> None:
        self.penstock = penstock
        self._owner = new_owner()
        self._stopping = threading.Event()
        self._mine: set[str] = set()
        self._thread: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def start(
        self,
        kind: str,
        by: str,
        wanted: dict[str, Any],
        total: int | None = None,
        *,
        first: Callable[[Job], None] = lambda job: None,
    ) -> Job:
        """Begin a job; when this returns, it is done sooner or later, whatever happens to this server.

        Args:
            kind: what is done.
            by: who asked for it.
            wanted: to what.
            total: how many there are, where that is known.
            first: is called before anything is done, and may refuse.
        """
        now = now_us()
        job = Job(id=new_run_id(), kind=kind, by=by, wanted=wanted, created_at=now, updated_at=now, total=total)
        first(job)
        self._keep(job)
        self._take(job)
        return job

    def all(self) -> list[Job]:
        """The last jobs, the newest first."""
        return self._kept()[1]

    def find(self, job_id: str) -> Job | None:
        """One of them."""
        return next((job for job in self.all() if job.id == job_id), None)

    def watch(self) -> None:
        """Go on with jobs that nobody does any more, now and from time to time."""
        self.go_on()
        threading.Thread(target=self._look, name="penstock-jobs-look", daemon=True).start()

    def _look(self) -> None:
        while not self._stopping.wait(_LEASE_US / 1_000_000):
            with contextlib.suppress(JournalError):
                self.go_on()

    def go_on(self) -> None:
        """Go on with jobs that nobody does any more."""
        for job in self.all()[::-1]:
            if job.state == RUNNING and job.id not in self._mine:
                self._take(job)

    def close(self) -> None:
        """Stop after the step under way; another server, or this one when it starts again, goes on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _take(self, job: Job) -> None:
        with self._lock:
            if self._stopping.is_set() or job.id in self._mine:
                return
            self._mine.add(job.id)
            self._thread = self._thread or ThreadPoolExecutor(1, "penstock-jobs")
            self._thread.submit(self._do, job.id)

    def _do(self, job_id: str) -> None:
        lease = f"job/{job_id}"
        try:
            if not self._hold(lease) and not self._inherit(lease):
                return
            try:
                job = self.find(job_id)
                if job is not None and job.state == RUNNING:
                    self._work(job, lease)
            finally:
                self.penstock.journal.let_go(lease, self._owner)
        except JournalError as error:  # it stays, and is gone on with later
            _log.warning("The job %s was interrupted: %s", job_id, error.message)
        finally:
            self._mine.discard(job_id)

    def _work(self, job: Job, lease: str) -> None:
        """Do it, or what is left of it: what was done is not found again, and what was left alone is."""
        counted = not job.wanted.get("dry_run")
        before, result = (job.done, job.result) if counted else (0, {})
        saved = time.monotonic()
        try:
            for told in WORK[job.kind](self.penstock, job.wanted, job.by, job.created_at if before else None):
                job.done, job.skipped = before + told.done, dict(told.skipped)
                job.result = _sum(result, told.result)
                if not self._hold(lease):
                    return
                if self._stopping.is_set():
                    self._keep(job)
                    return
                if time.monotonic() - saved >= _SAVED_EVERY:
                    self._keep(job)
                    saved = time.monotonic()
            job.state = COMPLETED
        except JournalError:
            raise
        except PenstockError as error:
            job.state, job.error = FAILED, error.message
        except Exception as error:
            _log.exception("The job %s failed, which is a mistake in Penstock.", job.id)
            job.state, job.error = FAILED, type(error).__name__
        job.ended_at = now_us()
        self._keep(job)

    def _hold(self, lease: str) -> bool:
        now = now_us()
        return self.penstock.journal.hold(lease, self._owner, now, now + _LEASE_US)

    def _inherit(self, lease: str) -> bool:
        """Whether a process of this machine had it that has died; else the time of the lease decides."""
        journal = self.penstock.journal
        holder = journal.holder(lease)
        if holder is None or not owner_is_dead(holder):
            return False
        journal.let_go(lease, holder)
        return self._hold(lease)

    def _kept(self) -> tuple[int, list[Job]]:
        found = self.penstock.journal.bookmark(_NAME)
        return (0, []) if found is None else (found.seq, _decode(found.data))

    def _keep(self, job: Job) -> None:
        job.updated_at = now_us()
        while True:
            seq, jobs = self._kept()
            others = [each for each in jobs if each.id != job.id]
            if self.penstock.journal.keep_bookmark(_NAME, seq, _encode(_trimmed([job, *others]))):
                return


def _sum(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Counts, those of before the job was interrupted among them."""
    added = dict(before)
    for name, value in now.items():
        added[name] = _sum(before.get(name, {}), value) if isinstance(value, dict) else before.get(name, 0) + value
    return added


def _trimmed(jobs: list[Job]) -> list[Job]:
    """Those under way, and the newest of those that have ended."""
    jobs.sort(key=lambda job: job.id, reverse=True)
    ended = [job for job in jobs if job.state != RUNNING][:_KEPT]
    return [job for job in jobs if job.state == RUNNING or job in ended]
