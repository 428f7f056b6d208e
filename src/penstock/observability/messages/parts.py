"""What the messages of an alert are made of: texts that are cut and cannot break out, and the facts people look for."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from penstock.core.model import Alert
from penstock.core.templates import as_text, lookup

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SIGNS = {"info": "\N{INFORMATION SOURCE}", "warning": "\N{WARNING SIGN}", "error": "\N{CROSS MARK}"}
_DONE = "\N{WHITE HEAVY CHECK MARK}"
_FACTS = {
    "flow": "flow",
    "deployment": "deployment",
    "run": "run.name",
    "state": "state",
    "task": "task",
    "dataset": "dataset",
    "about": "about",
    "run id": "run.id",
}


def plain(text: Any) -> str:
    """A text without characters that control a terminal, a header or the direction of writing."""
    return _CONTROL.sub(" ", as_text(text).encode("utf-8", "replace").decode())


def line(text: Any, most: int) -> str:
    """One line of text, of so many characters at most."""
    return cut(" ".join(plain(text).split()), most)


def cut(text: str, most: int) -> str:
    """A text of so many characters at most."""
    return text if len(text) <= most else text[: most - 3] + "..."


def rows(alert: Alert) -> Iterator[tuple[str, str]]:
    """What people look for, as (name, value), where it is known."""
    yield "automation", line(alert.automation, 200)
    for name, path in _FACTS.items():
        try:
            found = lookup(alert.facts, path)
        except KeyError:
            continue
        if found is not None:
            yield name, line(found, 200)
    for name, found in alert.more.items():
        yield line(name, 60), line(found, 500)


def sign(alert: Alert) -> str:
    """What it is, at a glance."""
    return _DONE if alert.resolves is not None else _SIGNS.get(alert.level, "")


def word(alert: Alert) -> str:
    """The same in a word."""
    return "resolved" if alert.resolves is not None else alert.level


def log(alert: Alert, most: int) -> str:
    """The end of what was logged; it cannot end a block of code that it is put into."""
    found = plain(alert.log or "").replace("`", "'").strip("\n")
    return found if len(found) <= most else "..." + found[3 - most :]


def title(alert: Alert, most: int) -> str:
    """What it is about, in a line."""
    return line(alert.title, most) or line(alert.automation, most) or "Alert"


def message(alert: Alert, most: int) -> str:
    """What is said, in lines."""
    return cut(plain(alert.message), most)


def when(alert: Alert, later_seconds: float = 0) -> str:
    """When it was, or so much later: `2026-01-31T13:03:22Z`."""
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=alert.at // 1_000_000 + later_seconds)
    return at.isoformat(timespec="seconds") + "Z"


def safe_link(link: str | None) -> str | None:
    """A link to a web page; None for anything else."""
    if link is None or re.search(r"[\s<>\"'`|\\\x00-\x1f\x7f]", link):
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.netloc else None
