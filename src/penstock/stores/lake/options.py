"""What a table of the lake is told, and whether that can be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from penstock.core.errors import ConfigurationError
from penstock.core.words import mistakes_told

Mode: TypeAlias = Literal["append", "overwrite", "merge", "replace"]
Schema: TypeAlias = Literal["evolve", "strict"]

_NAME = re.compile(r"[A-Za-z0-9~][A-Za-z0-9_.=~-]*")


@dataclass(frozen=True)
class TableOptions:
    """See `Lake.table`."""

    mode: Mode = "append"
    keys: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    schema: Schema = "evolve"
    compression_level: int = 1
    compact_every: int = 100
    keep_versions: int = 1000

    @property
    def merging(self) -> bool:
        """Rows with a known key take the place of the row that has it."""
        return self.mode == "merge"

    @property
    def swapping(self) -> bool:
        """Rows are put aside until the last batch, and then take the place of others at once."""
        return self.mode in ("replace", "overwrite")

    @property
    def strict(self) -> bool:
        """No column is ever added."""
        return self.schema == "strict"

    def mistakes(self) -> list[str]:
        """What cannot be."""
        found = []
        if self.mode not in get_args(Mode):
            found.append(f"mode={self.mode!r} is none of {', '.join(get_args(Mode))}")
        if self.schema not in get_args(Schema):
            found.append(f"schema={self.schema!r} is none of {', '.join(get_args(Schema))}")
        if self.mode == "merge" and not self.keys:
            found.append('mode="merge" needs keys=[...]: the columns that tell one row from another')
        if self.keys and self.mode != "merge":
            found.append(f'keys={list(self.keys)} are for mode="merge", and the mode is {self.mode!r}')
        for option, names in (("keys", self.keys), ("partition_by", self.partition_by)):
            if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
                found.append(f"{option}={list(names)} must be names of columns, each once")
        if not 1 <= self.compression_level <= 22:
            found.append(f"compression_level={self.compression_level} is not from 1 to 22")
        if self.compact_every < 0:
            found.append(f"compact_every={self.compact_every} is less than 0 (0 is never)")
        if self.keep_versions < 0:
            found.append(f"keep_versions={self.keep_versions} is less than 0 (0 is all)")
        return found


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """A column or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def refuse(about: str, mistakes: Sequence[str]) -> None:
    """Tell all mistakes at once.

    Raises:
        ConfigurationError: there are some.
    """
    if mistakes:
        raise ConfigurationError(mistakes_told(about, mistakes))


def path_mistakes(name: str, zones: Sequence[str]) -> list[str]:
    """What is wrong with the name of a table."""
    zone, _, rest = name.partition("/")
    found = []
    if zone not in zones:
        found.append(f"{name!r} is in no zone: a table's name begins with {' or '.join(f'{one}/' for one in zones)}")
    if not rest or not all(_NAME.fullmatch(part) for part in rest.split("/")):
        found.append(f"{name!r}: after the zone come letters, digits, '_', '-', '.', '=', parted by '/'")
    return found


def folder_name(table: str) -> str:
    """The name of a table elsewhere as the name of a folder; no two tables have the same."""
    safe = re.sub(r"[^A-Za-z0-9_.=-]", lambda found: f"~{ord(found[0]):x}~", table)
    return safe if safe[:1] not in ("_", ".", "-", "=") else f"~{ord(safe[0]):x}~{safe[1:]}"
