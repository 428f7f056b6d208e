"""Reads line protocol character by character, as InfluxDB's documentation describes it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Point(NamedTuple):
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]
    time: int


def read(text: str) -> list[Point]:
    return [_point(line) for line in _lines(text)]


def _lines(text: str) -> list[str]:
    """A line break inside a quoted field does not end the line."""
    found, start, at = [], 0, 0
    quoted = fields = False
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == '"' and fields:
            quoted = not quoted
        elif text[at] == " " and not quoted:
            fields = True
        elif text[at] == "\n" and not quoted:
            found.append(text[start:at])
            start, fields = at + 1, False
        at += 1
    return [*found, text[start:]] if text[start:] else found


def _point(line: str) -> Point:
    head, at = _until(line, 0, " ", quotes=False)
    fields, at = _until(line, at + 1, " ", quotes=True)
    measurement, *tags = _split(head, ",", quotes=False)
    return Point(
        _unescaped(measurement, ", "),
        dict(_pair(tag, lambda text: _unescaped(text, ",= ")) for tag in tags),
        dict(_pair(field, _value) for field in _split(fields, ",", quotes=True)),
        int(line[at + 1 :]),
    )


def _until(text: str, at: int, mark: str, *, quotes: bool) -> tuple[str, int]:
    start, quoted = at, False
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if quotes and text[at] == '"':
            quoted = not quoted
        elif text[at] == mark and not quoted:
            break
        at += 1
    return text[start:at], at


def _split(text: str, mark: str, *, quotes: bool) -> list[str]:
    found, at = [], 0
    while at <= len(text):
        part, at = _until(text, at, mark, quotes=quotes)
        found.append(part)
        at += 1
    return found


def _pair(text: str, value: Any) -> tuple[str, Any]:
    key, at = _until(text, 0, "=", quotes=False)
    return _unescaped(key, ",= "), value(text[at + 1 :])


def _unescaped(text: str, marks: str) -> str:
    found, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in marks:
            at += 1
        found += text[at]
        at += 1
    return found


def _value(text: str) -> Any:
    if text.startswith('"'):
        assert text.endswith('"')
        return _unescaped(text[1:-1], '"\\')
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text.endswith("i") else float(text)
