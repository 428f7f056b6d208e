"""What a journal keeps of datasets: facts in the stream `dataset/PLACE`, and a row for each with the latest of them.

What checks have found is in the stream `check/NAME` of what was checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from penstock.core.events import Event

KIND = "dataset"
CHECKED = "check"
"""What is known of checks is in streams `check/NAME`."""


class DatasetDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """People call what is at a place by a name.

    Attributes:
        place: where it is (`Place`), which tells datasets apart.
        namespace: the first part of the place, as lineage has it.
        path: the second part.
        name: of the dataset.
        address: of the place, for reading it; without passwords.
        spec: keys, partitions, columns, description, owner, tags: what was said of it.
        moved: where the dataset of this name was before.
    """

    stored: ClassVar[str] = "DatasetDeclared"
    place: str
    namespace: str
    path: str
    name: str
    address: str
    spec: dict[str, Any]
    moved: str | None = None


class DatasetForgotten(Event, frozen=True, omit_defaults=True, kw_only=True):
    """It is in no list any more; what is at the place stays."""

    stored: ClassVar[str] = "DatasetForgotten"
    place: str


class _Touched(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody read or wrote it.

    Attributes:
        id: the same reading or writing is recorded once, however often its step is executed.
        address: for reading it; empty where it is not read by an address.
        data_version: the version of the dataset, where it has versions.
        run: that did it.
        step: of the run.
    """

    place: str
    namespace: str
    path: str
    id: str = ""
    address: str = ""
    data_version: str = ""
    run: str | None = None
    step: str | None = None


class DatasetRead(_Touched, frozen=True, omit_defaults=True, kw_only=True):
    """Rows of it were read.

    Attributes:
        rows: how many, where that is known.
        columns: these only; empty for all.
    """

    stored: ClassVar[str] = "DatasetRead"
    rows: int | None = None
    columns: tuple[str, ...] = ()


class DatasetWritten(_Touched, frozen=True, omit_defaults=True, kw_only=True):
    """Rows were committed to it.

    Attributes:
        read: source records behind them; `read == landed + superseded + rejected`.
        landed: rows that were added, changed or deleted.
        superseded: records that a later one replaced before they had landed.
        rejected: records in its quarantine.
        size: bytes written, where that is known.
        mode: append, merge, replace, ...; empty where the store does not tell.
        pipe: the name of the pipe; its counts are kept in the store.
        columns: names and types, when they are new or have changed since the last writing that is on record.
        looked_at: rows whose nulls were counted, as they were handed to the store.
        nulls: how many of these had none in a column, of columns where any had none.
        inputs: the places that the rows were made of, where that is known.
        lineage: for each column the columns of inputs that it was made of: place and column.
    """

    stored: ClassVar[str] = "DatasetWritten"
    read: int = 0
    landed: int = 0
    superseded: int = 0
    rejected: int = 0
    size: int = 0
    mode: str = ""
    pipe: str = ""
    columns: dict[str, str] | None = None
    looked_at: int = 0
    nulls: Mapping[str, int] = msgspec.field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    lineage: Mapping[str, tuple[tuple[str, str], ...]] = msgspec.field(default_factory=dict)


class _Checked(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Rows were checked against rules.

    Attributes:
        dataset: what they are called.
        place: where they were going, of checks that are declared on a dataset.
        id: the same check is recorded once, however often its step is executed.
        run: that did it.
        step: of the run.
        rows: that were checked.
        good: of them, those that went on.
        quarantined: of them, those that went into quarantine; `rows == good + quarantined` where they were not stopped.
        done: what was done about rows that do not follow the rules: stop, warn or quarantine.
        rules: how many there are.
        verdicts: for each rule: passed, failed, error or skipped.
        failures: rows that do not follow a rule, by rule.
        repaired: values and rows that repairs have changed, by repair.
        message: all of it in a sentence.
    """

    dataset: str
    place: str = ""
    id: str = ""
    run: str | None = None
    step: str | None = None
    rows: int | None = None
    good: int | None = None
    quarantined: int = 0
    done: str = ""
    rules: int = 0
    verdicts: dict[str, str] = msgspec.field(default_factory=dict)
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    repaired: dict[str, int] = msgspec.field(default_factory=dict)
    message: str = ""


class CheckPassed(_Checked, frozen=True, omit_defaults=True, kw_only=True):
    """Every rule was kept."""

    stored: ClassVar[str] = "CheckPassed"


class CheckFailed(_Checked, frozen=True, omit_defaults=True, kw_only=True):
    """A rule was not kept, or could not be checked.

    Attributes:
        severity: the worst among those of such rules: error, warning or info.
    """

    stored: ClassVar[str] = "CheckFailed"
    severity: str


CHECKS = (CheckPassed, CheckFailed)
DATASETS: tuple[type[Event], ...] = (DatasetDeclared, DatasetForgotten, DatasetRead, DatasetWritten, *CHECKS)


class StoredDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as the journal knows it.

    Attributes:
        place: where it is.
        namespace: the first part of the place.
        path: the second part.
        name: what people call it; its place where they call it nothing.
        address: for reading it; empty where nobody told.
        spec: what was said of it.
        columns: names and types, as they were last written.
        version: that was written last.
        landed: rows of the last writing.
        rejected: of the last writing.
        written_at: when it was last written (microseconds).
        written_by: the run that did it.
        read_at: when it was last read.
        read_by: the run that did it.
    """

    place: str
    namespace: str
    path: str
    name: str
    address: str
    spec: dict[str, Any]
    columns: dict[str, str]
    version: str
    landed: int | None
    rejected: int | None
    written_at: int | None
    written_by: str | None
    read_at: int | None
    read_by: str | None

    @property
    def declared(self) -> bool:
        """It has a name of its own."""
        return self.name != self.place
