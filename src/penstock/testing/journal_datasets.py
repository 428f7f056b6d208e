"""How a journal must keep datasets: a row for each place, with the latest that is known of it."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from typing import Any

from penstock.core.datasets import (
    CheckFailed,
    CheckPassed,
    DatasetDeclared,
    DatasetForgotten,
    DatasetRead,
    DatasetWritten,
    StoredDataset,
)
from penstock.core.events import Event, Record
from penstock.core.ports import Journal
from penstock.testing.openings import Openings

_PLACE: dict[str, Any] = {"place": "file/lake/raw/orders", "namespace": "file", "path": "/lake/raw/orders"}


def _tell(journal: Journal, *events: Event, place: str = _PLACE["place"]) -> None:
    stream = f"dataset/{place}"
    journal.append(stream, journal.last_seq(stream), [Record(event) for event in events])


def _known(**more: Any) -> StoredDataset:
    empty: dict[str, Any] = {"name": _PLACE["place"], "address": "", "spec": {}, "columns": {}, "version": ""}
    never = ("landed", "rejected", "written_at", "written_by", "read_at", "read_by")
    return StoredDataset(**{**_PLACE, **empty, **dict.fromkeys(never), **more})


class DatasetDuties(Openings):
    """Datasets."""

    def test_no_datasets_yet(self) -> None:
        journal = self.opened()
        assert journal.datasets() == journal.datasets("orders") == []

    def test_a_dataset_that_was_written_and_read(self) -> None:
        journal = self.opened()
        columns = {"id": "int64", "day": "date32[day]"}
        written: dict[str, Any] = {"landed": 3, "rejected": 1, "data_version": "7", "run": "r1", "read": 4}
        _tell(journal, DatasetWritten(at=5, **_PLACE, **written, columns=columns, address="lake:raw/orders"))
        known = {"address": "lake:raw/orders", "columns": columns, "landed": 3, "rejected": 1, "version": "7"}
        once = _known(**known, written_at=5, written_by="r1")
        assert self.again(journal).datasets() == [once]
        _tell(journal, DatasetRead(at=6, **_PLACE, run="r2", rows=3), DatasetWritten(at=7, **_PLACE, landed=1, read=1))
        later = {**known, "landed": 1, "rejected": 0, "version": "", "written_at": 7, "written_by": None}
        assert journal.datasets(_PLACE["place"]) == [_known(**later, read_at=6, read_by="r2")]

    def test_a_dataset_is_called_by_a_name(self) -> None:
        journal = self.opened()
        _tell(journal, DatasetWritten(at=1, **_PLACE, landed=2, read=2))
        _tell(journal, DatasetDeclared(at=2, **_PLACE, name="orders", address="lake:raw/orders", spec={"keys": ["id"]}))
        declared = {"name": "orders", "address": "lake:raw/orders", "spec": {"keys": ["id"]}}
        here = _known(**declared, landed=2, rejected=0, written_at=1)
        assert journal.datasets("orders") == journal.datasets(_PLACE["place"]) == journal.datasets() == [here]
        assert journal.datasets("order") == []

    def test_a_name_moves_to_another_place(self) -> None:
        journal = self.opened()
        _tell(journal, DatasetDeclared(at=1, **_PLACE, name="orders", address="lake:raw/orders", spec={}))
        other = {"place": "s3://b/orders", "namespace": "s3://b", "path": "orders"}
        moved = DatasetDeclared(at=2, **other, name="orders", address="", spec={}, moved=_PLACE["place"])
        _tell(journal, moved, place=other["place"])
        assert [(one.name, one.place) for one in journal.datasets()] == [
            (_PLACE["place"], _PLACE["place"]),
            ("orders", "s3://b/orders"),
        ]
        assert [one.place for one in journal.datasets("orders")] == ["s3://b/orders"]

    def test_what_checks_have_found_is_read_back(self) -> None:
        journal = self.opened()
        passed = CheckPassed(at=1, dataset="orders", rows=3, good=3, verdicts={"unique(id)": "passed"})
        failures, verdicts = {"zoë's rule": 2}, {"zoë's rule": "failed"}
        failed = CheckFailed(at=2, dataset="orders", severity="warning", failures=failures, verdicts=verdicts)
        journal.append("check/orders", 0, [Record(passed), Record(failed)])
        journal.append("check/x", 0, [Record(CheckFailed(at=3, dataset="x", severity="error", quarantined=2))])
        again = self.again(journal)
        assert [stored.event for stored in again.load("check/orders")] == [passed, failed]
        found = again.read_back(types=["CheckFailed"])
        assert [stored.event.dataset for stored in found] == ["x", "orders"]  # type: ignore[attr-defined]
        assert again.datasets() == []

    def test_a_dataset_that_was_forgotten(self) -> None:
        journal = self.opened()
        _tell(journal, DatasetRead(at=1, **_PLACE), DatasetForgotten(at=2, place=_PLACE["place"]))
        assert journal.datasets() == []
        _tell(journal, DatasetRead(at=3, **_PLACE))
        assert journal.datasets() == [_known(read_at=3)]
