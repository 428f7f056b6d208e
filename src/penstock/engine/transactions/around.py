"""What the end of a step has to do with caches and transactions: what is looked for, recorded, staged and called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core.context import Scope, current_transaction
from penstock.core.decisions import Finish
from penstock.core.events import Staged, TaskCompleted
from penstock.core.isolation import CommitMode
from penstock.core.states import State, StateType
from penstock.core.verdicts import COMMIT
from penstock.engine.live import LiveRun
from penstock.engine.outcome import Path
from penstock.engine.replay import Replay, plain_key
from penstock.engine.tasks import state_of_value
from penstock.engine.transactions.blocks import Transaction
from penstock.engine.transactions.caching import CacheUse, Hit
from penstock.engine.transactions.closing import Block
from penstock.engine.transactions.entries import Entry, hooks_of, staged
from penstock.engine.transactions.keys import drop, give_back
from penstock.engine.transactions.ledgers import Kept
from penstock.engine.waits import Call, called

_COMPLETED = StateType.COMPLETED


class Around:
    """Around one step, while it is executed.

    Attributes:
        block: what it is done in, if that waits for its own end.
        transaction: what its hooks are given.
        hit: what was found in the cache.
    """

    __slots__ = ("_entry", "_noted", "block", "cache", "call", "hit", "scope", "transaction")

    def __init__(self, call: Any, scope: Scope) -> None:
        self.call = call
        self.scope = scope
        self.block = _block_of(current_transaction.get())
        self.transaction = transaction_of(call, self.block)
        self.cache = CacheUse(call, self.transaction) if call.task.caching is not None else None
        self.hit: Hit | None = None
        self._entry: Entry | None = None
        self._noted = False

    def called(self, call: Call) -> Path[Any]:
        """What the call gives; or what is in the cache, without calling."""
        if self.cache is not None:
            self.hit = yield from self.cache.look(self.scope)
            if self.hit is not None:
                return self.hit
        token = current_transaction.set(self.transaction)
        try:
            return (yield from called(call))
        finally:
            current_transaction.reset(token)

    def outcome_of(self, value: Any) -> State:
        """The state of what the call, or the cache, gave."""
        return state_of_value(value) if self.hit is None else State(_COMPLETED, "Cached", None, self.hit.value, 0.0)

    def marked(self, command: Finish, data: bytes | None) -> Finish:
        """The end of the step, with what others may do with its result, now or once it is committed."""
        if command.type is not _COMPLETED or self.hit is not None:
            return command
        key = until = None
        if self.cache is not None and command.result is not None and command.result.serializer != "none":
            key, until = self.cache.key, self.cache.until(command.at)
        transaction = self.transaction
        if self.block is None and not transaction.on_commit_hooks:
            return msgspec.structs.replace(command, cache_key=key, cache_until=until)
        place, kept = self.scope.key or "", None
        if self.block is not None and key is not None and command.result is not None:
            kept = Kept(place, self.call.task.name, key, until, command.result, data)
        self._entry = Entry(place, command.at, transaction, kept)
        command = msgspec.structs.replace(command, staged=staged(self._entry, self.call.live))
        if self.block is None:
            command = msgspec.structs.replace(command, cache_key=key, cache_until=until)
        return command

    def ended(self, command: Finish) -> Path[None]:
        """The end is on record: tell the block, or do what is to be done at once."""
        key = self.scope.key or ""
        self._noted = True
        if self.block is not None:
            _take_note(self.block, self.call, key, command.type is _COMPLETED)
            if self._entry is not None:
                self._entry.place = self.block.place_of(self.call.live, key)
                self.block.add(self._entry)
        elif self._entry is not None:
            yield from Block.of_step(self.call.live, self._entry).commit()
        if self.transaction.held:
            yield from give_back(self.transaction, self.call.live)

    def drop(self) -> None:
        """Give back what is still held, and tell the block if something stronger ended the step."""
        if not self._noted and self.block is not None:
            _take_note(self.block, self.call, "", completed=False)
        if self.transaction.held:
            drop(self.transaction)


def transaction_of(call: Any, block: Block | None) -> Transaction:
    """What the hooks of a step are given."""
    made = Transaction(parent=current_transaction.get(), commit_mode=None, block=block)
    made.on_commit_hooks = list(call.task.on_commit_hooks)
    made.on_rollback_hooks = list(call.task.on_rollback_hooks)
    return made


def _block_of(transaction: Any) -> Block | None:
    """The block that waits for its end with what is done inside; None where every step is committed at once."""
    if transaction is None or transaction.commit_mode is CommitMode.EAGER:
        return None
    block: Block | None = transaction.block
    return block


def _take_note(block: Block, call: Any, key: str, completed: bool) -> None:
    """A step of the block, or of a subflow in it, has ended."""
    if not completed:
        block.doomed = block.doomed or call.scope is block.scope
    elif call.scope is block.scope:
        block.steps.append(key)


def check_open(transaction: Any) -> None:
    """A step that is not on record may begin in this transaction; see `Block.check_open`."""
    if transaction.block is not None:
        transaction.block.check_open()


def rejoin(call: Any, state: State) -> Path[None]:
    """A step was answered from its record: its transaction needs to know all the same."""
    live: LiveRun = call.live
    found = live.replay.steps.get(plain_key(call.step.key)) if live.replay is not None else None
    if found is None:
        return
    event = found.stored.event
    key, at = found.state.step.key, event.at
    waited = event.staged if isinstance(event, TaskCompleted) else None
    block = _block_of(current_transaction.get())
    if block is not None:
        _take_note(block, call, key, state.type is _COMPLETED)
        if found.earlier and found.settled == COMMIT:
            return
        if waited is not None:
            block.add(_entry(live, block, call, key, at, waited, found.stored.data))
        for entry in _below(live, block, key, getattr(event, "child", None)):
            block.add(entry)
    elif waited is not None and call.task.on_commit_hooks and not found.earlier:
        entry = _entry(live, None, call, key, at, waited, found.stored.data)
        yield from Block.of_step(live, entry).commit()


def _entry(
    live: LiveRun, block: Block | None, call: Any, key: str, at: int, waited: Staged, data: bytes | None
) -> Entry:
    """A step on record that the code has called again."""
    transaction = transaction_of(call, block)
    transaction.values = _loaded(live, waited)
    found = live.replay.steps.get(plain_key(key)) if live.replay is not None else None
    kept = _kept(found.stored.event, waited, data) if found is not None else None
    return Entry(block.place_of(live, key) if block is not None else key, at, transaction, kept)


def ended_before(live: LiveRun) -> None:
    """The run of a subflow has ended, and the step that called it has not: its code is not executed again."""
    block = _block_of(current_transaction.get())
    if block is not None and live.parent is not None:
        for entry in _in_run(live, block, live.id, f"{block.place_of(live, '')}"):
            block.add(entry)


def _below(live: LiveRun, block: Block, key: str, child: str | None) -> Iterator[Entry]:
    """What a step on record has called that waits for the block, and is not called again."""
    if live.replay is not None:
        yield from _waiting(live, block, live.replay, block.place_of(live, ""), f"{plain_key(key)}/")
    if child is not None:
        yield from _in_run(live, block, child, f"{block.place_of(live, key)}/")


def _in_run(live: LiveRun, block: Block, run_id: str, place: str) -> Iterator[Entry]:
    """What a subflow's run on record has done that waits for the block."""
    replay = Replay(strict=False)
    for stored in live.engine.journal.load(run_id):
        replay.take(stored)
    yield from _waiting(live, block, replay, place, "")


