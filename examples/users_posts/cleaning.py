"""Values from outside, as clean text and numbers."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\ufeff]")


def text(value: Any) -> str:
    """Text or a number as text, without HTML entities and invisible characters; anything else is no text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    readable = html.unescape(str(value)).encode("utf-8", "replace").decode("utf-8")
    return INVISIBLE.sub("", unicodedata.normalize("NFC", readable))


def line(value: Any) -> str:
    """Text on one line, with single spaces."""
    return " ".join(text(value).split())


def paragraphs(value: Any) -> str:
    """Text that keeps its lines, each of them clean, and ends where it ends."""
    return "\n".join(" ".join(each.split()) for each in text(value).splitlines()).strip()


def email_address(value: Any) -> str:
    """The address in lower case, or nothing where it cannot be one."""
    address = line(value).lower()
    return address if EMAIL.fullmatch(address) else ""


def whole_number(value: Any) -> int | None:
    """A whole number from 0, also when it came as text or with a decimal point; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value if value >= 0 else None
    digits = line(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
