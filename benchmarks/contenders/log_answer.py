"""What the contenders of logs look for, and how they answer: in one form, so that the answers can be compared."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from meter import inside

PATTERN = (
    r'^[!-~]+ [!-~]+ [!-~]+ \[([ -~]{17}):[0-9]{2} [+-][0-9]{4}\] "[A-Z]+ ([!#->@-~]+)[^"]*" ([0-9]{3}) ([0-9]+|-) "'
)
"""A line of the combined format: minute, path without its query, status and bytes.

Classes of plain ASCII, and nothing after the bytes, so that it is quick in every engine that was tried. A line that is
cut does not end in a quote, which is asked for beside it.
"""

NAMES = ("minute", "path", "status", "bytes")
NO_DATE = "31/Feb"
"""The one date in generated logs that is none. It is known here, because looking at each date would cost time."""

FIRST = 10


def save(groups: Iterable[tuple[Any, Any, Any, Any]], paths: Iterable[tuple[str, Any]]) -> None:
    """Leave an answer where the harness looks.

    Args:
        groups: minute (its text, or a moment), status, requests and bytes; in any order.
        paths: how often each of the first ones was asked for.
    """
    told = sorted((minute_of(minute), int(status), int(n), int(sent)) for minute, status, n, sent in groups)
    first = sorted(((path, int(n)) for path, n in paths), key=lambda pair: (-pair[1], pair[0]))
    with open(inside("answer.json"), "w", encoding="utf-8") as answer:
        json.dump({"groups": told, "paths": first[:FIRST]}, answer)


def minute_of(told: str | datetime) -> int:
    """A minute as a number, from 1970 on."""
    moment = datetime.strptime(told, "%d/%b/%Y:%H:%M").replace(tzinfo=UTC) if isinstance(told, str) else told
    return int(moment.timestamp()) // 60
