"""How a journal must keep what decides who may do what, and the audit."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading

import msgspec

from penstock.core.access import Credential
from penstock.core.audit import FIRST, STREAM, Audited, AuditFilter, chained, hash_of
from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import HOSTILE, refused

_ANN = Credential(name="account/ann", owner="ann", data=b"\x00\xff{}")


def told(journal: Journal, who: str = "ann", action: str = "Tried", at: int = 5, target: str = "") -> Append:
    """The next entry of the audit."""
    number = journal.last_seq(STREAM)
    last = next(iter(journal.load(STREAM, number - 1)), None) if number else None
    entry = Audited(at=at, number=0, who=who, action=action, target=target)
    placed = chained(entry, number + 1, getattr(last.event, "hash", "") if last is not None else FIRST)
    return Append(STREAM, number, [Record(placed)])


class AccessDuties(Openings):
    """Credentials and the audit."""

    def test_no_credentials_yet(self) -> None:
        journal = self.opened()
        assert journal.credentials() == journal.credentials(["account/ann"]) == journal.credentials(kind="key") == []
        assert journal.audit(AuditFilter()) == []

    def test_credentials_are_found_by_name_kind_and_owner(self) -> None:
        journal = self.opened()
        key = Credential(name="key/1", owner="ann", data=b"k", until=1 << 60)
        other = Credential(name="key/2", owner="bob", data=HOSTILE["emoji"].encode())
        journal.keep_credentials(told(journal), [_ANN, key, other])
        again = self.again(journal)
        kept = [msgspec.structs.replace(each, seq=1) for each in (_ANN, key, other)]
        assert again.credentials() == kept
        assert again.credentials(["key/2", "account/ann", "key/nobody"]) == [kept[0], kept[2]]
        assert again.credentials(kind="key") == kept[1:]
        assert again.credentials(kind="ke") == again.credentials(kind="account/ann") == []
        assert again.credentials(kind="key", owner="bob") == [kept[2]]
        assert again.credentials(["key/1"], owner="bob") == []

    def test_a_credential_is_changed_only_as_it_is(self) -> None:
        journal = self.opened()
        journal.keep_credentials(told(journal), [_ANN])
        first = journal.credentials()[0]
        journal.keep_credentials(told(journal), [msgspec.structs.replace(first, data=b"2", owner="eve")])
        assert journal.credentials() == [Credential(name="account/ann", owner="eve", data=b"2", seq=2)]
        before = journal.last_seq(STREAM)
        for stale in (first, _ANN):  # another one by now; there already
            with refused(SequenceConflict):
                journal.keep_credentials(told(journal), [Credential(name="key/9", owner="ann", data=b""), stale])
        with refused(SequenceConflict):
            journal.keep_credentials(told(journal), [], [first])
        assert journal.last_seq(STREAM) == before
        assert [each.data for each in journal.credentials()] == [b"2"]

    def test_what_is_told_and_what_is_kept_go_together(self) -> None:
        journal = self.opened()
        stale = told(journal)
        journal.keep_credentials(told(journal), [_ANN])
        with refused(SequenceConflict):
            journal.keep_credentials(stale, [Credential(name="key/1", owner="ann", data=b"")])
        assert [each.name for each in journal.credentials()] == ["account/ann"]
        journal.keep_credentials(told(journal), (), journal.credentials())
        assert journal.credentials() == []
        assert journal.last_seq(STREAM) == 2

    def test_what_is_over_goes(self) -> None:
        journal = self.opened()
        old = Credential(name="session/1", owner="ann", data=b"", until=10)
        journal.keep_credentials(told(journal, at=5), [old, _ANN])
        assert len(journal.credentials()) == 2
        fresh = Credential(name="session/2", owner="ann", data=b"", until=100)
        journal.keep_credentials(told(journal, at=11), [fresh])
        assert [each.name for each in journal.credentials()] == ["account/ann", "session/2"]

    def test_one_of_many_changes_a_credential(self) -> None:
        journal = self.opened()
        journal.keep_credentials(told(journal), [_ANN])
        first = journal.credentials()[0]
        won: list[int] = []
        start = threading.Barrier(4)

        def change(number: int) -> None:
            start.wait()
            for _ in range(50):
                try:
                    journal.keep_credentials(told(journal), [msgspec.structs.replace(first, data=b"%d" % number)])
                except SequenceConflict:
                    if journal.credentials()[0].seq > 1:
                        return
                else:
                    won.append(number)
                    return

        threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert journal.credentials() == [msgspec.structs.replace(first, data=b"%d" % won[0], seq=2)]

    def test_the_audit_is_listed_newest_first(self) -> None:
        journal = self.opened()
        for at, (who, action, target) in enumerate([("ann", "A", "x"), ("bob", "B", "x"), ("ann", "B", "y")], 1):
            journal.commit([told(journal, who, action, at, target)])
        again = self.again(journal)

        def numbers(**where: object) -> list[int]:
            found = again.audit(AuditFilter(**where))  # type: ignore[arg-type]
            return [each.event.number for each in found if isinstance(each.event, Audited)]

        assert numbers() == [3, 2, 1]
        assert numbers(who="ann") == [3, 1]
        assert numbers(action="B", target="x") == [2]
        assert numbers(since=2, until=3) == [2]
        assert numbers(before=3, limit=1) == [2]
        assert numbers(who="nobody") == []

    def test_an_entry_is_read_as_it_was_hashed(self) -> None:
        journal = self.opened()
        entry = Audited(
            at=1, number=0, who=HOSTILE["emoji"], action="A", before='{"a":1.50,"z":"\\u0000"}', after="\u2028'\"\\",
            detail="\t\n",
        )  # fmt: skip
        journal.commit([Append(STREAM, 0, [Record(chained(entry, 1, FIRST))])])
        (stored,) = self.again(journal).load(STREAM)
        assert isinstance(stored.event, Audited)
        assert stored.event.hash == hash_of(stored.event)
