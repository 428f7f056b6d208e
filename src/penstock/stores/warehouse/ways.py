"""The ways in which a table of a warehouse takes rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from penstock.core.errors import ConfigurationError
from penstock.stores.warehouse.evolution import Schema

Mode: TypeAlias = Literal["append", "merge", "replace", "history"]


@dataclass(frozen=True, slots=True)
class Way:
    """How a table takes rows.

    Attributes:
        mode: `append` adds them, `merge` keeps the last one for a key, `replace` those of the last reading, `history`
            every version of a key with the time in which it was true.
        keys: columns that tell a row from the others.
        schema: `evolve`: the table gets new columns, and wider numbers; `strict`: it stays as it is.
        changed_at: of `history`: the column that says since when a version is true; the time of the commit without it.
    """

    mode: Mode = "append"
    keys: tuple[str, ...] = ()
    schema: Schema = "evolve"
    changed_at: str | None = None


def key_names(keys: Sequence[str]) -> tuple[str, ...]:
    """The names of key columns, of which one may be given without a list."""
    return (keys,) if isinstance(keys, str) else tuple(keys)


def way_of(table: str, mode: Any, keys: Sequence[str], schema: Any, changed_at: str | None, keys_needed: bool) -> Way:
    """How a table is to take rows, out of what people write.

    Raises:
        ConfigurationError: with every mistake.
    """
    names = key_names(keys)
    mistakes = []
    if mode not in get_args(Mode):
        mistakes.append(f"mode is {mode!r}, and must be one of {', '.join(get_args(Mode))}")
    if schema not in get_args(Schema):
        mistakes.append(f"schema is {schema!r}, and must be evolve or strict")
    if keys_needed and not names:
        mistakes.append(f'mode="{mode}" needs keys: the columns that tell a row from the others')
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        mistakes.append(f"keys are {list(names)!r}, and must be different names")
    if changed_at is not None and mode != "history":
        mistakes.append('changed_at is for mode="history"')
    if mistakes:
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise ConfigurationError(f"{table} cannot be written so:\n{lines}")
    return Way(mode, names, schema, changed_at)