def _waiting(live: LiveRun, block: Block, replay: Replay, place: str, prefix: str) -> Iterator[Entry]:
    """What waits of the steps whose keys begin so, and of their subflows; not what was decided among themselves."""
    for base, found in list(replay.steps.items()):
        if not base.startswith(prefix) or (found.settled is not None and found.decider.startswith(prefix)):
            continue
        event: Any = found.stored.event
        if isinstance(event, TaskCompleted) and event.staged is not None:
            yield _found_entry(live, block, f"{place}{event.step.key}", found.stored, event.staged)
        child = getattr(event, "child", None)
        if child is not None:
            yield from _in_run(live, block, child, f"{place}{event.step.key}/")


def _found_entry(live: LiveRun, block: Block, place: str, stored: Any, waited: Staged) -> Entry:
    transaction = Transaction(parent=block.transaction, block=block)
    transaction.on_commit_hooks = hooks_of(waited.on_commit)
    transaction.on_rollback_hooks = hooks_of(waited.on_rollback)
    transaction.values = _loaded(live, waited)
    return Entry(place, stored.event.at, transaction, _kept(stored.event, waited, stored.data))


def _loaded(live: LiveRun, waited: Staged) -> dict[str, Any]:
    if waited.values is None:
        return {}
    values: dict[str, Any] = live.results.load(waited.values, waited.data)
    return values


def _kept(event: Any, waited: Staged, data: bytes | None) -> Kept | None:
    if waited.cache_key is None or event.result is None:
        return None
    return Kept(event.step.key, event.step.task, waited.cache_key, waited.cache_until, event.result, data)


def subflow_ended(call: Any, key: str, state: State) -> None:
    """A subflow that the code of a block has called has ended."""
    block = _block_of(current_transaction.get())
    if block is not None:
        _take_note(block, call, key, state.type is _COMPLETED)


def submitted(future: Any) -> None:
    """A block waits at its end for what it has submitted."""
    transaction = current_transaction.get()
    if transaction is not None and transaction.block is not None:
        transaction.block.futures.append(future)
