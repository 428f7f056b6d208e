"""What a pipe keeps beside its table: how far it has come, and the names of its files.

A state is a small JSON file that is written before the commit which makes it true: the commit carries the state's
number as its transaction version, and of all states only that one counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from penstock.core.ports.data import Counts

_FOLD = 64


Fold = Callable[[str, list[str], int], None]
Read = Callable[[str], list[str]]


@dataclass(frozen=True)
class Pile:
    """Names of files, oldest first, of which there may be very many.

    It holds few names at each level. When a level is full, its 64 names become one name of the level above: that of a
    file with all they had in it, or that of a list of them. So a state stays small, and adding a name costs the same,
    however many there are.
    """

    levels: tuple[tuple[str, ...], ...] = ()

    def add(self, name: str, fold: Fold) -> Pile:
        """One more file; `fold` makes one file or list of a full level, under the name it is given."""
        levels = [list(level) for level in self.levels] or [[]]
        levels[0].append(name)
        for height in range(len(levels)):
            if len(levels[height]) < _FOLD:
                break
            above = f"{name}.{height + 1}"
            fold(above, levels[height], height + 1)
            levels[height] = []
            if height + 1 == len(levels):
                levels.append([])
            levels[height + 1].append(above)
        return Pile(tuple(tuple(level) for level in levels))

    def files(self, read: Read, lists_from: int) -> Iterator[str]:
        """All files, oldest first.

        Args:
            read: what is in a list.
            lists_from: names of this level and above are those of lists.
        """
        for height in range(len(self.levels) - 1, -1, -1):
            for name in self.levels[height]:
                yield from _walk(name, height, read, lists_from, lists=False)

    def every(self, read: Read, lists_from: int) -> Iterator[str]:
        """All files, and the lists."""
        for height, level in enumerate(self.levels):
            for name in level:
                yield from _walk(name, height, read, lists_from, lists=True)


def _walk(name: str, height: int, read: Read, lists_from: int, lists: bool) -> Iterator[str]:
    if height < lists_from:
        yield name
        return
    if lists:
        yield name
    for inner in read(name):
        yield from _walk(inner, height - 1, read, lists_from, lists)


@dataclass(frozen=True)
class State:
    """How far a pipe has come.

    Attributes:
        pipe: its name.
        position: as JSON text; None where nothing has been committed.
        counts: everything it has committed.
        order: of the last batch that it has; see `Batch.order`.
        last: what became of that batch.
        rejected: files of the quarantine.
        spool: files of a load that is not complete yet.
        columns: of that load, as Arrow writes a schema, in hexadecimal.
        loading: such a load is under way.
        commits: how many there were since the table was tidied up.
        tables: the names of the tables that a pipe of several has written.
    """

    pipe: str
    position: str | None = None
    counts: Counts = field(default_factory=Counts)
    order: int | None = None
    last: Counts = field(default_factory=Counts)
    rejected: Pile = field(default_factory=Pile)
    spool: Pile = field(default_factory=Pile)
    columns: str = ""
    loading: bool = False
    commits: int = 0
    tables: tuple[str, ...] = ()

    @property
    def there(self) -> Any:
        """The position as the source gave it."""
        return None if self.position is None else json.loads(self.position)

    def encode(self) -> bytes:
        """As it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    @staticmethod
    def decode(data: bytes) -> State:
        """The reverse of `encode`; what a newer Penstock has added is left out."""
        found = json.loads(data.decode("utf-8", "surrogatepass"))
        known = {name: found[name] for name in State.__dataclass_fields__ if name in found}
        for name in ("counts", "last"):
            known[name] = Counts(**known[name])
        for name in ("rejected", "spool"):
            known[name] = Pile(tuple(tuple(level) for level in known[name]["levels"]))
        return State(**{**known, "tables": tuple(known["tables"])})

    def begun_anew(self) -> State:
        """The same pipe as if nothing had landed; its quarantine stays."""
        return replace(State(self.pipe), rejected=self.rejected, commits=self.commits)


def encoded(position: Any) -> str:
    """A position as JSON text."""
    return json.dumps(dict(position), ensure_ascii=False, separators=(",", ":"))


def folder_of(pipe: str) -> str:
    """A name for a folder: readable, and another for each pipe."""
    digest = hashlib.blake2b(pipe.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "-", pipe.lower())[:32].strip("-")
    return f"{slug}-{digest}" if slug else digest
