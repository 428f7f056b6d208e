"""Log lines as JSON, one object on each line: for programs that collect them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import msgspec

from penstock.core.clock import iso
from penstock.core.context import current_scope

log_facts: ContextVar[Mapping[str, Any]] = ContextVar("penstock_log_facts", default=MappingProxyType({}))
"""What else is said in every line that is logged here, such as the id of a request."""
_LONGEST = 100_000
_encode = msgspec.json.Encoder(enc_hook=str).encode


class JsonLines(logging.Formatter):
    """One JSON object for each line: whatever a message holds, it begins no other line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        try:
            message = record.getMessage()
        except Exception:  # its arguments do not fit; the line is told all the same
            message = str(record.msg)
        line: dict[str, Any] = {
            "at": iso(int(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "message": message[:_LONGEST],
            **_run_of(record),
            **log_facts.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)[:_LONGEST]
        try:
            return _encode(line).decode()
        except UnicodeEncodeError:  # half a surrogate pair
            return _encode({name: _storable(value) for name, value in line.items()}).decode()


def _storable(value: Any) -> Any:
    return str(value).encode("utf-8", "backslashreplace").decode() if not isinstance(value, (int, float)) else value


def _run_of(record: logging.LogRecord) -> dict[str, Any]:
    """Which run and step it is about."""
    scope = current_scope.get()
    run_id, step = getattr(record, "run_id", None), getattr(record, "step", None)
    if run_id is None and scope is not None and scope.live is not None:
        run_id, step = scope.live.id, scope.key
    found = {"run_id": run_id, "step": step}
    return {name: value for name, value in found.items() if value is not None}
