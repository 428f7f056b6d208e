"""`with journal_transaction():` - what a step writes in the journal's database is committed with the step's own end.

The step writes on a connection of its own. When its function has returned, the record of its end is appended on that
same connection, and there is one commit: after a crash both are there, or neither. The number of the record fences it:
where another process has taken the run over, the append fails, and what was written is rolled back.
"""

from __future__ import annotations

from typing import Any

from penstock.core.context import Scope, current_scope
from penstock.core.decisions import TaskState
from penstock.core.errors import MissingContextError, StepTransactionFailed, WrongProcess
from penstock.core.interruptions import Interruption
from penstock.core.states import State, StateType
from penstock.engine.ends import finish_step
from penstock.engine.outcome import Path
from penstock.engine.tasks import StepCall, failed_state
from penstock.engine.waits import Commit


class journal_transaction:
    """A connection to the journal's PostgreSQL database, whose transaction commits when the step has ended.

    Inside a task. What is written is there exactly once: it is committed together with the record that the step has
    completed, and rolled back when the step fails, is retried, or its process dies. A block that raises undoes only
    what was done in it. The connection is psycopg's; it is the same for every block of one attempt.

    Example:
        @task
        def load(rows: list[tuple[int, str]]) -> int:
            with journal_transaction() as connection:
                connection.cursor().executemany("INSERT INTO orders VALUES (%s, %s)", rows)
            return len(rows)

    Raises:
        ConfigurationError: the journal is not in PostgreSQL.
        MissingContextError: outside a task.
    """

    _block: Any = None

    def __enter__(self) -> Any:
        scope = _scope()
        if scope.joined is None:
            scope.joined = scope.live.engine.journal.join()
        self._block = scope.joined.block()
        return self._block.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._block.__exit__(*error)


def _scope() -> Scope:
    scope = current_scope.get()
    if scope is None or scope.key is None or not hasattr(scope.live, "engine"):
        raise MissingContextError(
            "journal_transaction() was called outside a task of this process.",
            hint="call it inside a task that runs in a thread: its end is what the transaction is committed with",
        )
    if scope.foreign:
        raise WrongProcess()
    if scope.closed:
        raise Interruption(f"{scope.key} has ended; a transaction of its abandoned thread is refused.")
    return scope


def settled(call: StepCall, scope: Scope, state: TaskState, outcome: State, started: int) -> Path[tuple[State, bool]]:
    """Commit what a step has written together with its end, or roll it back.

    Returns:
        The outcome, and whether the step has ended with it.
    """
    joined = scope.joined
    try:
        if outcome.type is StateType.COMPLETED:
            ended = yield from finish_step(call, state, outcome, started, scope=scope)
            scope.joined = None
            return ended, True
    except StepTransactionFailed as error:
        outcome = failed_state(error, "Task run")
    scope.joined = None
    yield Commit(True, joined.undo)
    return outcome, False
