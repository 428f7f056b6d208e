"""Who may make the result of a key, where only one may at a time (isolation level SERIALIZABLE).

A key is a limit with one slot, so that it is held over processes and machines, and comes back when its holder dies.
A step holds its key until it has ended; inside a block of `with transaction():`, the outermost block holds it until
its own end, for before that nobody else can use the result. What a block has done does not wait for the block.

Nobody waits for somebody who may wait for him: who holds keys waits for a key that sorts after all of them, and goes
on without any other one that is not free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from penstock.engine.limits.tags import InLine
from penstock.engine.limits.waiters import Waiter, Wish
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger
from penstock.engine.outcome import Path
from penstock.engine.waits import Commit

LOCK = "cache:"
"""How the name of the limit of a key begins."""


def hold(transaction: Any, live: LiveRun, step: str | None, key: str, abandoned: Callable[[], bool]) -> Path[None]:
    """Wait until nobody else makes the result of this key, and keep everybody from it until it is given back.

    Args:
        transaction: of the step, or of the block, that is about to make it.
        live: its run.
        step: its key.
        key: of the result.
        abandoned: tells that nobody waits for the step any more.
    """
    held = {name: waiter.granted for each in _upwards(transaction) for name, waiter in list(each.held.items())}
    if key in held or not all(held.values()):
        return
    owner, live = _owner(transaction, live)
    slots = live.engine.slots
    waiter: Waiter = slots.wanted(live, step, Wish(((LOCK + key, 1),), (), 1), None, abandoned)
    if owner.held.setdefault(key, waiter) is not waiter:
        return
    try:
        if not (yield Commit(live.remote, slots.enter, waiter)):
            if held and key < max(held):
                engine_logger().warning("%s does not wait for its cache key, for it holds another one.", step)
                yield from _left(owner, live, key)
                return
            yield InLine(waiter)
            waiter.check()
    except BaseException:
        owner.held.pop(key, None)
        waiter.leave()
        raise


def _upwards(transaction: Any) -> Iterator[Any]:
    """The transaction, and all that are around it."""
    while transaction is not None:
        yield transaction
        transaction = transaction.get_parent()


def _owner(transaction: Any, live: LiveRun) -> tuple[Any, LiveRun]:
    """Who holds the key, and in which run."""
    block = transaction.block
    if block is None:
        return transaction, live
    while block.parent is not None:
        block = block.parent
    return block.transaction, block.live


def give_back(transaction: Any, live: LiveRun) -> Path[None]:
    """Let others have the keys.

    Raises:
        SlotLost: one had been given to somebody else before.
    """
    for key in list(transaction.held):
        yield from _left(transaction, live, key)


def _left(transaction: Any, live: LiveRun, key: str) -> Path[None]:
    lost = yield Commit(live.remote, transaction.held.pop(key).leave)
    if lost is not None:
        raise lost


def drop(transaction: Any) -> None:
    """Let others have what is still held, without saying more."""
    while transaction.held:
        transaction.held.popitem()[1].leave()
