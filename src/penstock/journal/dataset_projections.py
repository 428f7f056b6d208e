"""What events of datasets do to their table; see `projections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.datasets import DatasetDeclared, DatasetForgotten, DatasetRead, DatasetWritten
from penstock.core.events import Event
from penstock.journal.projections import Projection

_json = msgspec.json.Encoder().encode
_Rows = Sequence[tuple[Any, ...]]
_PLACE = ("place", "namespace", "path")
_WRITTEN = (*_PLACE, "data_version", "landed", "rejected", "written_at", "written_by")


def _text(value: Any) -> str:
    return _json(value).decode()


def _place(e: Any) -> tuple[str, str, str]:
    return e.place, e.namespace, e.path


def _declared(stream: str, e: DatasetDeclared, data: bytes | None) -> _Rows:
    return ((*_place(e), e.name, e.address, _text(e.spec)),)


def _moved(stream: str, e: DatasetDeclared, data: bytes | None) -> _Rows:
    return ((e.moved, None),) if e.moved is not None else ()


def _facts(e: DatasetWritten) -> tuple[Any, ...]:
    return (*_place(e), e.data_version, e.landed, e.rejected, e.at, e.run)


def _written(stream: str, e: DatasetWritten, data: bytes | None) -> _Rows:
    return (_facts(e),) if e.columns is None else ()


def _changed(stream: str, e: DatasetWritten, data: bytes | None) -> _Rows:
    return ((*_facts(e), _text(e.columns), e.address),) if e.columns is not None else ()


def _read(stream: str, e: DatasetRead, data: bytes | None) -> _Rows:
    return ((*_place(e), e.at, e.run),)


PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    DatasetDeclared: (
        Projection("datasets", "put", (*_PLACE, "name", "address", "spec"), _declared),
        Projection("datasets", "set", ("place", "name"), _moved),
    ),
    DatasetForgotten: (Projection("datasets", "drop", ("place",), lambda s, e, d: ((e.place,),)),),
    DatasetWritten: (
        Projection("datasets", "put", _WRITTEN, _written),
        Projection("datasets", "put", (*_WRITTEN, "columns", "address"), _changed),
    ),
    DatasetRead: (Projection("datasets", "put", (*_PLACE, "read_at", "read_by"), _read),),
}
