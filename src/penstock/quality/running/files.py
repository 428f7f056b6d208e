"""Files to be validated: CSV, Parquet, JSON lines and Arrow files, plain or compressed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import BadData
from penstock.quality.running.sources import Input, address_input, reading
from penstock.quality.running.tables import is_address

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_LOOKED_AT = 10_000
"""Rows that tell the types of a CSV or JSON file, as long as they tell the truth."""
_COMPRESSED = {".gz", ".zst"}
_AGAIN = re.compile(r"(.+)_duplicated_\d+")
_NOT_THERE = "*?["


def file_input(path: str | Path) -> Input:
    """A file, or several of one kind by a pattern such as `orders/*.parquet`; or what is at an address.

    Raises:
        BadData: there is none, or it is of no kind that is known.
        ConfigurationError: the address cannot be.
        DataError: what is at the address cannot be read.
    """
    text = str(path)
    if is_address(text):
        return address_input(text)
    suffixes = [suffix.lower() for suffix in Path(text).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    opener = _OPENERS.get(suffixes[-1] if suffixes else "")
    if opener is None:
        known = ", ".join(_OPENERS)
        raise BadData(f"{text} is no kind of file that is known.", hint=f"name it by what it is: {known} (or .csv.gz)")
    if not any(sign in text for sign in _NOT_THERE):
        if not Path(text).is_file():
            raise BadData(f"There is no file {text}." if not Path(text).exists() else f"{text} is no file.")
        if Path(text).stat().st_size == 0:
            return Input(pl.LazyFrame(), [f"{text} is empty"])
    return reading(partial(opener, text))


def _parquet(path: str) -> Input:
    return Input(pl.scan_parquet(path))


def _arrow(path: str) -> Input:
    return Input(pl.scan_ipc(path))


def _json(path: str) -> Input:
    def widened() -> tuple[pl.LazyFrame, list[str]]:
        return pl.scan_ndjson(path, infer_schema_length=None), []

    return Input(pl.scan_ndjson(path, infer_schema_length=_LOOKED_AT), widened=widened)


def _csv(path: str, separator: str = ",") -> Input:
    scan = partial(pl.scan_csv, path, separator=separator, infer_schema_length=_LOOKED_AT)
    frame = scan()
    again = renamed(frame.collect_schema().names())
    notes = [f"there are several columns {base}: one of them is {name} here" for name, base in again.items()]
    return Input(frame, notes, widened=partial(_widened, scan), whole=True)


def renamed(names: Sequence[str]) -> dict[str, str]:
    """Columns that are called otherwise here because another one has their name, which is the value."""
    found = ((name, _AGAIN.fullmatch(name)) for name in names)
    return {name: match[1] for name, match in found if match is not None and match[1] in names}


def _widened(scan: Callable[..., pl.LazyFrame]) -> tuple[pl.LazyFrame, list[str]]:
    """Columns whose first rows look like numbers, and others do not, are read as floats or as text."""
    kinds = scan().collect_schema()
    texts = scan(infer_schema=False)
    asked: list[pl.Expr] = []
    for name, kind in kinds.items():
        if kind != pl.String:
            value = pl.col(name)
            for wanted in (kind, pl.Float64()):
                unfit = value.is_not_null() & _as(value, wanted).is_null()
                asked.append(unfit.any().alias(f"{wanted} {name}"))
    if not asked:
        return texts, []
    unique = {expression.meta.output_name(): expression for expression in asked}
    answers = texts.select(unique.values()).collect(engine="streaming").row(0, named=True)
    changed: dict[str, Any] = {}
    notes: list[str] = []
    for name, kind in kinds.items():
        if answers.get(f"{kind} {name}"):
            to_float = kind.is_numeric() and not answers[f"{pl.Float64()} {name}"]
            changed[name] = pl.Float64 if to_float else pl.String
            if not to_float:
                notes.append(f"{name} holds values of several types: it was read as text")
    return scan(schema_overrides={**dict(kinds), **changed}), notes


def _as(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if kind == pl.Boolean:
        return pl.when(value.str.to_lowercase().is_in(["true", "false"])).then(pl.lit(True))
    return value.cast(kind, strict=False)


_OPENERS: dict[str, Callable[[str], Input]] = {
    ".csv": _csv,
    ".tsv": partial(_csv, separator="\t"),
    ".parquet": _parquet,
    ".ndjson": _json,
    ".jsonl": _json,
    ".arrow": _arrow,
    ".feather": _arrow,
}
