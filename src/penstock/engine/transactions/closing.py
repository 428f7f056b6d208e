"""Transactions at work: what was done inside, and how it is committed or rolled back. See ADR 0012.

What the code says in `with transaction():` is in `blocks`; what is on record, in `ledgers`.
"""

from __future__ import annotations

import os
from typing import Any

from penstock.core.context import Scope
from penstock.core.errors import ReplayDiverged, ResultError
from penstock.core.events import Record, now_us
from penstock.core.interruptions import Interruption, RunCancelled
from penstock.core.isolation import CommitMode, IsolationLevel, TransactionState
from penstock.core.verdicts import COMMIT, ROLLBACK
from penstock.engine.live import LiveRun
from penstock.engine.logs import engine_logger
from penstock.engine.outcome import Path
from penstock.engine.replay import plain_key
from penstock.engine.transactions.caching import Hit, storable_key
from penstock.engine.transactions.entries import Entry, Unkeyed, staged
from penstock.engine.transactions.keys import drop, give_back, hold
from penstock.engine.transactions.ledgers import TASK, Kept, Ledger
from penstock.engine.waits import Commit, Futures

_PATIENCE_SECONDS = 5.0
"""How long the steps of a block may take to end, once its run is to end."""


class Block:
    """A `with transaction():` that is being executed; or a step that is a transaction of its own.

    Attributes:
        transaction: what the code has in hand.
        scope: numbers the calls of its code; None for a step's.
        parent: the block around it.
        entries: what was done inside, by place.
        steps: keys of the steps that its own code called.
        futures: of the steps it has submitted.
        doomed: something inside has failed; it will be rolled back.
        hit: the value that was there under its key.
    """

    def __init__(self, transaction: Any, ledger: Ledger, scope: Scope | None, parent: Block | None) -> None:
        self.transaction = transaction
        self.ledger = ledger
        self.scope = scope
        self.live: LiveRun = ledger.live
        self.parent = parent
        self.entries: dict[str, Entry] = {}
        self.steps: list[str] = []
        self.futures: list[Any] = []
        self.doomed = False
        self.hit: Hit | None = None

    @classmethod
    def of_code(cls, transaction: Any, scope: Scope, parent: Block | None) -> Block:
        """Of a `with` block."""
        number = scope.calls[TASK] = scope.calls.get(TASK, 0) + 1
        base = f"{scope.prefix}{TASK}#{number}"
        return cls(transaction, Ledger(scope.live, base, transaction.key or TASK, scope.key), scope, parent)

    @classmethod
    def of_step(cls, live: LiveRun, entry: Entry) -> Block:
        """Of a step that has ended outside any block."""
        made = cls(Unkeyed(), Ledger(live, f"{entry.place}/{TASK}", TASK, entry.place), None, None)
        made.steps.append(entry.place)
        made.add(entry)
        return made

    @property
    def collects(self) -> bool:
        """What is done inside waits for its end."""
        return self.transaction.commit_mode is not CommitMode.EAGER

    def place_of(self, live: LiveRun, key: str) -> str:
        """Where a step is, seen from this block's run."""
        while live is not self.live and live.parent is not None:
            key, live = f"{live.parent_key}/{key}", live.parent
        return key

    def check_open(self) -> None:
        """What was decided in an earlier process stands: no step begins any more.

        Raises:
            ReplayDiverged: it is committed, and the code does more than it did then.
            BaseException: for which it is rolled back.
        """
        block: Block | None = self
        while block is not None:
            ledger = block.ledger
            if ledger.verdict == ROLLBACK:
                raise ledger.error() or Interruption(f"{ledger.key} was rolled back.")
            if ledger.verdict == COMMIT:
                error = ReplayDiverged(f"{ledger.key} was committed, and its block now calls more than it did.")
                if block.live.replay is not None:
                    block.live.replay.diverged = error
                raise error
            block = block.parent

    def open(self) -> Path[None]:
        """Look for the key, and hold it, where there is one."""
        transaction, live, ledger, scope = self.transaction, self.live, self.ledger, self.scope
        if transaction.key is None or scope is None:
            return
        ordinal = self._ordinal()
        key = storable_key(transaction.key)
        if transaction.isolation_level is IsolationLevel.SERIALIZABLE and not ledger.decided:
            yield from hold(transaction, live, scope.key, key, lambda: scope.closed)
        if ledger.verdict is None:
            entry = None
            if not transaction.overwrite:
                entry = yield Commit(live.remote, live.engine.journal.cached, key, now_us())
            if entry is not None and not live.results.renew(entry.saved):
                entry = None
            saved, data = (entry.saved, entry.data) if entry is not None else (None, None)
            yield from ledger.open(ordinal, saved, data)
        else:
            saved, data = ledger.found_value() or (None, None)
        if saved is not None:
            self.hit = Hit(None, saved, data)
            transaction.state = TransactionState.COMMITTED

    def add(self, entry: Entry) -> None:
        """Something was done inside."""
        self.entries[entry.place] = entry

    def close(self, error: BaseException | None) -> Path[None]:
        """The block has come to its end: commit it, roll it back, or leave that to the block around.

        Raises:
            BaseException: for which it was rolled back by an earlier process, where the code does not raise it now.
        """
        if self.leaves(error):
            self._drop_keys()
            return
        if self.live.root.interruption is not None:
            self.live.engine.unwinds(self.live.root)
        try:
            yield from self._wait(error)
            if self.ledger.decided:
                yield from self._as_decided(error)
            elif error is not None or self.doomed:
                yield from self.roll_back(error)
            elif self.transaction.commit_mode is CommitMode.EAGER:
                yield from self.commit()
            elif self.parent is not None:
                yield from self._join(self.parent)
            elif self.transaction.commit_mode is CommitMode.OFF:
                yield from self.roll_back(None)
            else:
                yield from self.commit()
            if self.parent is None:
                yield from give_back(self.transaction, self.live)
        finally:
            self._drop_keys()

    def _drop_keys(self) -> None:
        if self.parent is None:
            drop(self.transaction)

    def leaves(self, error: BaseException | None) -> bool:
        """This process may not decide it: the run is another's, or goes on later, or its code is not the recorded."""
        live = self.live
        if os.getpid() != live.engine.pid or live.recorder.fault is not None or live.recorder.state.ended:
            return True
        if live.root.suspended or isinstance(error, ReplayDiverged):
            return True
        if self.scope is not None and self.scope.closed:
            return True
        if live.replay is not None and live.replay.diverged is not None:
            return True
        return isinstance(error, Interruption) and not isinstance(live.root.interruption, RunCancelled)

    def _wait(self, error: BaseException | None) -> Path[None]:
        """Until the steps that the block has submitted have ended; not for ever, where the run is to end."""
        left = [future for future in self.futures if not future.done()]
        if not left:
            return
        if error is None or isinstance(error, Exception):
            yield Futures(left)
            return
        self.live.stop_runner(kill=True)
        for future in left:
            yield Commit(True, future.wait, _PATIENCE_SECONDS)
        late = [future.key for future in left if not future.done()]
        if late:
            engine_logger().error("%s did not end in time; what they do is not rolled back.", ", ".join(late))

    def _as_decided(self, error: BaseException | None) -> Path[None]:
        ledger = self.ledger
        if ledger.verdict == COMMIT:
            yield from self.commit()
            return
        then = ledger.error()
        yield from self.roll_back(then or error)
        if error is None and then is not None:
            raise then

    def _ordinal(self) -> int:
        """The place of what is recorded next, among the calls of its scope."""
        if self.scope is None:
            return 0
        self.scope.ordinal += 1
        return self.scope.ordinal

    def _join(self, parent: Block) -> Path[None]:
        """The block around takes what was done here for its own."""
        own = self._own_entry()
        try:
            own.kept = self._kept()
        except ResultError as problem:
            yield from self._not_kept(problem)
            return
        here = self.scope is parent.scope
        if self.ledger.verdict is not None or (not here and any(own.hooks.values())):
            yield from self.ledger.join(self._ordinal(), staged(own, self.live), own.kept)
            self.steps.append(self.ledger.key)
        self.add(own)
        for entry in self.entries.values():
            entry.place = parent.place_of(self.live, entry.place)
            parent.add(entry)
        parent.futures += self.futures
        if here:
            parent.steps += self.steps
        self.entries = {}

    def _not_kept(self, problem: ResultError) -> Path[None]:
        engine_logger().warning("%s is rolled back: %s", self.ledger.key, problem.message)
        yield from self.roll_back(problem)

    def _own_entry(self) -> Entry:
        """What is to be called for the block itself: after what was done in it, when it is committed."""
        return Entry(self.ledger.key, now_us(), self.transaction)

    def _in_order(self) -> list[Entry]:
        return sorted(self.entries.values(), key=lambda entry: entry.at)

    def _kept(self) -> Kept | None:
        """The value that is kept under the transaction's own key.

        Raises:
            ResultNotSaved: it cannot be.
        """
        transaction = self.transaction
        if transaction.key is None or not transaction.write_on_commit or self.hit is not None:
            return None
        saved, data = self.live.results.save(transaction.staged_value)
        return Kept(self.ledger.key, TASK, storable_key(transaction.key), None, saved, data)

    def commit(self) -> Path[None]:
        """Call every commit hook, in order, and let others have the results."""
        ledger, own = self.ledger, self._own_entry()
        if not ledger.ended:
            try:
                own.kept = self._kept()
            except ResultError as problem:
                yield from self._not_kept(problem)
                return
        self.add(own)
        entries = self._in_order()
        refused: set[str] = set()

        def results() -> list[Record]:
            at = now_us()
            kept = [entry.kept for entry in entries if entry.kept is not None and entry.place not in refused]
            return [each.record(at) for each in kept]

        hooks = any(entry.hooks["on_commit"] for entry in entries)
        yield from ledger.decide(self._ordinal(), COMMIT, tuple(self.steps), None, hooks=hooks, end=results)
        if not ledger.ended:
            for entry in entries:
                if not (yield from self._call(entry, "on_commit")):
                    refused.add(entry.place)
                    yield from self._refuse(entry)
            yield from ledger.end(COMMIT, None, results())
        for entry in entries:
            entry.transaction.state = TransactionState.COMMITTED
        self.transaction.state = TransactionState.COMMITTED

    def _refuse(self, entry: Entry) -> Path[None]:
        """A hook did not let it be committed, so it is rolled back; what else the block did is not."""
        replay = self.live.replay
        known = replay.steps.get(plain_key(entry.place)) if replay is not None else None
        if known is None or known.settled != ROLLBACK:
            yield from self.ledger.undo(entry.place)
        yield from self._call(entry, "on_rollback", reverse=True)
        entry.transaction.state = TransactionState.ROLLED_BACK

    def roll_back(self, error: BaseException | None) -> Path[None]:
        """Call every rollback hook, the newest first."""
        ledger = self.ledger
        self.add(self._own_entry())
        entries = self._in_order()[::-1]
        hooks = any(entry.hooks["on_rollback"] for entry in entries)
        yield from ledger.decide(self._ordinal(), ROLLBACK, tuple(self.steps), error, hooks=hooks, end=list)
        if not ledger.ended:
            engine_logger().warning("%s is rolled back.", ledger.key)
            for entry in entries:
                yield from self._call(entry, "on_rollback", reverse=True)
            yield from ledger.end(ROLLBACK, error, [])
        for entry in entries:
            entry.transaction.state = TransactionState.ROLLED_BACK
        self.transaction.state = TransactionState.ROLLED_BACK
        if self.parent is not None:
            self.parent.doomed = True

    def _call(self, entry: Entry, kind: str, reverse: bool = False) -> Path[bool]:
        """Call its hooks of this kind, until one raises; False when one has."""
        hooks = list(enumerate(entry.hooks[kind]))
        for number, hook in reversed(hooks) if reverse else hooks:
            if not (yield from self.ledger.call(kind, entry.place, number, hook, entry.transaction)):
                return False
        return True
