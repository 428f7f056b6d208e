"""How a journal must keep files that were sent in: listed as they came, and kept while a run was given one."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from penstock.core.events import Record, RunCreated, Saved
from penstock.core.uploads import FileDeleted, FileUploaded, StoredFile, ref_of
from penstock.testing.openings import Openings
from penstock.testing.samples import HOSTILE

_ID = "0199aaaa-bbbb-7ccc-8ddd-{:012d}"


def uploaded(number: int, name: str = "a.csv", tags: tuple[str, ...] = ()) -> FileUploaded:
    """A file, by its number."""
    return FileUploaded(
        at=number, id=_ID.format(number), name=name, size=1 << 40, digest="0f" * 32, media_type="text/plain", tags=tags,
        by="ann",
    )  # fmt: skip


class UploadDuties(Openings):
    """Files."""

    def test_no_files_yet(self) -> None:
        journal = self.opened()
        assert journal.files() == journal.files("nothing") == []

    def test_files_are_listed_newest_first_until_they_are_deleted(self) -> None:
        journal = self.opened()
        for number, tags in enumerate([("etl",), ("etl", "ml"), ()], 1):
            event = uploaded(number, HOSTILE["emoji"], tags)
            journal.append(f"file/{event.id}", 0, [Record(event)])
        again = self.again(journal)
        assert [each.at for each in again.files()] == [3, 2, 1]
        assert again.files(_ID.format(2)) == [
            StoredFile(
                id=_ID.format(2), name=HOSTILE["emoji"], size=1 << 40, digest="0f" * 32, media_type="text/plain",
                tags=("etl", "ml"), at=2, uploaded_by="ann",
            )
        ]  # fmt: skip
        assert [each.at for each in again.files([_ID.format(3), "nothing", _ID.format(1)])] == [3, 1]
        assert again.files([]) == []
        assert [each.at for each in journal.files(before=_ID.format(3), limit=1)] == [2]
        assert [each.at for each in journal.files(tags=["etl"])] == [2, 1]
        assert [each.at for each in journal.files(tags=["ml", "nothing"])] == [2]
        assert journal.files(tags=["ET", "tl", "ETL"]) == journal.files(tags=[]) == []
        journal.append(f"file/{_ID.format(2)}", 1, [Record(FileDeleted(at=4, id=_ID.format(2)))])
        assert [each.at for each in journal.files()] == [3, 1]

    def test_a_file_is_used_as_long_as_a_run_is_there_that_was_given_it(self) -> None:
        journal = self.opened()
        refs = [ref_of(_ID.format(number)) for number in (1, 2, 3)]
        given = {"rows": [{"$file": _ID.format(1)}], "no": {"$file": "../etc"}, "is": {"$literal": {"$file": refs[1]}}}
        run = RunCreated(at=1, flow="f", name="n", due_at=1, pool="p", shown=given, parameters=Saved("json", 2))
        journal.append("run-1", 0, [Record(run, b"{}")])
        assert journal.unused(refs) == set(refs[1:])
        journal.delete(["run-1"])
        assert journal.unused(refs) == set(refs)
