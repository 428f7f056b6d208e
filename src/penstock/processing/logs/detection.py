"""What format a file has, told from its first lines."""

from __future__ import annotations

import re

from penstock.core.errors import BadData
from penstock.processing.logs import access
from penstock.processing.logs.blocks import Block
from penstock.processing.logs.extras import pl
from penstock.processing.logs.text_formats import FORMATS, TextFormat, parsed

ACCESS = "access"
ACCESS_NAMES = ("access", "common", "combined", "nginx")
"""All of them are read alike: what a line has is told from the line."""

_LOOKED_AT = 200
_LINE = re.compile(rb"[^\n]*\n")


def chosen(name: str) -> TextFormat | None:
    """The format of that name; None for access logs.

    Raises:
        BadData: there is none.
    """
    if name in ACCESS_NAMES:
        return None
    if name not in FORMATS:
        known = ", ".join(["auto", *ACCESS_NAMES, *FORMATS])
        raise BadData(f"There is no log format {name!r}.", hint=f"one of {known}; or give a pattern of your own")
    return FORMATS[name]


def detected(block: Block) -> TextFormat | None:
    """The format that most of the first lines have; None for an access log, also where no format fits."""
    lines: list[bytes] = []
    for found in _LINE.finditer(block.buffer, block.start, block.end):
        text = found[0].strip(b"\r\n")
        if text.strip():
            lines.append(text[:20_000])
        if len(lines) >= _LOOKED_AT:
            break
    best, most = None, sum(access.read(line) is not None for line in lines)
    series = pl.Series([line.decode("utf-8", "replace") for line in lines], dtype=pl.String)
    for kind in FORMATS.values():
        fits = len(lines) and int(parsed(series, kind, 2000)["time"].is_not_null().sum())
        if fits > most:
            best, most = kind, fits
    return best
