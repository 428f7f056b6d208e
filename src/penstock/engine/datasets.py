"""What is recorded of datasets: each reading and writing is an event in the stream of its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.core.context import current_scope
from penstock.core.datasets import (
    CHECKED,
    KIND,
    CheckFailed,
    CheckPassed,
    DatasetDeclared,
    DatasetForgotten,
    DatasetRead,
    DatasetWritten,
    StoredDataset,
)
from penstock.core.errors import DatasetNotFound, SequenceConflict
from penstock.core.events import Event, Record, now_us
from penstock.core.plans import stream_of
from penstock.core.ports import Journal, current_engine
from penstock.core.ports.data import Counts, Place
from penstock.core.ports.reading import Reading

_LOOKED_AT = 50
"""A reading or writing that is executed again is looked for among so many of the last ones."""


class Written(NamedTuple):
    """What is to be recorded of a writing; see `DatasetWritten`.

    Attributes:
        columns: names and types.
        inputs: the places that the rows were made of.
    """

    counts: Counts
    version: str = ""
    size: int = 0
    mode: str = ""
    pipe: str = ""
    id: str = ""
    address: str = ""
    columns: Mapping[str, str] | None = None
    looked_at: int = 0
    nulls: Mapping[str, int] = {}
    inputs: Iterable[Place] = ()
    lineage: Mapping[str, Iterable[tuple[Place, str]]] = {}


def journal_of_run() -> Journal | None:
    """The journal of the run around; None outside of runs."""
    scope = current_scope.get()
    if scope is not None and not scope.foreign:
        live = scope.live
        journal: Any = live.engine.journal if hasattr(live, "engine") else _Elsewhere(live.ask)
        return journal  # type: ignore[no-any-return]
    return None


def journal_here() -> Journal:
    """The journal of the run around, or of this project."""
    if (journal := journal_of_run()) is not None:
        return journal
    engine: Any = current_engine()
    return engine.journal  # type: ignore[no-any-return]


_FAVOURS = ("datasets", "last_seq", "load", "append")


class _Elsewhere:
    """In the process of a task: as much of the journal as is needed here, which its flow's process has."""

    def __init__(self, ask: Callable[[str, Any], Any]) -> None:
        self._ask = ask

    def __getattr__(self, name: str) -> Any:
        if name not in _FAVOURS:
            raise AttributeError(name)
        return lambda *values: self._ask("journal", (name, values))


def asked(journal: Journal, name: str, values: tuple[Any, ...]) -> Any:
    """What the process of a task asks of the journal."""
    assert name in _FAVOURS
    found = getattr(journal, name)(*values)
    return list(found) if name == "load" else found


def wrote(journal: Journal, place: Place, what: Written) -> None:
    """Record that rows were committed."""
    known = next(iter(journal.datasets(str(place))), None)
    columns = dict(what.columns) if what.columns is not None else None
    if known is not None and known.columns == columns:
        columns = None
    counts = what.counts
    event = DatasetWritten(
        **_about(place),
        **_here(),
        id=what.id,
        address=what.address or (known.address if known is not None else ""),
        data_version=what.version,
        read=counts.read,
        landed=counts.landed,
        superseded=counts.superseded,
        rejected=counts.rejected,
        size=what.size,
        mode=what.mode,
        pipe=what.pipe,
        columns=columns,
        looked_at=what.looked_at,
        nulls=dict(what.nulls),
        inputs=tuple(dict.fromkeys(str(one) for one in what.inputs)),
        lineage={name: tuple((str(one), column) for one, column in made_of) for name, made_of in what.lineage.items()},
    )
    _append(journal, event)


def read(
    journal: Journal,
    place: Place,
    *,
    rows: int | None = None,
    columns: Iterable[str] = (),
    version: str = "",
    address: str = "",
    id: str = "",
) -> None:
    """Record that rows were read; see `DatasetRead`."""
    event = DatasetRead(
        **_about(place),
        **_here(),
        id=id,
        address=address,
        data_version=version,
        rows=rows,
        columns=tuple(columns),
    )
    _append(journal, event)


def checked(journal: Journal, dataset: str, severity: str | None, facts: Mapping[str, Any], id: str = "") -> None:
    """Record that rows were checked.

    Args:
        journal: where.
        dataset: what they are called.
        severity: the worst of the rules that were not kept; None where all were.
        facts: more fields of `CheckPassed`.
        id: the same check is recorded once.
    """
    told = {"at": now_us(), "dataset": dataset, "id": id, **_here(), **facts}
    event = CheckPassed(**told) if severity is None else CheckFailed(**told, severity=severity)
    _append(journal, event, stream_of(CHECKED, dataset))


def declare(journal: Journal, place: Place, name: str, address: str, spec: Mapping[str, Any]) -> None:
    """Record what people say of a dataset, where it is not what is on record."""
    plain = msgspec.json.decode(msgspec.json.encode(dict(spec)))
    known = journal.datasets(name)
    here = next((one for one in journal.datasets(str(place))), None)
    if here is not None and (here.name, here.address, here.spec) == (name, address, plain):
        return
    moved = next((one.place for one in known if one.place != str(place) and one.name == name), None)
    _append(journal, DatasetDeclared(**_about(place), name=name, address=address, spec=plain, moved=moved))


def forget(journal: Journal, dataset: StoredDataset) -> None:
    """Take a dataset off the list."""
    _append(journal, DatasetForgotten(at=now_us(), place=dataset.place))


def named(journal: Reading, called: str) -> StoredDataset:
    """The dataset of a name, or at a place.

    Raises:
        DatasetNotFound: there is none.
    """
    found = journal.datasets(called)
    if not found:
        raise DatasetNotFound(f"There is no dataset {called!r} on record.")
    return next((one for one in found if one.name == called), found[0])


def _about(place: Place) -> dict[str, Any]:
    return {"at": now_us(), "place": str(place), "namespace": place.namespace, "path": place.name}


def _here() -> dict[str, Any]:
    """The run and the step that this code is part of."""
    scope = current_scope.get()
    if scope is None or scope.foreign or scope.live is None:
        return {}
    return {"run": str(scope.live.id), "step": scope.key}


def _append(journal: Journal, event: Event, stream: str = "") -> None:
    """Append to the stream of the dataset, whoever else does; what is there already is not recorded again."""
    stream = stream or stream_of(KIND, event.place)  # type: ignore[attr-defined]
    wanted = getattr(event, "id", "")
    while True:
        seq = journal.last_seq(stream)
        if wanted and any(
            type(stored.event) is type(event) and stored.event.id == wanted  # type: ignore[attr-defined]
            for stored in journal.load(stream, max(0, seq - _LOOKED_AT))
        ):
            return
        try:
            journal.append(stream, seq, [Record(event)])
        except SequenceConflict:
            continue
        return
