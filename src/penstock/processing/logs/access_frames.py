"""The lines of an access log as a frame, with all that they say."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs import access
from penstock.processing.logs.access_blocks import Reader, Rows
from penstock.processing.logs.access_report import filled
from penstock.processing.logs.access_words import words_of
from penstock.processing.logs.blocks import Block
from penstock.processing.logs.decoding import text_of
from penstock.processing.logs.extras import Frame, np, pl
from penstock.processing.logs.views import column_of, views_of

COLUMNS = (
    "line", "time", "client", "ident", "user", "method", "path", "query", "protocol", "status", "bytes",
    "referrer", "agent", "seconds",
)  # fmt: skip
_PLACES = {"client": 0, "names": 1, "query": 3}
_METHODS = [name.decode() or None for name in access.METHODS]


def access_frame(block: Block, reader: Reader) -> tuple[Frame, int]:
    """The lines that mean something, in order; `line` is from 0. And how many lines the block has."""
    parsed = reader.read(block)
    if any(_has_blanks(block, rows) for rows in parsed.rows):
        parsed = reader.read(block, careful=True)
    frames = [_frame_of(block, rows) for rows in parsed.rows if len(rows.line)]
    if parsed.entries:
        frames.append(_frame_of_entries(parsed.entries))
    if not frames:
        return _frame_of_entries([]), parsed.lines
    return pl.concat(frames).sort("line"), parsed.lines


def _has_blanks(block: Block, rows: Rows) -> bool:
    return bool(_column(block, rows, "client").bin.contains(b" ").any())


def _column(block: Block, rows: Rows, name: str) -> Any:
    """What lies between two bounds, or was found along with them."""
    if name in _PLACES:
        at = _PLACES[name]
        views = views_of(words_of(block.data), rows.bounds[at], rows.bounds[at + 1])
    else:
        views = getattr(rows, name)
    return column_of(block, views, len(rows.line)).alias(name)


def _frame_of(block: Block, rows: Rows) -> Frame:
    # What is between client and path begins with ` ident user [date] "`.
    texts = {name: text_of(_column(block, rows, name)) for name in (*_PLACES, "path", "referrer", "agent")}
    names = texts.pop("names").str.extract_groups(r"^ ([^ ]+) (?s:(.+)) \[[^\[\"]{26}\] \"")
    frame = pl.DataFrame([texts[name].alias(name) for name in texts]).with_columns(
        names.struct.field("1").alias("ident"),
        names.struct.field("2").alias("user"),
        pl.Series("line", rows.line, dtype=pl.Int64),
        pl.Series("at", rows.minute * 60 + rows.second, dtype=pl.Int64),
        pl.Series("method", rows.method, dtype=pl.Int64),
        pl.Series("protocol", rows.protocol, dtype=pl.Int64),
        pl.Series("status", rows.status, dtype=pl.Int64),
        pl.Series("bytes", rows.size, dtype=pl.Int64),
        pl.Series("seconds", rows.taken if rows.taken is not None else np.full(len(rows.line), np.nan)),
        pl.when(pl.col("query") != "").then(pl.col("query").str.slice(1)).alias("query"),
    )
    return _shaped(frame)


def _frame_of_entries(entries: list[tuple[int, access.Entry]]) -> Frame:
    def texts(name: str) -> Any:
        return text_of(pl.Series([getattr(entry, name) for _, entry in entries], dtype=pl.Binary))

    def numbers(name: str) -> Any:
        return pl.Series([getattr(entry, name) for _, entry in entries], dtype=pl.Int64)

    return _shaped(
        pl.DataFrame(
            {
                "line": pl.Series([line for line, _ in entries], dtype=pl.Int64),
                **{name: texts(name) for name in ("client", "ident", "user", "path", "query", "referrer", "agent")},
                **{name: numbers(name) for name in ("at", "method", "protocol", "status")},
                "bytes": numbers("size"),
                "seconds": pl.Series([entry.taken for _, entry in entries], dtype=pl.Float64),
            }
        )
    )


def _shaped(frame: Frame) -> Frame:
    """Codes as words, and what is not there as null."""
    version = (pl.col("protocol") // 10).cast(pl.String) + "." + (pl.col("protocol") % 10).cast(pl.String)
    return frame.select(
        pl.col("line"),
        (pl.col("at") * 1000).cast(pl.Datetime("ms", "UTC")).alias("time"),
        pl.col("client"),
        _named("ident"),
        _named("user"),
        pl.col("method").replace_strict(dict(enumerate(_METHODS)), return_dtype=pl.String),
        pl.col("path"),
        pl.col("query"),
        pl.when(pl.col("method") > 0).then("HTTP/" + version).alias("protocol"),
        pl.col("status"),
        pl.when(pl.col("bytes") >= 0).then(pl.col("bytes")).alias("bytes"),
        _named("referrer"),
        _named("agent"),
        pl.col("seconds").fill_nan(None),
    )


def _named(column: str) -> Any:
    return pl.when(pl.col(column) != "-").then(pl.col(column)).alias(column)


def minutes_of(frame: Frame) -> Frame | None:
    """Lines put together to minutes; None where there are none, or where they are of more than ten years."""
    if not len(frame):
        return None
    minute = (pl.col("time").dt.epoch("s") // 60).cast(pl.Int64).alias("minute")
    if "status" in frame.columns:
        status = pl.col("status")
        counts = [((status >= 400) & (status < 500)).sum(), (status >= 500).sum(), pl.col("bytes").sum()]
        counts += [pl.col("seconds").sum(), pl.col("seconds").count()]
    else:
        none = pl.lit(0, pl.Int64)
        counts = [none, pl.col("level").is_in(["ERROR", "CRITICAL"]).sum(), none, pl.lit(0.0), none]
    names = ("refused", "failed", "bytes", "taken", "timed")
    wanted = [
        count.cast(pl.Float64 if name == "taken" else pl.Int64) for count, name in zip(counts, names, strict=True)
    ]
    sums = [each.alias(name) for each, name in zip(wanted, names, strict=True)]
    return filled(frame.group_by(minute).agg(pl.len().cast(pl.Int64).alias("requests"), *sums))
