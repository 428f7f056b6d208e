"""What is read, made once in a run, and what has to be found where it was written.

An environment of its own makes it and looks at the results, so that nobody who is compared has a part in either.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contenders import BENCHMARKS, ROOT, Contender
from harness.environments import FOLDER, python_of
from harness.places import Failed, Place, end_group, free_ports, variables_for

if TYPE_CHECKING:
    from harness.session import Session

PROGRAMS = BENCHMARKS / "feeds"
JUDGE = "judge"
MAKER = "penstock-trust"
"""The environment whose Penstock generates logs."""

LOGS = ("--seed", "5", "--days", "7", "--anomalies", "20", "--malformed", "200", "--quiet")
MAKING_SECONDS = 900.0
SPARE_MB = 2_000
"""So much disk is left to everybody else."""

STARTING_SECONDS = 120.0
Facts = dict[str, int]


@dataclass(frozen=True)
class Feed:
    """Something to read: a file, or an address; and what is in it."""

    source: str
    facts: Facts
    kind: str = "orders"
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Feeds:
    """The feeds of a run; each is made when it is first asked for."""

    session: "Session"
    _made: dict[tuple[str, int], Feed] = field(default_factory=dict)
    _endings: list[Callable[[], object]] = field(default_factory=list)

    def csv(self, rows: int) -> Feed:
        """Orders in a CSV file."""
        return self._once("csv", rows, lambda: self._file("csv", f"orders-{rows}.csv", rows, "orders"))

    def points(self, rows: int) -> Feed:
        """Measurements in a CSV file."""
        return self._once("points", rows, lambda: self._file("points", f"points-{rows}.csv", rows, "points"))

    def retail(self, _: int) -> Feed:
        """The file of Online Retail."""
        path = Path(os.environ.get("PENSTOCK_TEST_DATA", ROOT.parent / "shared/data")) / "retail/online_retail.csv.gz"
        if not path.is_file():
            raise Failed("the file of Online Retail is not there (PENSTOCK_TEST_DATA names its folder)")
        return self._once("retail", 0, lambda: Feed(str(path), self.judge("retail", str(path)), "retail"))

    def api(self, rows: int) -> Feed:
        """Orders, page by page, from a server that runs until the end."""
        return self._once("api", rows, lambda: self._serve(rows))

    def table(self, rows: int) -> Feed:
        """Orders in a table of a PostgreSQL database, which nobody changes."""
        return self._once("table", rows, lambda: self._fill(rows))

    def topic(self, rows: int) -> Feed:
        """Orders as messages of a topic: the address is that of the broker, and the topic."""
        return self._once("topic", rows, lambda: self._produce(rows))

    def log(self, megabytes: int) -> Feed:
        """An access log with anomalies and lines that mean nothing."""
        return self._once("log", megabytes, lambda: self._log(megabytes))

    def checked(self, rows: int) -> Feed:
        """Orders in a Parquet file, some of which break some rules."""
        return self._once("checked", rows, lambda: self._checked(rows))

    def judge(self, *arguments: str, database: str = "") -> Facts:
        """Run the judge to its end, and return what it says."""
        return self.program("judge.py", *arguments, database=database)

    def program(self, script: str, *arguments: str, database: str = "") -> Facts:
        """Run one of the programs beside the judge in its environment."""
        found: Facts = self._place(database).execute([str(PROGRAMS / script), *arguments], limit=MAKING_SECONDS).said
        return found

    def beside(self, script: str, *arguments: str, database: str = "") -> "subprocess.Popen[bytes]":
        """Start such a program, which runs while a contender is measured."""
        place = self._place(database)
        with (place.home / f"{Path(script).stem}.log").open("wb") as log:
            return subprocess.Popen(
                [str(place.python), str(PROGRAMS / script), *arguments],
                cwd=place.home,
                env=place.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def close(self) -> None:
        """End what runs, and delete what is not in the folder of the run."""
        for ending in reversed(self._endings):
            with suppress(Failed):
                ending()
        self._endings.clear()

    def _once(self, name: str, rows: int, make: Callable[[], Feed]) -> Feed:
        if (name, rows) not in self._made:
            self._made[name, rows] = make()
        return self._made[name, rows]

    def _place(self, database: str = "") -> Place:
        folder = self.session.folder / "feeds"
        folder.mkdir(parents=True, exist_ok=True)
        judge = Contender(JUDGE, "", JUDGE, "", ())
        variables = {**variables_for(judge, folder), "BENCH_POSTGRES": database}
        return Place(judge, FOLDER / JUDGE / "bin" / "python", folder, variables)

    def _file(self, command: str, name: str, rows: int, kind: str) -> Feed:
        path = self._folder(Path(name).stem) / name
        return Feed(str(path), self.judge(command, str(path), str(rows)), kind)

    def _log(self, megabytes: int) -> Feed:
        path = self._folder(f"log-{megabytes}") / "access.log"
        free = shutil.disk_usage(path.parent).free // 1_000_000
        if free < megabytes + SPARE_MB:
            raise Failed(f"a log of {megabytes:,} MB does not fit: {free:,} MB of disk are free")
        print(f"  making a log of {megabytes:,} MB, and counting what is in it", flush=True)
        maker, python = Contender(MAKER, "", MAKER, "", ()), python_of(self.session.environments[MAKER])
        place = Place(maker, python, path.parent, variables_for(maker, path.parent))
        command = ["-m", "penstock", "logs", "generate", str(path), "--size", f"{megabytes}MB", *LOGS]
        place.execute(command, limit=MAKING_SECONDS, silent=True)
        return Feed(str(path), self.program("log_judge.py", "expect", str(path)), "log")

    def _checked(self, rows: int) -> Feed:
        path = str(self._folder(f"checked-{rows}") / "orders.parquet")
        facts = self.program("checked.py", "make", path, str(rows))
        told: dict[str, Any] = self.program("checked.py", "profile", path)
        return Feed(path, facts, "checked", told)

    def _folder(self, name: str) -> Path:
        """One of its own: some tools are told a folder, and read what is in it."""
        folder = self.session.folder / "feeds" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _serve(self, rows: int) -> Feed:
        port = free_ports(1)[0]
        server = self.beside("api.py", str(port), str(rows))
        self._endings.append(lambda: end_group(server))
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{url}/expected", timeout=5) as answer:
                return Feed(f"{url}/orders", json.load(answer))
            time.sleep(0.1)
        raise Failed("the API that is read did not start")

    def _fill(self, rows: int) -> Feed:
        database = self.session.create_database()
        self._endings.append(lambda: self.session.drop_database(database))
        return Feed(database, self.judge("fill", str(rows), database=database))

    def _produce(self, rows: int) -> Feed:
        brokers, name = self.session.services["kafka"], f"penstock-bench-{os.getpid()}-{rows}"
        self._endings.append(lambda: self.judge("untopic", brokers, name))
        return Feed(f"{brokers}/{name}", self.judge("topic", brokers, name, str(rows)))


def compare(expected: Facts, found: Facts) -> None:
    """See that what was written is what there was to read.

    Raises:
        Failed: It is not.
    """
    wrong = [f"{name}: {found.get(name, 0):,} instead of {value:,}" for name, value in expected.items()]
    wrong = [told for told, name in zip(wrong, expected, strict=True) if found.get(name) != expected[name]]
    if wrong:
        raise Failed(f"a wrong result: {', '.join(wrong)}")
