"""Limits as they are declared: in the journal, from Python, the command line or pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.core.clock import now_us
from penstock.core.errors import BadLimit, ConfigurationError, LimitNotFound, SequenceConflict
from penstock.core.events import Event, Record
from penstock.core.model import Limit
from penstock.core.plans import LimitDeclared, LimitDeleted, stream_of
from penstock.core.ports import Journal
from penstock.core.ports.reading import Reading
from penstock.engine.limits.wishes import check_name, check_rate

_MOST_SLOTS = 1_000_000


def declare_limit(
    journal: Journal, name: str, slots: int | None = None, per_second: float | None = None, burst: int = 1
) -> bool:
    """Declare a limit, or change it; runs that wait notice it within a second.

    Args:
        journal: where it holds.
        name: what it is called; `tag:NAME` for the tasks with a tag.
        slots: how many may be inside at once. 0 lets nobody in until it is raised.
        per_second: how many may begin in a second.
        burst: how many of these at once, after a quiet time.

    Returns:
        Whether anything changed.

    Raises:
        BadLimit: such a limit cannot be.
    """
    wanted = checked_limit(name, slots, per_second, burst)
    event = LimitDeclared(at=now_us(), name=name, slots=slots, per_second=wanted.per_second, burst=burst)
    while True:
        seq = journal.last_seq(stream_of("limit", name))
        if journal.limits(name, counted=False) == [wanted]:
            return False
        if _appended(journal, name, seq, event):
            return True


def checked_limit(name: Any, slots: Any = None, per_second: Any = None, burst: Any = 1) -> Limit:
    """The limit that is wanted.

    Raises:
        BadLimit: such a limit cannot be.
    """
    check_name(name)
    check_rate(per_second, burst, f" of {name!r}")
    if slots is None and per_second is None:
        raise BadLimit(f"The limit {name!r} limits nothing.", hint="give it slots, or per_second, or both")
    if slots is not None and (not isinstance(slots, int) or isinstance(slots, bool) or not 0 <= slots <= _MOST_SLOTS):
        raise BadLimit(f"slots of {name!r} must be a whole number from 0 to {_MOST_SLOTS:,}, and is {slots!r}.")
    rate = float(per_second) if per_second is not None else None
    return Limit(name=name, slots=slots, per_second=rate, burst=burst)


def delete_limit(journal: Journal, name: str) -> None:
    """Delete a limit: who waits for it goes on.

    Raises:
        LimitNotFound: there is none.
    """
    while True:
        seq = journal.last_seq(stream_of("limit", name))
        find_limit(journal, name)
        if _appended(journal, name, seq, LimitDeleted(at=now_us(), name=name)):
            return


def _appended(journal: Journal, name: str, seq: int, event: Event) -> bool:
    """False where somebody else was faster; then it is to be looked at again."""
    try:
        journal.append(stream_of("limit", name), seq, [Record(event)])
    except SequenceConflict:
        return False
    return True


def find_limit(journal: Reading, name: str) -> Limit:
    """A declared limit, with how many hold its slots and wait.

    Raises:
        LimitNotFound: there is none.
    """
    found = journal.limits(name)
    if not found:
        raise LimitNotFound(f"There is no limit {name!r}.", hint="`penstock limits list` shows those there are")
    return found[0]


def limits_in(file: Path) -> list[Limit]:
    """What `[tool.penstock.limits]` of a pyproject.toml declares: `db = 3`, `api = {per_second = 10, burst = 5}`.

    Raises:
        BadLimit: something in it cannot be.
        ConfigurationError: the file cannot be read.
    """
    import tomllib

    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror or error}.",
            hint="name the file: penstock limits apply --file FILE",
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} is no TOML: {error}.", hint="mend the file, and try again") from None
    table: Any = tables
    for name in ("tool", "penstock", "limits"):
        table = table.get(name, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise BadLimit("[tool.penstock.limits] must be a table.", hint="write a line for each, such as: database = 3")
    return [_limit_of(name, given) for name, given in table.items()]


def _limit_of(name: str, given: Any) -> Limit:
    options = given if isinstance(given, dict) else {"slots": given}
    unknown = sorted(set(options) - {"slots", "per_second", "burst"})
    if unknown:
        raise BadLimit(
            f"The limit {name!r} has unknown options: {', '.join(unknown)}.",
            hint="there are: slots, per_second, burst",
        )
    return checked_limit(name, **options)
