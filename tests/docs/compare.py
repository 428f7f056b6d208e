"""Does a page show what really comes out?

What differs from run to run is made alike on both sides first: ids, names of runs, times and durations, and how wide
a column or a rule is. In a page, `...` stands for anything; on a line of its own, for any number of lines.
"""

from __future__ import annotations

import re

from penstock.core import ids

_NAMES = rf"\b(?:{'|'.join(ids._ADJECTIVES)})-(?:{'|'.join(ids._NOUNS)})\b"
_ALIKE = (
    (re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]"), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "<id>"),
    (re.compile(_NAMES), "<name>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|\+00:00)?"), "<time>"),
    (re.compile(r"\b\d\d?:\d\d(?::\d\d)?(?:\.\d+)?\b"), "<time>"),
    (re.compile(r"\bnow\b|\b\d+ (?:s|min) ago\b"), "<ago>"),
    (re.compile(r"\bin \d+ (?:min|h \d\d min|d \d\d h)\b"), "in <ahead>"),
    (re.compile(r"<?\b\d+(?:\.\d+)? ?(?:us|µs|ms|s)\b"), "<duration>"),
    (re.compile(r"^● [\d,]+ lines.*\n", re.MULTILINE), ""),  # how far it was, where that took long
    (re.compile(r"[─━═]+"), "─"),
    (re.compile(r"[ \t]+"), " "),
)


def alike(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in _ALIKE:
        text = pattern.sub(instead, text)
    lines = [line.strip() for line in text.strip().split("\n")]
    return "\n".join(line for line in lines if line)


def shows(page: str, real: str) -> bool:
    """True when the page shows what came out."""
    parts = []
    for line in alike(page).split("\n"):
        if line == "...":
            parts.append(r"(?:.*\n)*")
        else:
            parts.append(r".*".join(re.escape(part) for part in line.split("...")) + r"\n")
    return re.fullmatch("".join(parts), alike(real) + "\n") is not None
