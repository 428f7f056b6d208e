"""Limits on what all runs of a journal do at once, or in a second: declared, changed and looked at from Python."""

from typing import Any

from penstock.core.extras import LateModule
from penstock.core.model import Limit
from penstock.engine.limits import declared

__all__ = ["Limit", "declare", "delete", "find", "listed", "reset"]

_app: Any = LateModule("penstock.app")


def declare(name: str, slots: int | None = None, *, per_second: float | None = None, burst: int = 1) -> bool:
    """Declare a limit, or change it; runs that wait notice it within a second.

    Args:
        name: what it is called; `tag:NAME` for the tasks with a tag.
        slots: how many may be inside at once. 0 lets nobody in until it is raised.
        per_second: how many may begin in a second.
        burst: how many of these at once, after a quiet time.

    Returns:
        Whether anything changed.

    Raises:
        BadLimit: such a limit cannot be.
    """
    return declared.declare_limit(_app.current().journal, name, slots, per_second, burst)


def delete(name: str) -> None:
    """Delete a limit: who waits for it goes on.

    Raises:
        LimitNotFound: there is none.
    """
    declared.delete_limit(_app.current().journal, name)


def reset(name: str) -> int:
    """Give back every slot of a limit and forget the turns that are reserved; returns how many held or waited.

    Who is inside stays inside: this is for when you know better than the journal.

    Raises:
        LimitNotFound: there is none.
    """
    journal = _app.current().journal
    declared.find_limit(journal, name)
    count: int = journal.reset_limit(name)
    return count


def find(name: str) -> Limit:
    """A limit, with how many slots are taken and how many wait.

    Raises:
        LimitNotFound: there is none.
    """
    return declared.find_limit(_app.current().journal, name)


def listed() -> list[Limit]:
    """Every limit, by name."""
    found: list[Limit] = _app.current().journal.limits()
    return found
