"""A transaction with an answer, carried out once although the connection may be lost at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from penstock.journal.access import Changed, Execute
from penstock.journal.postgres.failures import Lost, Refused
from penstock.journal.postgres.link import Session, rows_of
from penstock.journal.text import storable_values

T = TypeVar("T")

_UNIQUE = "23505"


class Once(Generic[T]):
    """Work under a lock; a `Link` calls this again when the connection was lost.

    Only the server knows whether a commit whose answer was lost has happened, so it is asked what became of the
    transaction. Work that finds that others changed what it reads is done again at once.
    """

    def __init__(self, lock: str, work: Callable[[Execute], T]) -> None:
        self._lock = f"penstock/{lock}"
        self._work = work
        self._number: str | None = None
        self._answer: list[T] = []

    def __call__(self, session: Session, deadline: float, lost: bool) -> T:
        """Do the work, or give its answer when it was done."""
        if lost and self._number is not None:
            sql = "SELECT pg_xact_status(CAST(CAST(? AS TEXT) AS XID8))"
            became = rows_of(session.query(sql, (self._number,), deadline))[0][0]
            if became == "in progress":
                raise Lost("the transaction is still under way")
            if became == "committed" and self._answer:
                return self._answer[0]
        while True:
            try:
                return self._do(session, deadline)
            except Changed:
                continue
            except Refused as error:
                if error.sqlstate != _UNIQUE:
                    raise

    def _do(self, session: Session, deadline: float) -> T:
        def execute(sql: str, values: Sequence[Any] = ()) -> list[Any]:
            return rows_of(session.query(sql, storable_values(values), deadline))

        self._number, self._answer = None, []
        with session.transaction(deadline):
            locked = "SELECT pg_advisory_xact_lock(hashtextextended(?, 0)), pg_current_xact_id()::text"
            self._number = execute(locked, (self._lock,))[0][1]
            self._answer.append(self._work(execute))
        return self._answer[0]
