"""Changes accounts, keys, sessions and a workflow, on and on, each change with its entry in the audit."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from penstock.control.auth import ACTOR, Actor, auth_of
from penstock.control.auth import passwords as hashing
from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record, now_us
from penstock.core.plans import LimitDeclared, stream_of
from penstock.engine.connections.shelf import shelf_at
from penstock.journal import SqliteJournal


def main(home: Path, name: str) -> None:
    """Work until killed; a line for each round."""
    journal = SqliteJournal(home / "journal.db")
    auth = auth_of(journal, lambda audited: shelf_at(home, home, lambda: audited))
    hashing.hashed = lambda password: "none"  # what takes long is not what is looked at here
    ACTOR.set(Actor(name))
    for number in range(10_000):
        user = f"{name}-{number}"
        auth.accounts.create(user, "viewer")
        key = auth.keys.create(user)
        tokens = auth.sessions.open(auth.accounts.get(user), Actor("nobody"))
        assert tokens.refresh is not None
        auth.sessions.refresh(tokens.refresh, Actor("nobody"))
        stream = stream_of("limit", user)
        auth.journal.append(stream, 0, [Record(LimitDeclared(at=now_us(), name=user, slots=number))])
        seq = journal.last_seq(stream_of("limit", "shared"))
        told = LimitDeclared(at=now_us(), name="shared", slots=number)
        with suppress(SequenceConflict):  # the other one was faster
            auth.journal.commit([Append(stream_of("limit", "shared"), seq, [Record(told)])])
        if number % 3 == 0:
            auth.keys.revoke(key.key.id)
        if number % 5 == 0:
            auth.accounts.delete(user)
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
