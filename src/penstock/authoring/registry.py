"""The flows declared in this process."""

from __future__ import annotations

from typing import Any

_declared: dict[str, Any] = {}


def remember(flow: Any) -> None:
    """Note a flow that was declared."""
    _declared[flow.name] = flow


def forget(flow: Any) -> None:
    """It is not to be found by name."""
    name: str = flow.name
    if _declared.get(name) is flow:
        del _declared[name]


def declared_flows() -> dict[str, Any]:
    """Every flow declared in this process so far, by name."""
    return dict(_declared)
