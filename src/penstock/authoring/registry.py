"""The flows declared in this process, and the hooks of its tasks."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

from penstock.core.origins import reference_to

_declared: dict[str, Any] = {}
_hooks: weakref.WeakSet[Any] = weakref.WeakSet()


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


def remember_hook(hook: Any) -> None:
    """Note a hook of a task, by which a transaction is undone or confirmed."""
    with suppress(TypeError):  # nothing that another process could find
        _hooks.add(hook)


def hook_named(reference: str) -> Any:
    """The hook with this reference; None where there is none, or more than one that could be meant."""
    found = [hook for hook in list(_hooks) if reference and reference_to(hook) == reference]
    codes = {id(hook.__code__) for hook in found}
    if len(found) > 1 and (len(codes) > 1 or any(hook.__closure__ for hook in found)):
        return None
    return found[0] if found else None
