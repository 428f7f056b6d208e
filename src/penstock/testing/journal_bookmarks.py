"""How a journal must keep bookmarks: whole, the last one only, and for one owner at a time."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading

from penstock.testing.openings import Openings


class BookmarkDuties(Openings):
    """Bookmarks."""

    def test_no_bookmark_yet(self) -> None:
        journal = self.opened()
        assert journal.bookmark("logs/a") is None
        assert not journal.drop_bookmark("logs/a")

    def test_bookmarks_are_kept_whole(self) -> None:
        journal = self.opened()
        every_byte = bytes(range(256)) * 1000
        assert journal.keep_bookmark("logs/a", 0, every_byte)
        assert journal.keep_bookmark("logs/b", 0, b"")
        found = self.again(journal).bookmark("logs/a")
        assert found is not None
        assert (found.seq, found.data) == (1, every_byte)
        assert found.saved_at > 0

    def test_the_last_one_counts(self) -> None:
        journal = self.opened()
        for seq in range(3):
            assert journal.keep_bookmark("logs/a", seq, b"%d" % seq)
        found = journal.bookmark("logs/a")
        assert found is not None
        assert (found.seq, found.data) == (3, b"2")

    def test_somebody_else_was_there(self) -> None:
        journal = self.opened()
        assert not journal.keep_bookmark("logs/a", 1, b"of nothing")
        assert journal.bookmark("logs/a") is None
        assert journal.keep_bookmark("logs/a", 0, b"mine")
        for wrong in (0, 2):
            assert not journal.keep_bookmark("logs/a", wrong, b"late")
        found = journal.bookmark("logs/a")
        assert found is not None
        assert (found.seq, found.data) == (1, b"mine")

    def test_a_bookmark_that_is_dropped_begins_anew(self) -> None:
        journal = self.opened()
        journal.keep_bookmark("logs/a", 0, b"one")
        assert journal.drop_bookmark("logs/a")
        assert not journal.keep_bookmark("logs/a", 1, b"late")
        assert journal.keep_bookmark("logs/a", 0, b"two")

    def test_of_several_at_once_one_keeps_it(self) -> None:
        journal = self.opened()
        kept: list[int] = []
        ready = threading.Barrier(4)

        def keep(number: int) -> None:
            ready.wait()
            if journal.keep_bookmark("logs/a", 0, b"%d" % number):
                kept.append(number)

        threads = [threading.Thread(target=keep, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = journal.bookmark("logs/a")
        assert found is not None
        assert kept == [int(found.data)]
