"""What a journal asks of its database, said in the log: for whoever looks for a query that takes long, or too many."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from penstock.core.ports import Journal
from penstock.journal.access import SqlCore

_log = logging.getLogger("penstock.sql")
_LONGEST = 2_000


def echo(journal: Journal) -> None:
    """Have every query, append and write of a journal logged, with how long it took; what they are given is not."""
    if not isinstance(journal, SqlCore):
        return
    _log.setLevel(logging.DEBUG)
    if not _log.hasHandlers():
        _log.addHandler(logging.StreamHandler())
    told: dict[str, Callable[..., str]] = {
        "_fetch": lambda sql, *_: sql,
        "_write": lambda statements: "; ".join(sql for sql, _ in statements),
        "append": lambda stream, seq, records, *_: f"append {len(records)} to {stream}",
        "commit": lambda appends, *_: "append to " + ", ".join(each.stream for each in appends),
    }
    for name, said in told.items():
        setattr(journal, name, _echoing(getattr(journal, name), said))


def _echoing(method: Callable[..., Any], said: Callable[..., str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def echoed(*args: Any, **options: Any) -> Any:
        args = tuple(list(each) if hasattr(each, "__next__") else each for each in args)  # it is read twice
        began = time.perf_counter()
        try:
            return method(*args, **options)
        finally:
            took = (time.perf_counter() - began) * 1000
            text = " ".join(said(*args).split())[:_LONGEST] if not options else method.__name__
            _log.debug("%.2f ms  %s", took, text.encode("unicode_escape").decode())

    return echoed
