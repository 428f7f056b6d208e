"""How a journal must keep saved connections: sealed, beside the events, and gone when they are overwritten."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Event, Record
from penstock.core.ports import Journal
from penstock.core.sealed import ConnectionDeleted, ConnectionResealed, ConnectionSaved, SealedConnection
from penstock.testing.openings import Openings
from penstock.testing.samples import bare, refused


def kept(name: str, sealed: bytes, seq: int = 1, **more: str) -> SealedConnection:
    """The row of a saved connection."""
    given = {"type": "postgres", "key": "k1", **more}
    return SealedConnection(name=name, sealed=sealed, seq=seq, saved_at=seq * 1_000_000, **given)


def saved(name: str, seq: int = 0, event: Event | None = None) -> Append:
    """What is told of saving it, after this record of its stream."""
    event = event or ConnectionSaved(at=1, name=name, type="postgres", key="k1")
    return Append(f"connection/{name}", seq, [Record(event)])


class ConnectionDuties(Openings):
    """Saved connections."""

    def test_no_connections_yet(self) -> None:
        journal = self.opened()
        assert journal.connections() == journal.connections("warehouse") == []

    def test_connections_are_kept(self) -> None:
        journal = self.opened()
        every_byte = bytes(range(256))
        second, first = kept("warehouse", every_byte, type="sql", key="k2"), kept("api", b"\0")
        journal.keep_connection(saved("warehouse"), second)
        journal.keep_connection(saved("api"), first)
        assert self.again(journal).connections() == [first, second]
        assert journal.connections("warehouse") == [second]
        assert journal.connections("ware") == []

    def test_what_is_sealed_is_in_no_event(self) -> None:
        journal = self.opened()
        journal.keep_connection(saved("a"), kept("a", b"sealed once"))
        told = ConnectionResealed(at=2, name="a", key="k2")
        journal.keep_connection(saved("a", 1, told), kept("a", b"sealed twice", 2, key="k2"))
        journal.drop_connection(saved("a", 2, ConnectionDeleted(at=3, name="a")), "a")
        found = [bare(stored) for stored in journal.load("connection/a")]
        first = ConnectionSaved(at=1, name="a", type="postgres", key="k1")
        assert found == [(1, first, None), (2, told, None), (3, ConnectionDeleted(at=3, name="a"), None)]
        assert [bare(stored) for stored in self.settled(journal, 0, 3)] == found

    def test_a_connection_that_is_overwritten(self) -> None:
        journal = self.opened()
        journal.keep_connection(saved("a"), kept("a", b"one"))
        journal.keep_connection(saved("b"), kept("b", b"other"))
        journal.keep_connection(saved("a", 1), kept("a", b"two", 2, type="http", key="k9"))
        assert journal.connections() == [kept("a", b"two", 2, type="http", key="k9"), kept("b", b"other")]

    def test_a_connection_that_is_deleted(self) -> None:
        journal = self.opened()
        journal.keep_connection(saved("a"), kept("a", b"one"))
        journal.keep_connection(saved("b"), kept("b", b"other"))
        journal.drop_connection(saved("a", 1, ConnectionDeleted(at=2, name="a")), "a")
        assert self.again(journal).connections() == [kept("b", b"other")]
        assert journal.last_seq("connection/a") == 2
        journal.keep_connection(saved("a", 2), kept("a", b"new", 3))
        assert journal.connections("a") == [kept("a", b"new", 3)]

    def test_who_is_too_late_changes_nothing(self) -> None:
        journal = self.opened()
        journal.keep_connection(saved("a"), kept("a", b"one"))
        for seq in (0, 2, 7):
            with refused(SequenceConflict):
                journal.keep_connection(saved("a", seq), kept("a", b"late", seq + 1))
            with refused(SequenceConflict):
                journal.drop_connection(saved("a", seq, ConnectionDeleted(at=2, name="a")), "a")
        assert journal.connections() == [kept("a", b"one")]
        assert journal.last_seq("connection/a") == 1

    def test_one_of_two_at_once(self) -> None:
        journal = self.opened()
        outcomes: list[bytes] = []
        gate = threading.Barrier(2)

        def work(mine: Journal, sealed: bytes) -> None:
            gate.wait()
            try:
                mine.keep_connection(saved("a"), kept("a", sealed))
                outcomes.append(sealed)
            except SequenceConflict:
                pass

        threads = [threading.Thread(target=work, args=(self.again(journal), sealed)) for sealed in (b"one", b"two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == 1
        assert journal.connections() == [kept("a", outcomes[0])]
