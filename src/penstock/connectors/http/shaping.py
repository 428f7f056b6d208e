"""Records made into rows: nested values kept, told as JSON or spread over columns, and what cannot be a row."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penstock.connectors.http.json_pages import RAW_MOST, shown_raw
from penstock.core.ports.data import Batch, Part, Position, Rejected
from penstock.core.rows import fit, gather, kind_of

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Nested = Literal["struct", "json", "flat"]

_BATCH_BYTES = 32 << 20
_BATCH_SECONDS = 10.0


class Heap:
    """Records that were read and are in no batch yet.

    Args:
        rows: how many make a batch.
        types: types of columns; a value that does not fit is rejected.
        nested: what becomes of objects and arrays.
        text: the records are all text (CSV), and their columns get the types that they read as.
    """

    def __init__(self, rows: int, types: Mapping[str, Any], nested: Nested, text: bool) -> None:
        self._most, self._types, self._nested, self._text = rows, dict(types), nested, text
        self._kinds: dict[str, Any] = {}
        self._records: list[dict[str, Any]] = []
        self._rejected: list[Rejected] = []
        self._size = 0
        self._began = 0.0

    def add(self, records: list[dict[str, Any]], rejected: list[Rejected], size: int, page: str) -> None:
        """Put in what was read."""
        if not self._records and not self._rejected:
            self._began = time.monotonic()
        self._rejected.extend(rejected)
        self._size += size
        if self._nested == "struct" or self._text:
            self._records.extend(records)
        else:
            self._reshape(records, page)

    def _reshape(self, records: list[dict[str, Any]], page: str) -> None:
        for record in records:
            if self._nested == "json":
                self._records.append({name: _as_json(value) for name, value in record.items()})
                continue
            flat: dict[str, Any] = {}
            twice = _spread(record, "", flat)
            if twice:
                reason = f"two of its values would be in the column {twice!r}; with nested='struct' they are not"
                self._rejected.append(Rejected(reason, page, shown_raw(record)))
            else:
                self._records.append(flat)

    @property
    def full(self) -> bool:
        """It is time for a batch: there are enough rows or bytes, or the first of them waits for long."""
        count = len(self._records) + len(self._rejected)
        late = count > 0 and time.monotonic() - self._began > _BATCH_SECONDS
        return count >= self._most or self._size >= _BATCH_BYTES or late

    def batch(self, position: Position, place: str, *, last: bool = False) -> Batch:
        """All that is here, as a batch."""
        rows = self._rows(place)
        parts = (Part(rows),) if rows is not None and rows.num_rows else ()
        made = Batch(parts, position, tuple(self._rejected), last=last, size=self._size)
        self._records, self._rejected, self._size = [], [], 0
        return made

    def _rows(self, place: str) -> pa.Table | None:
        if not self._records:
            return None
        try:
            rows, misfits = gather(self._records, self._hints())
        except (UnicodeEncodeError, RecursionError):
            self._records = [record for record in self._records if self._is_text(record, place)]
            if not self._records:
                return None
            rows, misfits = gather(self._records, self._hints())
        for row, reason in misfits:
            self._rejected.append(Rejected(reason, place, shown_raw(self._records[row])))
        if self._text:
            rows = self._typed(rows)
        self._kinds |= {field.name: field.type for field in rows.schema}
        return rows

    def _hints(self) -> dict[str, Any]:
        """The types that were asked for; and those of former batches for columns without any value in this one."""
        if self._text or not self._kinds:
            return self._types
        without = {
            name: kind
            for name, kind in self._kinds.items()
            if name not in self._types and all(record.get(name) is None for record in self._records)
        }
        return {**without, **self._types}

    def _is_text(self, record: dict[str, Any], place: str) -> bool:
        """Half of a surrogate pair is no character, and no table can hold it."""
        try:
            msgspec.json.encode(record)
        except (UnicodeEncodeError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            reason = "it is nested too deeply" if deep else "it has a text with half a surrogate pair in it"
            self._rejected.append(Rejected(reason, place, "" if deep else json.dumps(record)[:RAW_MOST]))
            return False
        return True

    def _typed(self, rows: pa.Table) -> pa.Table:
        """Columns of text with the type of former batches where it fits, else with that which their values read as."""
        columns = []
        for name, values in zip(rows.schema.names, rows.columns, strict=True):
            known = self._types.get(name) or self._kinds.get(name)
            fitted = None if known is None else fit(values, known)
            columns.append(fit(values, kind_of(values)).values if fitted is None or fitted.misfits else fitted.values)
        return pa.table(columns, names=rows.schema.names)


def _as_json(value: Any) -> Any:
    return shown_json(value) if isinstance(value, (dict, list)) else value


def shown_json(value: Any) -> str:
    """A nested value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _spread(record: Mapping[str, Any], before: str, into: dict[str, Any]) -> str:
    """Put the values of nested objects into columns named `outer_inner`; gives a name that comes twice."""
    for name, value in record.items():
        full = f"{before}{name}"
        if isinstance(value, dict) and value:
            if twice := _spread(value, f"{full}_", into):
                return twice
        elif full in into:
            return full
        else:
            into[full] = value
    return ""
