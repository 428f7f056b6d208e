"""Names of tables and columns, which may hold anything, and mean nothing in a statement."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from penstock.core.errors import ConfigurationError
from penstock.core.sqltext import quoted

TableName: TypeAlias = "str | tuple[str, str]"
"""`schema.table`, or the two of them where one holds a dot."""


@dataclass(frozen=True, slots=True)
class Name:
    """A table in a schema."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def sql(self) -> str:
        """The name in a statement."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    def beside(self, suffix: str, longest: int) -> Name:
        """A table that belongs to this one; where its name would be too long, a digest takes the place of the end."""
        whole = self.table + suffix
        if len(whole.encode()) > longest:
            digest = hashlib.sha256(self.table.encode()).hexdigest()[:12]
            room = longest - len(suffix.encode()) - len(digest) - 1
            whole = f"{self.table.encode()[:room].decode(errors='ignore')}_{digest}{suffix}"
        return Name(self.schema, whole)


_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def folded(name: str) -> str:
    """A name, as DuckDB compares names: without the difference between A and a, but not that between É and é."""
    return name.translate(_LOWER)


def listed(names: list[str] | tuple[str, ...], prefix: str = "") -> str:
    """Quoted names with commas between them."""
    return ", ".join(prefix + quoted(name) for name in names)


def parsed(name: TableName, schema: str) -> Name:
    """The table that is meant.

    Args:
        name: as the user gave it.
        schema: where it is when the name does not say.

    Raises:
        ConfigurationError: it is no name.
    """
    parts = tuple(name) if isinstance(name, (tuple, list)) else tuple(name.split("."))
    if len(parts) == 1:
        parts = (schema, *parts)
    if len(parts) != 2:
        raise ConfigurationError(
            f"{name!r} is no name of a table.",
            hint='write "schema.table", or ("schema", "table") where a name holds a dot',
        )
    for part in parts:
        check(part)
    return Name(*parts)


def check(name: str, longest: int = 0) -> None:
    """See that this can be a name.

    Raises:
        ConfigurationError: it cannot.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ConfigurationError(f"{name!r} is no name of a table, a schema or a column.")
    if longest and len(name.encode()) > longest:
        raise ConfigurationError(f"The name {name!r} is longer than {longest} bytes.", hint="give it a shorter one")
