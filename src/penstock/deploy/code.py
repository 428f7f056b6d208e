"""What a trace cannot see as it happens, and reads in the code of the flow: tests for None, handlers around calls."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

_TESTS = {"hasattr", "callable", "isinstance", "issubclass", "type", "id"}


def hidden_test(code: CodeType, around: dict[str, Any]) -> str | None:
    """A test in this code that looks at a value without the value's noticing; None where there is none.

    Args:
        code: of a flow.
        around: the global names of it.
    """
    for each in _with_inner(code):
        if found := _hidden_test(each, around):
            return found
    return None


def _hidden_test(code: CodeType, around: dict[str, Any]) -> str | None:
    before: Any = None
    line = code.co_firstlineno
    for each in dis.get_instructions(code):
        line = each.starts_line if isinstance(each.starts_line, int) and each.starts_line > 1 else line
        name = each.opname
        none = "JUMP" in name and "NONE" in name
        if none or name == "IS_OP" or name.startswith("MATCH_"):
            if before is not None and before.opname == "LOAD_GLOBAL":  # that is the same in every run
                continue
            what = f"`{before.argval}`" if none and before is not None and before.opname.startswith("LOAD_") else None
            told = f"tests whether {what or 'something'} is None" if none else "compares what values are"
            return f"{told} ({_where(code, each, line)})"
        if name.startswith("CHECK_E"):  # an `except` of some kind
            return f"handles exceptions ({_where(code, each, line)})"
        if name in ("LOAD_GLOBAL", "LOAD_NAME") and each.argval in _TESTS and each.argval not in around:
            return f"calls {each.argval}() ({_where(code, each, line)})"
        before = each
    return None


def _where(code: CodeType, instruction: Any, line: int) -> str:
    at = getattr(instruction, "positions", None)
    return f"line {at.lineno if at is not None and at.lineno else line} of {code.co_name}"


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _with_inner(each)


def guarded(frame: FrameType | None, outermost: CodeType) -> str | None:
    """What would learn of an exception that is raised in this frame, before it leaves the flow; None for nothing.

    Args:
        frame: the innermost one of the flow's own code.
        outermost: the code of the flow.
    """
    while frame is not None:
        if found := _handler(frame.f_code, frame.f_lasti):
            return found
        if frame.f_code is outermost:
            return None
        frame = frame.f_back
    return "something else than the flow itself"


@lru_cache(maxsize=2048)
def _handler(code: CodeType, place: int) -> str | None:
    instructions: dict[int, Any] = {each.offset: each for each in dis.get_instructions(code)}
    for entry in getattr(dis.Bytecode(code), "exception_entries", ()):
        if not entry.start <= place < entry.end:
            continue
        offsets = sorted(offset for offset in instructions if offset >= entry.target)[:2]
        names = [instructions[offset].opname for offset in offsets]
        if names[:1] != ["PUSH_EXC_INFO"]:  # the compiler's own, which raises it again
            continue
        return "a `with` block" if names[1:] == ["WITH_EXCEPT_START"] else "a `try` block"
    return None


def own_frame(depth: int = 2) -> FrameType | None:
    """The innermost frame that is not Penstock's."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("penstock."):
        frame = frame.f_back
    return frame
