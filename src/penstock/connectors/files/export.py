"""Rows as files that appear at once: one file that is replaced, or parts that are added."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args
from uuid import uuid4

from penstock.connectors.files.ledger import Ledger, State, sync_folder
from penstock.connectors.files.options import format_of, one_of, refuse, sign
from penstock.connectors.files.progress import packed_types, unpacked_types
from penstock.connectors.files.reading import cut
from penstock.connectors.files.writing import ExportFormat, Packing, write
from penstock.core.errors import SchemaRefused
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Place, Rejected, Sink
from penstock.core.rows import conform, solid

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

ExportMode = Literal["replace", "append"]

_SUFFIX = {"gzip": ".gz", "zstd": ".zst", "none": ""}


class FileExport(Sink):
    """Writes rows to a file, or to a folder of parts.

    What is there is whole: a file appears, or takes the place of the one before, in one step, and how far the pipe has
    come is committed in the same step. Rejected records are beside it, in `<path>.rejected/`.

    Args:
        path: `replace`: the file (`users.csv`, `.tsv`, `.json`, `.ndjson` or `.parquet`, with `.gz` or `.zst` behind
            those that are text or not). `append`: the folder for `part-00001.parquet` and those that follow.
        mode: `replace` writes all rows of one reading of the source to the file when its last batch has come;
            `append` adds a part for each batch.
        format: of the file or the parts; by default what the name says, and Parquet in a folder.
        compression: `gzip`, `zstd` or `none`, of text; by default what the name says.
        delimiter: between the fields of CSV, one plain character; a comma by default.

    Raises:
        ConfigurationError: something of this cannot be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: ExportMode = "replace",
        format: ExportFormat | None = None,
        compression: Packing | None = None,
        delimiter: str | None = None,
    ) -> None:
        text = os.fspath(path)
        told = format_of(text) if mode == "replace" else "parquet"
        found = one_of("mode", mode, get_args(ExportMode)) + one_of("format", format, (None, *get_args(ExportFormat)))
        found += one_of("compression", compression, (None, *get_args(Packing)))
        found += [] if text else [("path", "is empty")]
        if mode == "replace" and text and format is None and told is None:
            found.append(("format", f"is not told by the name {os.path.basename(text)!r}"))
        self.format: ExportFormat = format or told or "parquet"
        self.delimiter = "," if delimiter is None else delimiter
        if delimiter is not None and self.format != "csv":
            found.append(("delimiter", "is of CSV files"))
        elif not sign(self.delimiter) or self.delimiter == '"':
            found.append(("delimiter", f"is one ASCII character, no quote and no line end, and not {delimiter!r}"))
        refuse("FileExport", found)
        self.path, self.mode = os.path.abspath(text), mode
        self.packing: Packing = compression or _packing_of(text)

    def __repr__(self) -> str:
        return f"FileExport({self.path!r}, mode={self.mode!r})"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return Place("file", self.path)

    def ledger(self, pipe: str) -> Ledger:
        """Where the state of a pipe is: `.penstock` in the folder, `.<name>.penstock` beside the file."""
        folder, name = os.path.split(self.path)
        own = (
            os.path.join(self.path, ".penstock") if self.mode == "append" else os.path.join(folder, f".{name}.penstock")
        )
        return Ledger(own, pipe)

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`. A pipe whose last batch has replaced the file begins anew."""
        return _Exporting(self, self.ledger(pipe))

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        ledger = self.ledger(pipe)
        if os.path.isdir(ledger.home):
            with ledger.locked():
                ledger.read()
                ledger.forget()


class _Exporting(Landing):
    """One pipe's end in an export."""

    def __init__(self, sink: FileExport, ledger: Ledger) -> None:
        self._sink, self._ledger = sink, ledger
        with ledger.locked():
            self._state = self._anew(ledger.take())
            self._tidy()
        self.position, self.counts = self._state.position, self._state.counts

    @staticmethod
    def _anew(state: State) -> State:
        """After the last batch of a generation, another begins."""
        if not state.complete:
            return state
        return State(state.pipe, state.owner, counts=state.counts, generation=state.generation + 1)

    def close(self) -> None:
        """See `Landing.close`."""

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        with self._ledger.locked():
            self._ledger.mine(self._state)
            self._state = self._anew(self._state)
            state, tables, rejected = self._conformed(batch)
            landed = sum(table.num_rows for table in tables)
            counts = Counts(batch.read, landed, batch.superseded, len(rejected))
            state = replace(state, position=batch.position, counts=state.counts + counts)
            if rejected:
                state = replace(state, rejected=state.rejected + 1)
                self._write_rejected(state, rejected)
            append = self._sink.mode == "append"
            written = self._append(state, tables) if append else self._replace(state, tables, last=batch.last)
            self._state = state = self._ledger.read() or state
        self.position, self.counts = None if state.complete else batch.position, state.counts
        return Landed(counts, version=str(state.generation) if self._sink.mode == "replace" else "", written=written)

    def _conformed(self, batch: Batch) -> tuple[State, list[pa.Table], list[Rejected]]:
        known = unpacked_types(self._state.columns)
        tables, rejected = [], list(batch.rejected)
        before = dict(known)
        for part in batch.parts:
            if part.how != "append" or part.table:
                what = f"rows for the table {part.table!r}" if part.table else f"a part that is {part.how!r}"
                raise SchemaRefused(f"{self._sink.place} takes records, and not {what}.", hint="write to a store")
            for column in part.rows.schema:
                known.setdefault(column.name, solid(column.type))
            rows, misfits = conform(part.rows, pa.schema(known), missing="leave")
            tables.append(rows)
            for row, why in misfits:
                raw = json.dumps(part.rows.slice(row, 1).to_pylist()[0], default=str, ensure_ascii=False)
                rejected.append(Rejected(why, f"row {row + 1} of a batch", cut(raw)))
        columns = self._state.columns if known == before else packed_types(known)
        return replace(self._state, columns=columns), [table for table in tables if table.num_rows], rejected

    def _append(self, state: State, tables: list[pa.Table]) -> int:
        if not tables:
            self._ledger.commit(state)
            self._finish(state)
            return 0
        made = self._ledger.path(f"{uuid4().hex}.new")
        schema = pa.schema(unpacked_types(state.columns))
        size = self._write(made, (_whole(table, schema) for table in tables), schema)
        number = self._parts() + 1
        while os.path.exists(target := os.path.join(self._sink.path, self._name(number))):
            number += 1
        self._ledger.commit_file(state, made, target)
        self._finish(state)
        self._write_manifest(number)
        return size

    def _name(self, number: int) -> str:
        return f"part-{number:05}.{self._sink.format}{_SUFFIX[self._sink.packing]}"

    def _manifest(self) -> str:
        return os.path.join(self._sink.path, "manifest.json")

    def _parts(self) -> int:
        try:
            with open(self._manifest(), encoding="utf-8") as file:
                return int(json.load(file)["parts"])
        except FileNotFoundError:
            return 0

    def _write_manifest(self, parts: int) -> None:
        """How many parts there are; their names follow from that, so that it does not grow."""
        made = self._ledger.path("manifest.tmp")
        with open(made, "w", encoding="utf-8") as file:
            json.dump({"parts": parts, "name": self._name(1).replace("00001", "{:05}")}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, self._manifest())
        sync_folder(self._sink.path)

    def _replace(self, state: State, tables: list[pa.Table], *, last: bool) -> int:
        if not last:
            return self._stage(state, tables)
        made = self._ledger.path(f"{uuid4().hex}.new")
        schema = pa.schema(unpacked_types(state.columns))
        every = (_whole(table, schema) for table in [*self._staged(state), *tables])
        size = self._write(made, every, schema)
        state = replace(state, complete=True, staged=0)
        self._ledger.commit_file(state, made, self._sink.path)
        self._finish(state)
        return size

    def _stage(self, state: State, tables: list[pa.Table]) -> int:
        size = 0
        for table in tables:
            state = replace(state, staged=state.staged + 1)
            path = self._stage_name(state.staged)
            with open(path, "wb") as file:
                with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
                    writer.write_table(table)
                if not file.closed:
                    file.flush()
                    os.fsync(file.fileno())
            size += os.stat(path).st_size
        self._ledger.commit(state)
        self._finish(state)
        return size

    def _stage_name(self, number: int) -> str:
        return self._ledger.path(f"staged-{number:06}.arrow")

    def _staged(self, state: State) -> Iterator[pa.Table]:
        for number in range(1, state.staged + 1):
            with open(self._stage_name(number), "rb") as file:
                yield pa.ipc.open_file(file).read_all()

    def _write(self, made: str, tables: Iterator[pa.Table], schema: pa.Schema) -> int:
        how = self._sink
        return write(made, tables, schema, format=how.format, packing=how.packing, delimiter=how.delimiter)

    def _rejected_name(self, state: State, number: int) -> str:
        return f"{self._ledger.key}-{state.generation:05}-{number:05}.ndjson"

    def _write_rejected(self, state: State, rejected: list[Rejected]) -> None:
        """Kept out of sight until it is committed."""
        with open(self._ledger.path(self._rejected_name(state, state.rejected)), "w", encoding="utf-8") as file:
            for one in rejected:
                told = {"reason": one.reason, "where": one.where, "raw": one.raw, "table": one.table}
                file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _finish(self, state: State) -> None:
        """Show the rejected records of what was committed, and remove what it has made superfluous."""
        folder = f"{self._sink.path}.rejected"
        name = self._rejected_name(state, state.rejected)
        if state.rejected and os.path.exists(self._ledger.path(name)):
            os.makedirs(folder, exist_ok=True)
            os.replace(self._ledger.path(name), os.path.join(folder, name))
            sync_folder(folder)
        if state.complete:
            for number in range(1, self._state.staged + 1):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(self._stage_name(number))
            self._drop_former(folder, state)

    def _drop_former(self, folder: str, state: State) -> None:
        """Records that were rejected from a file that has been replaced."""
        if not os.path.isdir(folder):
            return
        for name in os.listdir(folder):
            key, _, rest = name.partition("-")
            if key == self._ledger.key and rest.partition("-")[0] < f"{state.generation:05}":
                os.remove(os.path.join(folder, name))
        if not os.listdir(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _tidy(self) -> None:
        """Finish what a process that was killed had committed, and remove what it had not."""
        state = self._state
        committed = self._ledger.read() or state
        self._finish(committed)
        if self._sink.mode == "append" and committed.appears is not None:
            self._write_manifest(max(self._parts(), int(os.path.basename(committed.appears[1])[5:].partition(".")[0])))
        kept = {"state.json", *(f"staged-{number:06}.arrow" for number in range(1, state.staged + 1))}
        for name in os.listdir(self._ledger.folder):
            if name not in kept:
                os.remove(self._ledger.path(name))


def _whole(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """With every column of the schema."""
    return conform(table, schema).rows


def _packing_of(path: str) -> Packing:
    return "gzip" if path.endswith((".gz", ".gzip")) else "zstd" if path.endswith((".zst", ".zstd")) else "none"
