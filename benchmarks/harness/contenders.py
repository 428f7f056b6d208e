"""Who is measured: the contents of `peers.toml` and of the other files beside it."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
SCRIPTS = BENCHMARKS / "contenders"
PEERS = tuple(
    BENCHMARKS / name for name in ("peers.toml", "peers_trust.toml", "peers_control.toml", "peers_engines.toml")
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what belongs in it."""

    name: str
    label: str
    requires: tuple[str, ...]
    reports: tuple[str, ...]
    imports: str = ""
    from_checkout: bool = False


@dataclass(frozen=True)
class Records:
    """Where a contender keeps its records, and how those of one task name are counted.

    `files` is a pattern under the contender's home. With a `query` they are SQLite databases, whose answers
    are added up; without one, each file is a record. With `postgres` the query goes to its database there.
    """

    query: str = ""
    files: str = ""
    postgres: bool = False


@dataclass(frozen=True)
class Contender:
    """One way of running tasks, as one row of the tables."""

    name: str
    label: str
    environment: str
    script: str
    topics: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    records: Records | None = None
    sizes: tuple[int, ...] = (1_000, 10_000)
    quick_sizes: tuple[int, ...] = (200,)
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    quick_counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    prepare: bool = False
    service: str = ""
    programs: tuple[str, ...] = ()
    bare: str = "floor"
    floor: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)

    def note(self, topic: str) -> str:
        """Return what a reader of a topic's table should know about how this contender was run."""
        return "; ".join(self.notes[key] for key in ("", topic) if key in self.notes)

    @property
    def uses_postgres(self) -> bool:
        """Whether it needs a PostgreSQL database of its own."""
        return "{postgres}" in "".join(self.variables.values())


def load() -> tuple[dict[str, Environment], list[Contender]]:
    """Read the environments and the contenders."""
    environments: dict[str, Environment] = {}
    contenders: list[Contender] = []
    for path in PEERS:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        environments |= {name: Environment(name=name, **_tuples(it)) for name, it in document["environment"].items()}
        contenders += [_contender(table) for table in document["contender"]]
    for contender in contenders:
        if contender.environment not in environments:
            raise SystemExit(f"{contender.name} names an unknown environment {contender.environment!r}")
    return environments, contenders


def _contender(table: dict[str, Any]) -> Contender:
    records = table.pop("records", None)
    counts = {name: _tuples(table.pop(name, {})) for name in ("counts", "quick_counts")}
    return Contender(**_tuples(table), **counts, records=Records(**records) if records else None)


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
