"""Bytes as text."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.extras import pl


def text_of(series: Any) -> Any:
    """A column of bytes as text, in memory of its own; a byte that is no text is spelled out."""
    try:
        known = series.cast(pl.String)
    except pl.exceptions.ComputeError:
        spelled = [each.decode("utf-8", "backslashreplace") if each is not None else None for each in series.to_list()]
        return pl.Series(spelled, dtype=pl.String)
    return pl.Series(known.to_arrow(compat_level=pl.CompatLevel.oldest()))


def text_or_null(series: Any) -> Any:
    """A column of bytes as text; null where it is none."""
    try:
        return series.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_text(each) for each in series.to_list()], dtype=pl.String)


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return None
