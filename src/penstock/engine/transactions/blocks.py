"""`with transaction():`, as code sees it, inside a run only. What happens at its end is in `closing`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from penstock.core.context import Scope, current_scope, current_transaction, worker
from penstock.core.errors import BadOption, MissingContextError, NotThereYet, WrongProcess
from penstock.core.extras import LateModule
from penstock.core.interruptions import Interruption
from penstock.core.isolation import CommitMode, IsolationLevel, TransactionState
from penstock.engine.outcome import adrive, drive
from penstock.engine.signals import noted, raise_noted, shielded
from penstock.engine.transactions.closing import Block

_NOTHING: Any = object()
_around: Any = LateModule("penstock.engine.transactions.around")
_logs: Any = LateModule("penstock.engine.logs")


class StoredResult:
    """What was stored under the key of a transaction."""

    def __init__(self, result: Any) -> None:
        self.result = result


class BaseTransaction:
    """What was done together: committed together, or undone together.

    Made by `transaction()` and `atransaction()`; the hooks of a task get one that stands for the task.

    Attributes:
        key: under which its staged value is kept for other runs.
        state: how far it has come.
        commit_mode: see `CommitMode`.
        isolation_level: see `IsolationLevel`.
        on_commit_hooks: called when it is committed.
        on_rollback_hooks: called when it is rolled back, the last one first.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        parent: BaseTransaction | None = None,
        commit_mode: CommitMode | str | None = None,
        isolation_level: IsolationLevel | str | None = None,
        overwrite: bool = False,
        write_on_commit: bool = True,
        logger: Any = None,
        block: Block | None = None,
    ) -> None:
        self.key = key
        inherited = parent.commit_mode if parent else CommitMode.LAZY
        self.commit_mode: CommitMode = _choice(CommitMode, commit_mode) or inherited
        level: IsolationLevel | None = _choice(IsolationLevel, isolation_level)
        self.isolation_level = level or IsolationLevel.READ_COMMITTED
        self.overwrite = overwrite
        self.write_on_commit = write_on_commit
        self.state = TransactionState.PENDING
        self.on_commit_hooks: list[Any] = []
        self.on_rollback_hooks: list[Any] = []
        self.staged_value: Any = None
        self.values: dict[str, Any] = {}
        self.block = block
        self.held: dict[str, Any] = {}
        self._parent = parent
        self._logger = logger

    @property
    def logger(self) -> Any:
        """Logs to the run."""
        if self._logger is None:
            self._logger = _logs.get_run_logger()
        return self._logger

    def set(self, name: str, value: Any) -> None:
        """Keep a value for the hooks and the rest of the transaction."""
        self.values[name] = value

    def get(self, name: str, default: Any = _NOTHING) -> Any:
        """A copy of a value that was set here, or in a transaction around this one.

        Raises:
            ValueError: there is none, and no default.
        """
        if name in self.values:
            return copy.deepcopy(self.values[name])
        if self._parent is not None:
            return self._parent.get(name, default)
        if default is _NOTHING:
            raise ValueError(f"Nothing was set under the name {name!r} in this transaction.")
        return default

    def get_parent(self) -> BaseTransaction | None:
        """The transaction around this one."""
        return self._parent

    def is_pending(self) -> bool:
        """It has not begun."""
        return self.state is TransactionState.PENDING

    def is_active(self) -> bool:
        """It is under way."""
        return self.state is TransactionState.ACTIVE

    def is_staged(self) -> bool:
        """A value waits for the end."""
        return self.state is TransactionState.STAGED

    def is_committed(self) -> bool:
        """It is committed: by this run; or, from its beginning, because its key was there."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """It was rolled back."""
        return self.state is TransactionState.ROLLED_BACK

    def stage(
        self, value: Any, on_rollback_hooks: list[Any] | None = None, on_commit_hooks: list[Any] | None = None
    ) -> None:
        """Keep a value under the transaction's key when it is committed; and call these hooks with the others."""
        if self.state is TransactionState.COMMITTED:
            return
        self.staged_value = value
        self.on_rollback_hooks += on_rollback_hooks or []
        self.on_commit_hooks += on_commit_hooks or []
        self.state = TransactionState.STAGED

    def read(self) -> StoredResult | None:
        """What was found under the key when the transaction began.

        Raises:
            ResultUnavailable: it cannot be read back.
        """
        hit = self.block.hit if self.block is not None else None
        if hit is None or self.block is None:
            return None
        return StoredResult(self.block.live.results.load(hit.saved, hit.data))

    def rollback(self) -> bool:
        """Undo, at the end of the block, what was done in it; True where that was not decided before."""
        if self.block is None or self.block.doomed or self.is_committed() or self.is_rolled_back():
            return False
        self.block.doomed = True
        return True

    def commit(self) -> NoReturn:
        """Not there: a transaction is committed at the end of its block.

        Raises:
            NotThereYet: always.
        """
        raise NotThereYet(
            "A transaction is committed at the end of its block, and not by hand.",
            hint="end the block earlier, or commit step by step: transaction(commit_mode=CommitMode.EAGER)",
        )

    def _begin(self, name: str) -> Block:
        if self.block is not None:
            raise BadOption("This transaction has begun already.", hint=f"write `with {name}():` for another one")
        scope = _scope(name)
        parent = current_transaction.get()
        self.block = Block.of_code(self, scope, parent.block if parent is not None else None)
        self.state = TransactionState.ACTIVE
        return self.block


