"""One run of the benchmarks: its settings, its prepared homes and its databases."""

import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contenders import BENCHMARKS, SCRIPTS, Contender, Environment
from harness.environments import FOLDER
from harness.feeds import Feeds
from harness.places import Answer, Place, copied, opened, variables_for

WORK = BENCHMARKS / ".work"


@dataclass
class Session:
    """What all measurements of a run share."""

    environments: dict[str, Environment]
    rounds: int = 5
    quick: bool = False
    services: dict[str, str] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    process_limit: float = 300.0
    duty_limit: float = 600.0
    job_limit: float = 25.0
    postgres_server: dict[str, Any] = field(default_factory=dict)
    prepared: dict[str, float | None] = field(default_factory=dict)
    warmed: set[str] = field(default_factory=set)
    folder: Path = WORK / f"run-{os.getpid()}"
    feeds: Feeds = field(init=False)
    _databases: int = 0

    def __post_init__(self) -> None:
        self.feeds = Feeds(self)

    @property
    def patience(self) -> float:
        """Seconds without a new record after which the waiting for records ends."""
        return 3.0 if self.quick else 10.0

    @contextmanager
    def place(self, contender: Contender) -> Iterator[Place]:
        """Open a fresh copy of the contender's prepared home, with a new database where it uses one."""
        self._prepare(contender)
        home = copied(self.folder / "prepared" / contender.name, self.folder / contender.name)
        environment = self.environments[contender.environment]
        database = self.create_database() if contender.uses_postgres else ""
        try:
            with opened(contender, environment, home, database) as place:
                if contender.prepare and contender.uses_postgres:
                    place.run("prepare", limit=self.process_limit)
                yield place
        finally:
            if database:
                self.drop_database(database)
            shutil.rmtree(home, ignore_errors=True)

    def _prepare(self, contender: Contender) -> None:
        """Make a home ready once: tables made, first start done. It is timed, but is no part of any topic."""
        if contender.name in self.prepared:
            return
        self.prepared[contender.name] = None
        if contender.uses_postgres:
            return
        home = self.folder / "prepared" / contender.name
        with opened(contender, self.environments[contender.environment], home) as place:
            if contender.prepare:
                self.prepared[contender.name] = place.run("prepare", limit=self.process_limit).seconds

    def create_database(self) -> str:
        """Make an empty PostgreSQL database; return its address."""
        self._databases += 1
        said = self._database("create", f"penstock_bench_{os.getpid()}_{self._databases}").said
        self.postgres_server = {key: said[key] for key in ("version", "fsync", "synchronous_commit")}
        return str(said["address"])

    def drop_database(self, address: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._database("drop", address.rpartition("/")[2])

    def _database(self, verb: str, name: str) -> Answer:
        bare = Contender("floor", "", "floor", "floor_bench.py", ())
        self.folder.mkdir(parents=True, exist_ok=True)
        variables = {**variables_for(bare, self.folder), "BENCH_SERVER": self.services["postgres"]}
        place = Place(bare, FOLDER / "floor" / "bin" / "python", self.folder, variables)
        return place.execute([str(SCRIPTS / bare.script), "database", verb, name], limit=60)

    def close(self) -> None:
        """End what runs, and delete the homes, and those of runs that were killed before they could."""
        self.feeds.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        for left in self.folder.parent.glob("run-*"):
            if not Path(f"/proc/{left.name.removeprefix('run-')}").exists():
                shutil.rmtree(left, ignore_errors=True)


@dataclass
class Row:
    """What was measured of one contender at one size, over the rounds."""

    contender: Contender
    size: int
    samples: list[dict[str, float]] = field(default_factory=list)
    remark: str = ""

    def median(self, metric: str) -> float:
        """Return the median of a metric over the rounds."""
        return statistics.median(sample[metric] for sample in self.samples)

    def as_json(self) -> dict[str, Any]:
        """Return the row as it is written to the results."""
        metrics = {}
        for metric in self.samples[0]:
            values = [sample[metric] for sample in self.samples]
            spread = {"median": statistics.median(values), "min": min(values), "max": max(values)}
            metrics[metric] = {**spread, "values": values}
        return {
            "contender": self.contender.name,
            "label": self.contender.label,
            "floor": self.contender.floor,
            "bare": self.contender.bare,
            "size": self.size,
            "remark": self.remark,
            "metrics": metrics,
        }
