"""Finding the flows behind FILE:NAME or MODULE:NAME."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.core.errors import FlowNotFound


def load_module(target: str) -> ModuleType:
    """Import a module by name, or from a .py file (whose folder is put on the path, as `python FILE` does).

    Raises:
        FlowNotFound: there is no such file or module, or it fails to import (with the reason).
    """
    path = Path(target)
    try:
        if target.endswith(".py") or path.is_file():
            if not path.is_file():
                raise FlowNotFound(f"There is no file {target!r}.", hint="give FILE.py:FLOW or MODULE:FLOW")
            return _load_file(path.resolve())
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(target)
    except FlowNotFound:
        raise
    except ModuleNotFoundError as error:
        if error.name and (target == error.name or target.startswith(error.name + ".")):
            raise FlowNotFound(
                f"There is no module {target!r}.",
                hint="give FILE.py:FLOW or MODULE:FLOW, seen from this folder",
            ) from None
        raise FlowNotFound(
            f"{target} needs the module {error.name!r}, which is not installed.",
            hint=f"install it (perhaps: pip install {error.name})",
        ) from error
    except Exception as error:
        lines = traceback.format_exception_only(error)
        raise FlowNotFound(
            f"{target} could not be imported: {''.join(lines).strip()}{_where(error, target)}",
            hint="run the file with python to see the whole traceback",
        ) from error


def _where(error: BaseException, target: str) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(Path(target).name)]
    return f" (line {frames[-1].lineno})" if frames else ""


def _load_file(path: Path) -> ModuleType:
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    if known is not None or not name.isidentifier():
        name = f"_penstock_{abs(hash(str(path))):x}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FlowNotFound(f"{path.name} is not a Python file.", hint="give FILE.py:FLOW or MODULE:FLOW")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def is_flow(value: Any) -> bool:
    """True for what `@flow` makes."""
    return getattr(type(value), "is_flow", False) is True


def flows_in(module: ModuleType) -> dict[str, Any]:
    """The flows a module declares, by variable name (imported ones come after its own)."""
    found = {name: value for name, value in vars(module).items() if is_flow(value)}
    own = {name: value for name, value in found.items() if value.fn.__module__ == module.__name__}
    return own or found


def load_flow(entrypoint: str) -> Any:
    """The flow behind `FILE.py:NAME` or `MODULE:NAME`; NAME may be left out when there is only one.

    Raises:
        FlowNotFound: it says what is there instead.
    """
    target, colon, name = entrypoint.rpartition(":")
    if not colon or "/" in name or name.endswith(".py"):
        target, name = entrypoint, ""
    module = load_module(target)
    flows = flows_in(module)
    if not name:
        if len(flows) == 1:
            return next(iter(flows.values()))
        if not flows:
            raise FlowNotFound(f"{target} declares no flow.", hint="put @flow above a function")
        raise FlowNotFound(f"{target} has {len(flows)} flows, so say which.", hint=f"flows there: {', '.join(flows)}")
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is None:
        value = next((flow for flow in flows.values() if flow.name == name), None)
    if value is None:
        known = ", ".join(flows) or "none"
        raise FlowNotFound(f"{target} has no flow {name!r}.", hint=f"flows there: {known}")
    if not is_flow(value):
        raise FlowNotFound(
            f"{name!r} in {target} is no flow ({type(value).__name__}).", hint="put @flow above the function"
        )
    return value