class Transaction(BaseTransaction):
    """A transaction for `with`; see `transaction`."""

    @shielded
    def __enter__(self) -> Transaction:
        block = self._begin("transaction")
        try:
            with _engine_code(None):
                drive(block.open())
            self._token = current_transaction.set(self)
        finally:
            if noted:
                raise_noted()
        return self

    @shielded
    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        current_transaction.reset(self._token)
        assert self.block is not None
        try:
            with _engine_code(error):
                drive(self.block.close(error))
        finally:
            if noted:
                raise_noted()


class AsyncTransaction(BaseTransaction):
    """A transaction for `async with`; see `atransaction`. What it does by hand is awaited."""

    async def read(self) -> StoredResult | None:  # type: ignore[override]
        """See `BaseTransaction.read`."""
        return super().read()

    async def rollback(self) -> bool:  # type: ignore[override]
        """See `BaseTransaction.rollback`."""
        return super().rollback()

    async def commit(self) -> NoReturn:  # type: ignore[override]
        """See `BaseTransaction.commit`."""
        super().commit()

    async def __aenter__(self) -> AsyncTransaction:
        block = self._begin("atransaction")
        await adrive(block.open())
        self._token = current_transaction.set(self)
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        current_transaction.reset(self._token)
        assert self.block is not None
        if isinstance(error, GeneratorExit):  # a coroutine that is closed may not wait for anything
            drive(self.block.close(error))
        else:
            await adrive(self.block.close(error))

    def __enter__(self) -> NoReturn:
        raise BadOption("An atransaction() is for `async with`.", hint="write `async with`, or use transaction()")

    def __exit__(self, *error: Any) -> None:
        """It was never entered."""


def transaction(
    key: str | None = None,
    store: Any = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> Transaction:
    """What is done inside is committed together at the end, or rolled back together when the block raises.

    Args:
        key: what was committed under it, by any run, is not to be done again: see `is_committed()`.
        store: not there yet; values are kept beside the journal.
        commit_mode: LAZY (at the end of the outermost block), EAGER (step by step), OFF (never: it is rolled back);
            like the block around where it is left out.
        isolation_level: SERIALIZABLE lets others that need the same key wait until this block has ended.
        overwrite: do it although the key is there.
        write_on_commit: keep the staged value under the key.
        logger: what hooks log with.

    Example:
        with transaction() as txn:
            write_file(path)  # its on_rollback hook deletes the file
            check_quality(path)  # raises: the file is deleted

    Raises:
        MissingContextError: outside a run.
    """
    return Transaction(**_options(key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger))


def atransaction(
    key: str | None = None,
    store: Any = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> AsyncTransaction:
    """The same for `async with`: hooks may be async too. See `transaction`."""
    return AsyncTransaction(**_options(key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger))


def get_transaction() -> BaseTransaction | None:
    """The transaction around this code: the task's own inside a task; None outside any."""
    found: BaseTransaction | None = current_transaction.get()
    scope = current_scope.get()
    if found is not None or scope is None or scope.info is None or getattr(scope.live, "recorder", None) is None:
        return found
    if not hasattr(scope.live, "engine"):
        return None  # the process of a task: its transaction is its flow's
    if scope.around is None:
        scope.around = _around.Around(scope.info[0], scope)
    own: BaseTransaction = scope.around.transaction
    return own


def _options(key: Any, store: Any, mode: Any, level: Any, overwrite: bool, write: bool, logger: Any) -> dict[str, Any]:
    if store is not None:
        raise NotThereYet(
            "transaction(store=...) is not there yet: values are kept beside the journal.", hint="leave store out"
        )
    if key is not None and (not isinstance(key, str) or not key):
        raise BadOption(f"The key of a transaction must be text, and is {key!r}.", hint='write key="what is done"')
    return {
        "key": key,
        "parent": current_transaction.get(),
        "commit_mode": mode,
        "isolation_level": level,
        "overwrite": overwrite,
        "write_on_commit": write,
        "logger": logger,
    }


def _choice(kind: Any, given: Any) -> Any:
    if given is None:
        return None
    try:
        return kind(given)
    except ValueError:
        raise BadOption(
            f"There is no {kind.__name__} {given!r}.", hint=f"use one of {', '.join(choice.name for choice in kind)}"
        ) from None


def _scope(name: str) -> Scope:
    scope = current_scope.get()
    if scope is None or not hasattr(scope.live, "engine"):
        raise MissingContextError(
            f"{name}() was called {'outside a run' if scope is None else 'in the process of a task'}, and only a run "
            "can record what is committed.",
            hint="call it inside a flow, or inside a task that is executed in the flow's own process",
        )
    if scope.foreign:
        raise WrongProcess()
    if scope.closed:
        raise Interruption(f"{scope.key} has ended; {name}() from its abandoned thread is refused.")
    return scope


@contextmanager
def _engine_code(error: BaseException | None) -> Iterator[None]:
    """Inside, the user's code has called the engine; an interruption that ended the block has arrived."""
    place = getattr(worker, "place", None)
    if place is None:
        yield
        return
    place.leave(isinstance(error, Interruption))
    try:
        yield
    finally:
        place.enter()
