"""Workers, schedulers and runs under fire, with a recorded seed; afterwards only invariants are looked at.

    python -m tests.chaos.orchestra --seconds 300 --seed 7 [--server postgresql://...]

Several workers, each with a scheduler, share one journal. Deployments are due every second or two, others are
triggered, some of it cancelled. Meanwhile workers, schedulers and the processes of runs are killed, stopped and
continued at random.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import msgspec
import psycopg

from penstock.app import Penstock, Settings
from penstock.core.calendar import ScheduleSpec, due_between
from penstock.core.decisions import RequestCancel
from penstock.core.deployments import Deployment, Schedule, of_data
from penstock.core.errors import PenstockError
from penstock.core.events import RunClaimed, RunCreated, RunEnded, TaskCompleted, now_us
from penstock.core.ids import owner_pid
from penstock.core.model import Run, RunFilter
from penstock.core.plans import stream_of
from penstock.engine.commands import append_command
from penstock.engine.runners.trees import descendants, kill_tree
from penstock.orchestrator.deployments import declare, trigger

POOL = "orchestra"
FLOWS = Path(__file__).with_name("orchestra_flows.py")
LEASE_SECONDS = 3.0
SETTLE_SECONDS = 90.0
BEGIN_SECONDS = 60.0


def deployments() -> list[Deployment]:
    """What is played: scheduled and triggered, one at a time and many, well-behaved and not."""

    def made(name: str, flow: str, *specs: ScheduleSpec, **options: Any) -> Deployment:
        schedules = tuple(Schedule(name=f"s{n}", spec=spec) for n, spec in enumerate(specs))
        return Deployment(name=name, flow=flow, entrypoint=f"{FLOWS}:{flow}", schedules=schedules, pool=POOL,
                          crash_retries=1000, crash_delay_seconds=0.05, **options)  # fmt: skip

    return [
        made("ticking", "quick", ScheduleSpec.of(interval=1, missed="all")),
        made("steps", "steps", ScheduleSpec.of(interval=2, missed="all"), ScheduleSpec.of(interval=3, missed="all")),
        made("alone", "alone", ScheduleSpec.of(interval=1, missed="all"), concurrency=1),
        made("moody", "moody", queue="side"),
    ]


class Orchestra:
    """One performance.

    Args:
        folder: for the journal and the effects.
        seed: decides what happens to whom.
        database_url: a PostgreSQL database for the journal, or empty.
        workers: how many play.
    """

    def __init__(self, folder: Path, seed: int, database_url: str = "", workers: int = 3) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.effects = folder / "effects.txt"
        settings = Settings(home=str(folder / "home"), database_url=database_url, lease_seconds=LEASE_SECONDS,
                            log_console=False)  # fmt: skip
        self.database_url = database_url
        self.admin: psycopg.Connection[Any] | None = None
        if database_url:
            server = urlunsplit(urlsplit(database_url)._replace(path="/postgres"))
            self.admin = psycopg.connect(server, autocommit=True)
        self.app = Penstock(settings)
        self.journal = self.app.journal
        self.environment = {
            **os.environ,
            "PENSTOCK_HOME": settings.home,
            "PENSTOCK_DATABASE_URL": database_url,
            "PENSTOCK_LEASE_SECONDS": str(LEASE_SECONDS),
            "PENSTOCK_LOG_LEVEL": "ERROR",
            "ORCHESTRA_EFFECTS": str(self.effects),
        }
        self.number = workers
        self.workers: list[subprocess.Popen[bytes]] = []
        self.stopped: list[threading.Timer] = []
        self.deeds: Counter[str] = Counter()
        self.triggered: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.log = (folder / "workers.log").open("ab")

    def play(self, seconds: float) -> None:
        """Let it all happen for so long, then calm down and wait until everything has ended.

        On a slow machine it takes longer: until every schedule was due, for workers may be killed before they begin.
        """
        for deployment in deployments():
            declare(self.journal, deployment)
        for _ in range(self.number):
            self.start_worker()
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end or (now < end + BEGIN_SECONDS and not self.all_were_due()):
            time.sleep(self.draw.uniform(0.02, 0.4))
            self.disturb()
        self.calm()

    def start_worker(self) -> None:
        """One more worker; some make a fresh interpreter for each run, some use processes again."""
        command = [sys.executable, str(Path(__file__).with_name("orchestra_worker.py"))]
        how = self.draw.random()
        if how < 0.6:
            command.append("fresh" if how < 0.2 else "again")
        self.workers.append(
            subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=self.log, stderr=self.log,
                             start_new_session=True)
        )  # fmt: skip

    def disturb(self) -> None:
        """One thing that happens."""
        if self.admin is not None and self.draw.random() < 0.05:
            self.cut_off()
        deeds = [self.trigger] * 8 + [self.kill_run] * 4 + [self.kill_worker, self.stop_worker, self.end_worker]
        deed = self.draw.choice([*deeds, self.stop_run, self.cancel_run, self.kill_nursery])
        deed()
        self.deeds[deed.__name__] += 1
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self.number:
            self.start_worker()

    def trigger(self) -> None:
        """A run with a key, asked for twice now and then."""
        key = f"key {self.draw.randint(0, 10_000)}"
        name = self.draw.choice(["steps", "moody"])
        for _ in range(self.draw.choice([1, 1, 2])):
            run = trigger(self.journal, name, key=key)
            assert self.triggered.setdefault(f"{name}/{key}", run.id) == run.id, "one key made two runs"

    def _pid_of_run(self) -> int | None:
        held = [run for run in self.journal.held_runs(POOL) if run.owner and run.state != "Pending"]
        pid = owner_pid(self.draw.choice(held).owner or "") if held else None
        return pid if pid is not None and any(pid in descendants(w.pid) for w in self.workers) else None

    def kill_run(self) -> None:
        """The process of a run."""
        pid = self._pid_of_run()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop_run(self) -> None:
        """It stands still, mostly for longer than its lease."""
        pid = self._pid_of_run()
        if pid is not None:
            self._stop(pid)

    def stop_worker(self) -> None:
        """It stands still, mostly for longer than its lease."""
        self._stop(self.draw.choice(self.workers).pid)

    def _stop(self, pid: int) -> None:
        """Continued by a thread: a process that stands still in a transaction holds up whoever wants to write."""
        seconds = self.draw.uniform(0.1, 2 * LEASE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            timer = threading.Timer(seconds, _go_on, (pid,))
            timer.start()
            self.stopped.append(timer)

    def kill_worker(self) -> None:
        """The worker alone, or with everything it has started."""
        worker = self.draw.choice(self.workers)
        if self.draw.random() < 0.5:
            worker.kill()
        else:
            kill_tree(worker.pid, signal.SIGKILL)
        worker.wait()

    def end_worker(self) -> None:
        """In order."""
        worker = self.draw.choice(self.workers)
        worker.terminate()

    def kill_nursery(self) -> None:
        """Any process below a worker."""
        below = descendants(self.draw.choice(self.workers).pid)
        if below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.draw.choice(below), signal.SIGKILL)

    def cut_off(self) -> None:
        """The database is away for a moment: every connection is lost, and none can be made."""
        assert self.admin is not None
        name = urlsplit(self.database_url).path[1:]
        self.deeds["cut_off"] += 1
        self.admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        self.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        time.sleep(self.draw.uniform(0.0, 2.0))
        self.admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def cancel_run(self) -> None:
        """Any that has not ended."""
        found = self.journal.runs(RunFilter(states=("Scheduled", "Pending", "Running"), limit=20))
        if found:
            run = self.draw.choice(found)
            with contextlib.suppress(PenstockError):
                append_command(self.journal, run.id, RequestCancel(now_us(), "chaos"))
                self.cancelled.add(run.id)

    def calm(self) -> None:
        """Nothing happens any more: what was begun comes to its end."""
        for timer in self.stopped:
            timer.join()
        for stored in self.journal.deployments():
            deployment = of_data(stored.spec)
            declare(self.journal, msgspec.structs.replace(deployment, paused=True))
        self.settle()
        if self.under_way():  # a scheduler that stood still had looked before the pause: its runs were due by then
            self.settle()

    def all_were_due(self) -> bool:
        """Every schedule has made a run."""
        return all(
            self.fired(deployment.name, schedule.name, self.journal.runs(RunFilter(deployment=deployment.name)))
            for deployment in deployments()
            for schedule in deployment.schedules
        )

    def fired(self, deployment: str, schedule: str, runs: Iterable[Run]) -> Counter[int | None]:
        """The instants a schedule has made runs for, among these."""
        firsts = [next(iter(self.journal.load(run.id))).event for run in runs if run.deployment == deployment]
        return Counter(e.scheduled_at for e in firsts if isinstance(e, RunCreated) and e.schedule == schedule)

    def under_way(self) -> bool:
        """Some run has not ended."""
        return bool(self.journal.runs(RunFilter(states=("Scheduled", "Pending", "Running", "Retrying"), limit=1)))

    def settle(self) -> None:
        """Wait until everything has ended, then let the workers go."""
        limit = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < limit:
            self.workers = [worker for worker in self.workers if worker.poll() is None]
            if not self.workers:
                self.start_worker()
            if not self.under_way():
                break
            time.sleep(0.2)
        else:
            self.ask_workers()
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(20)

    def ask_workers(self) -> None:
        """It has not come to its end: have the workers say where they are, for whoever reads of the failure."""
        for worker in self.workers:
            worker.send_signal(signal.SIGUSR1)
        time.sleep(1)
        told = (self.folder / "workers.log").read_text(errors="replace")[-12_000:]
        below = {worker.pid: descendants(worker.pid) for worker in self.workers}
        print(f"workers and what is below them: {below}\n{told}")

    def close(self) -> None:
        """Leave no process behind."""
        for worker in self.workers:
            if worker.poll() is None:
                kill_tree(worker.pid, signal.SIGKILL)
                worker.wait()
        self.log.close()
        if self.admin is not None:
            self.admin.close()
        self.app.close()

    def check(self) -> None:
        """Every accepted run ended once, every due instant has one run, nothing was done twice or left behind."""
        runs = {run.id: run for run in self.journal.runs(RunFilter(limit=1_000_000))}
        left = [(run.name, run.state, run.message, run.owner) for run in runs.values() if not run.ended]
        assert not left, f"runs that never ended: {left}"
        ends: Counter[str] = Counter()
        created: Counter[str] = Counter()
        completed: Counter[tuple[str, str]] = Counter()
        for stored in reversed(self.journal.read_back(None, 10_000_000)):
            if isinstance(stored.event, RunEnded):
                ends[stored.stream] += 1
            elif isinstance(stored.event, RunCreated):
                created[stored.stream] += 1
            elif isinstance(stored.event, TaskCompleted):
                completed[stored.stream, stored.event.step.key] += 1
            elif isinstance(stored.event, RunClaimed):
                assert not ends[stored.stream], "an ended run was claimed"
        assert set(ends.values()) == {1}
        assert set(created.values()) == {1}
        assert set(created) == set(ends)
        assert not [step for step, times in completed.items() if times > 1], "a recorded step was executed again"
        assert self.journal.next_schedule() is None, "a deployment is paused, and will make runs all the same"
        self.check_schedules(runs)
        self.check_effects(runs)
        assert set(self.triggered.values()) <= set(runs), "an accepted trigger has no run"
        for limit in self.journal.limits():
            assert not limit.taken, f"a slot of {limit.name} leaked"
        for run in runs.values():
            assert run.state in ("Completed", "Failed", "Cancelled"), (run.name, run.state, run.message)
            if run.state == "Failed":
                assert run.deployment == "moody", (run.name, run.message)

    def check_schedules(self, runs: dict[str, Any]) -> None:
        """One run for each due instant, from the first after the declaration to the last."""
        for deployment in deployments():
            (declared, *_) = self.journal.load(stream_of("deployment", deployment.name))
            for schedule in deployment.schedules:
                fired = self.fired(deployment.name, schedule.name, runs.values())
                instants = sorted(at for at in fired if at is not None)
                assert instants, f"{deployment.name} was never due"
                assert set(fired.values()) == {1}, f"{deployment.name}: an instant has two runs"
                begin = declared.event.at
                without = sorted(set(due_between(schedule.spec, begin, instants[-1])) ^ set(instants))
                assert not without, f"{deployment.name}, declared at {begin}: {without} without a run, or not due"

    def check_effects(self, runs: dict[str, Any]) -> None:
        """What was done outside is what is recorded; the one that is to be alone was alone."""
        lines = [line.split() for line in self.effects.read_text().splitlines()]
        done = {(line[1], line[2]) for line in lines if line[0] == "step"}
        for run in runs.values():
            if run.state == "Completed" and run.deployment == "steps":
                assert {step for run_id, step in done if run_id == run.id} == {"0", "1", "2", "3"}
        inside: dict[str, int] = {}
        overlaps = 0
        for line in sorted((line for line in lines if line[0] in ("enter", "leave")), key=lambda line: int(line[2])):
            if line[0] == "enter":
                # One whose process was killed or stood still inside never left, and its lease is what tells.
                overlaps += any(int(line[2]) - since < LEASE_SECONDS * 1e9 / 3 for since in inside.values())
                inside[line[1]] = int(line[2])
            else:
                inside.pop(line[1], None)
        assert overlaps <= self.deeds["kill_run"] + self.deeds["kill_worker"] + self.deeds["kill_nursery"], overlaps


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def perform(folder: Path, seed: int, seconds: float, database_url: str = "", workers: int = 3) -> Orchestra:
    """Play, check, and leave nothing behind."""
    orchestra = Orchestra(folder, seed, database_url, workers)
    try:
        orchestra.play(seconds)
        orchestra.check()
    finally:
        orchestra.close()
    return orchestra


@contextlib.contextmanager
def scratch_database(server: str) -> Iterator[str]:
    """A database of its own on a server, dropped afterwards; none where there is no server."""
    if not server:
        yield ""
        return
    name = f"orchestra_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def main() -> None:
    """Play as the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--server", default="", help="a PostgreSQL server on which a database may be made")
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    print(f"{'PostgreSQL' if options.server else 'SQLite'}, seed {options.seed}, {options.seconds:g} s", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="orchestra-", ignore_cleanup_errors=True) as folder,
        scratch_database(options.server) as database,
    ):
        orchestra = perform(Path(folder), options.seed, options.seconds, database, options.workers)
    print(f"sound: {len(orchestra.triggered)} triggered; {dict(orchestra.deeds)}")


if __name__ == "__main__":
    main()
