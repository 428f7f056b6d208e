"""What was done in a transaction, and the hooks that are called for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from penstock.authoring.registry import hook_named
from penstock.core.errors import ResultError
from penstock.core.events import Staged
from penstock.core.isolation import CommitMode, TransactionState
from penstock.core.origins import reference_to
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger
from penstock.engine.transactions.ledgers import Kept


class Entry:
    """One thing that was done in a block, and what is to be called for it.

    Attributes:
        place: the step's key in the block's run; for steps of subflows, with the keys of these before it.
        at: when it ended; hooks are called in this order, or the reverse.
        transaction: what its hooks are given.
        hooks: by kind (on_commit, on_rollback).
        kept: the result for other runs.
    """

    __slots__ = ("at", "hooks", "kept", "place", "transaction")

    def __init__(self, place: str, at: int, transaction: Any, kept: Kept | None = None) -> None:
        self.place = place
        self.at = at
        self.transaction = transaction
        self.hooks: dict[str, list[Any]] = {
            "on_commit": list(transaction.on_commit_hooks),
            "on_rollback": list(transaction.on_rollback_hooks),
        }
        self.kept = kept


def staged(entry: Entry, live: LiveRun) -> Staged:
    """What is recorded of an entry that waits for the block around it."""
    kept, values, data = entry.kept, None, None
    if entry.transaction.values:
        try:
            values, data = live.results.save(entry.transaction.values)
        except ResultError as problem:
            engine_logger().warning(
                "%s: what it has set in its transaction is lost if the run is resumed. %s",
                entry.place,
                problem.message,
            )
    return Staged(
        cache_key=kept.key if kept is not None else None,
        cache_until=kept.until if kept is not None else None,
        on_commit=tuple(map(reference_to, entry.hooks["on_commit"])),
        on_rollback=tuple(map(reference_to, entry.hooks["on_rollback"])),
        values=values,
        data=data,
    )


class Unkeyed:
    """Stands where a block has what its code has in hand, for a step that is a transaction of its own."""

    key = None
    on_commit_hooks = on_rollback_hooks = ()
    commit_mode = CommitMode.LAZY
    held: ClassVar[dict[str, Any]] = {}
    state = TransactionState.ACTIVE


class LostHook:
    """Stands for a hook of a step that an earlier process has executed, and that cannot be found in this one."""

    def __init__(self, reference: str) -> None:
        self.__name__ = reference.rpartition(":")[2] or "hook"
        self._reference = reference

    def __call__(self, transaction: Any) -> None:
        """Raise, so that the record shows that it was not called."""
        raise LookupError(
            f"The hook {self._reference or '(not a function)'} is not in this process, or is there more than once. "
            "Hooks of tasks that are called by other tasks are found again where they are functions of a module."
        )


def hooks_of(references: Iterable[str]) -> list[Any]:
    """Hooks by where they are found."""
    return [hook_named(reference) or LostHook(reference) for reference in references]
