"""What is read, made once in a run, and what has to be found where it was written.

An environment of its own makes it and looks at the results, so that nobody who is compared has a part in either.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.contenders import BENCHMARKS, ROOT, Contender
from harness.environments import FOLDER
from harness.places import Failed, Place, end_group, free_ports, variables_for

if TYPE_CHECKING:
    from harness.session import Session

PROGRAMS = BENCHMARKS / "feeds"
JUDGE = "judge"
MAKING_SECONDS = 900.0
STARTING_SECONDS = 120.0
Facts = dict[str, int]


@dataclass(frozen=True)
class Feed:
    """Something to read: a file, or an address; and what is in it."""

    source: str
    facts: Facts
    kind: str = "orders"


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
        # In a folder of its own: some tools are told a folder, and read what is in it.
        path = self.session.folder / "feeds" / Path(name).stem / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Feed(str(path), self.judge(command, str(path), str(rows)), kind)

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
