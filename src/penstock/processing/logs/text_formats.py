"""Logs with a time, a level and a message: how their lines look, and what they say.

Patterns are those of Rust's `regex`, whose time grows with the length of a line only, whatever the pattern.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import BadData
from penstock.processing.logs.extras import Frame, pl

LEVEL_OF = {
    "ERR": "ERROR",
    "SEVERE": "ERROR",
    "WARN": "WARNING",
    "CRIT": "CRITICAL",
    "EMERG": "CRITICAL",
    "ALERT": "CRITICAL",
    "FATAL": "CRITICAL",
    "PANIC": "CRITICAL",
}
"""One word for a level, of several."""

FAILED = ("ERROR", "CRITICAL")
COLUMNS = ("time", "level", "component", "message")

_TROUBLE = r"(?i)\b(?:error|errors|fail|failed|failure|fatal|panic|critical|invalid|refused|denied)\b"
_TIMES = ("time", "timestamp", "@timestamp", "ts", "datetime", "date", "asctime")
_LEVELS = ("level", "severity", "levelname", "lvl", "log.level")
_MESSAGES = ("message", "msg", "event", "text")
_COMPONENTS = ("logger", "component", "service", "name", "module")


@dataclass(frozen=True)
class TextFormat:
    """How the lines of a log look.

    Attributes:
        pattern: with groups named `time`, and `level`, `component`, `message` where there are such; empty for JSON.
        time: how the time is written, as `strftime` says it; None for ISO 8601.
        yearless: the time has no year, which is taken from the file's last change.
    """

    name: str
    pattern: str
    time: str | None = None
    yearless: bool = False


_ISO = r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
_WORDS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE|ALERT|EMERG"

FORMATS = {
    "json": TextFormat("json", ""),
    "hdfs": TextFormat(
        "hdfs",
        r"^(?P<time>\d{6} \d{6}) \d+ (?P<level>[A-Z]+) (?P<component>[^: ]+): (?P<message>.*)$",
        "%y%m%d %H%M%S",
    ),
    "spark": TextFormat(
        "spark",
        r"^(?P<time>\d\d/\d\d/\d\d \d\d:\d\d:\d\d) (?P<level>[A-Z]+) (?P<component>[^: ]+): (?P<message>.*)$",
        "%y/%m/%d %H:%M:%S",
    ),
    "syslog": TextFormat(
        "syslog",
        r"^(?:<\d+>)?(?P<time>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d) \S+ "
        r"(?P<component>[^:\[\s]+)(?:\[\d+\])?: ?(?P<message>.*)$",
        "%b %e %H:%M:%S",
        yearless=True,
    ),
    "iso": TextFormat(
        "iso", rf"^\[?{_ISO}\]?[ \t,-]+\[?(?P<level>(?i:{_WORDS}))\]?:?[ \t-]+(?P<message>.*)$"
    ),
}  # fmt: skip


def custom(pattern: str, time: str | None = None) -> TextFormat:
    """A format of one's own.

    Raises:
        BadData: the pattern is none, or names no time.
    """
    try:
        schema = pl.select(pl.lit("").str.extract_groups(pattern)).to_series().dtype
    except pl.exceptions.PolarsError as error:
        raise BadData(
            f"The pattern cannot be used: {error}", hint="look-around and back-references are not there; all else is"
        ) from None
    if "time" not in [each.name for each in schema.fields]:
        raise BadData("The pattern names no time.", hint="put a group `(?P<time>...)` around it")
    return TextFormat("custom", pattern, time)


def parsed(lines: Any, kind: TextFormat, year: int) -> Frame:
    """What lines say: a row for each; `time` (seconds since 1970, a float) is null where a line means nothing."""
    if not kind.pattern:
        return _from_json(lines)
    frame = pl.DataFrame({"line": lines}).select(pl.col("line").str.extract_groups(kind.pattern).alias("found"))
    frame = frame.unnest("found")
    missing = [name for name in COLUMNS if name not in frame.columns]
    frame = frame.with_columns([pl.lit(None, pl.String).alias(name) for name in missing])
    level = pl.col("level").str.to_uppercase().replace(LEVEL_OF)
    if "level" in missing:
        trouble = pl.col("message").str.contains(_TROUBLE)
        level = pl.when(trouble).then(pl.lit("ERROR")).otherwise(pl.lit("INFO"))
    return frame.select(
        _seconds(kind, year).alias("time"), level.alias("level"), pl.col("component"), pl.col("message")
    )


def _seconds(kind: TextFormat, year: int) -> Any:
    time = pl.col("time")
    if kind.time is None:
        zone = time.str.extract(r"[T ].*?([+-]\d\d:?\d\d)$", 1).str.replace(":", "")
        away = zone.str.slice(1, 2).cast(pl.Int64) * 60 + zone.str.slice(3, 2).cast(pl.Int64)
        away = pl.when(zone.str.starts_with("-")).then(-away).otherwise(away).fill_null(0)
        local = time.str.slice(0, 19).str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
        part = ("0." + time.str.extract(r"[.,](\d+)", 1)).cast(pl.Float64, strict=False).fill_null(0.0)
        return local.dt.epoch("s") - away * 60 + part
    if kind.yearless:
        told = pl.lit(f"{year} ") + time.str.replace("  ", " 0", literal=True)
        return told.str.to_datetime("%Y %b %d %H:%M:%S", strict=False).dt.epoch("s").cast(pl.Float64)
    return time.str.to_datetime(kind.time, strict=False).dt.epoch("s").cast(pl.Float64)


def _from_json(lines: Any) -> Frame:
    import msgspec

    rows: list[tuple[float | None, str | None, str | None, str | None]] = []
    for line in lines.to_list():
        try:
            value = msgspec.json.decode(line or "")
        except (msgspec.DecodeError, RecursionError):
            value = None
        rows.append(_row(value) if isinstance(value, dict) else (None, None, None, None))
    types = {"time": pl.Float64, "level": pl.String, "component": pl.String, "message": pl.String}
    return pl.DataFrame(rows, schema=types, orient="row")


def _row(value: dict[str, Any]) -> tuple[float | None, str | None, str | None, str | None]:
    level = _text(value, _LEVELS)
    word = level.upper() if level is not None else "INFO"
    return _time(value), LEVEL_OF.get(word, word), _text(value, _COMPONENTS), _text(value, _MESSAGES)


def _text(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(value[name]) for name in names if value.get(name) is not None), None)


def _time(value: dict[str, Any]) -> float | None:
    """Seconds since 1970 of an ISO time (UTC where it has no offset), of seconds, or of milliseconds."""
    told = next((value[name] for name in _TIMES if value.get(name) is not None), None)
    if isinstance(told, (int, float)) and not isinstance(told, bool):
        seconds = float(told) / 1000 if abs(told) > 1e11 else float(told)
        return seconds if abs(seconds) < 1e11 else None
    try:
        moment = datetime.datetime.fromisoformat(str(told))
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
