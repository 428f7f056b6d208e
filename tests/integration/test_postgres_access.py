"""Accounts, sessions and the audit of two servers on one PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.control.auth import ACTOR, Actor, Auth, auth_of, reading
from penstock.control.auth.keys import digest
from penstock.core.audit import STREAM
from penstock.core.clock import now_us
from penstock.core.errors import AccountConflict, NotSignedIn
from penstock.core.events import Record
from penstock.core.plans import LimitDeclared
from penstock.engine.connections.shelf import shelf_at
from penstock.journal.postgres import PostgresJournal

pytestmark = pytest.mark.integration
NOBODY = Actor("nobody", address="10.0.0.1")
PASSWORD = "correct horse battery"


@pytest.fixture
def both(postgres_url: str, tmp_path: Path) -> Iterator[tuple[Auth, Auth]]:
    journals = [PostgresJournal(postgres_url) for _ in range(2)]

    def auth(journal: PostgresJournal) -> Auth:
        return auth_of(journal, lambda audited: shelf_at(tmp_path, tmp_path, lambda: audited))

    yield auth(journals[0]), auth(journals[1])
    for journal in journals:
        journal.close()


def test_one_signs_in_and_the_other_knows(both: tuple[Auth, Auth]) -> None:
    here, there = both
    here.accounts.create("ann", "admin", password=PASSWORD)
    with pytest.raises(AccountConflict):
        there.accounts.create("ann", "viewer", password=PASSWORD)
    first = there.sessions.sign_in("ann", PASSWORD, NOBODY)
    assert here.gate.enter(f"Bearer {first.access}").name == "ann"
    assert first.refresh is not None
    second = here.sessions.refresh(first.refresh, NOBODY)
    assert second.refresh is not None
    there.sessions.refresh(second.refresh, NOBODY)
    with pytest.raises(NotSignedIn, match="used before"):
        there.sessions.refresh(first.refresh, NOBODY)
    for tokens in (first, second):
        with pytest.raises(NotSignedIn):
            here.gate.enter(f"Bearer {tokens.access}")
    key = there.keys.create("ann").text
    assert here.gate.enter(f"Bearer {key}").role == "admin"
    assert here.signing.rotate() == 1
    fresh = here.sessions.sign_in("ann", PASSWORD, NOBODY).access
    assert there.gate.enter(f"Bearer {fresh}").name == "ann"
    assert reading.verify(here.log.journal).sound


def test_of_those_who_use_a_refresh_token_at_once_one_goes_on(both: tuple[Auth, Auth]) -> None:
    both[0].accounts.create("ann", "admin", password=PASSWORD)
    text = both[0].sessions.sign_in("ann", PASSWORD, NOBODY).refresh or ""
    start = threading.Barrier(4)

    def use(auth: Auth) -> str:
        start.wait()
        return auth.sessions.refresh(text, NOBODY).refresh or ""

    with ThreadPoolExecutor(4) as threads:
        got = [*threads.map(use, both * 2)]
    assert len({*got}) == 4
    (kept,) = both[0].log.journal.credentials(kind="session")
    (good,) = [each for each in got if digest(each).encode() in kept.data]
    for auth, each in zip(both * 2, [each for each in got if each != good], strict=False):
        with pytest.raises(NotSignedIn):
            auth.sessions.refresh(each, NOBODY)
        assert auth.log.journal.credentials(kind="session") == [], "who of them stole it, nobody knows"


def test_what_both_change_is_in_one_chain(both: tuple[Auth, Auth]) -> None:
    start = threading.Barrier(4)
    failed: list[BaseException] = []

    def change(auth: Auth, number: int) -> None:
        token = ACTOR.set(Actor(f"thread-{number}", agent="x\ud800\x00y"))
        start.wait()
        try:
            for place in range(8):
                told = LimitDeclared(at=now_us(), name=f"{number}-{place}", slots=1)
                auth.journal.append(f"limit/{number}-{place}", 0, [Record(told)])
        except BaseException as error:
            failed.append(error)
        finally:
            ACTOR.reset(token)

    threads = [threading.Thread(target=change, args=(auth, number)) for number, auth in enumerate(both * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    journal = both[0].log.journal
    found = reading.verify(journal)
    assert (found.sound, found.entries, journal.last_seq(STREAM)) == (True, 32, 32)
    assert len(journal.limits()) == 32
