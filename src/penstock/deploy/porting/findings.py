"""What is found in a file that was written for another orchestrator, and how its text is changed."""

from __future__ import annotations

import ast
import io
import itertools
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from penstock.core.errors import AuthoringError

LARGEST = 10_000_000


class BadPort(AuthoringError, ValueError):
    """The file cannot be taken over."""

    code = "bad-port"


class Verdict(StrEnum):
    """What becomes of something."""

    SAME = "unchanged"
    CHANGED = "rewritten"
    TODO = "needs a change"
    NONE = "no equal"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something of the other orchestrator in a file.

    Attributes:
        line: where, from 1.
        what: its name, as it is written.
        verdict: what becomes of it.
        note: what differs, what to write instead, or why there is nothing.
    """

    line: int
    what: str
    verdict: Verdict
    note: str = ""


class Ported(msgspec.Struct, frozen=True):
    """A file, looked through.

    Attributes:
        path: where it is; empty of a text.
        findings: in the order of the file.
        text: the file, rewritten as far as that goes.
        changed: whether that is another text.
    """

    path: str
    findings: tuple[Finding, ...]
    text: str
    changed: bool

    @property
    def ready(self) -> bool:
        """Whether it runs as it is rewritten: nothing is left to be done by hand."""
        return not any(each.verdict in (Verdict.TODO, Verdict.NONE) for each in self.findings)


class Edit(NamedTuple):
    """A piece of a text that is replaced; a place is a line, from 1, and a column in bytes, as `ast` counts.

    Attributes:
        begin: where the piece begins.
        end: where it ends.
        text: what comes there instead.
    """

    begin: tuple[int, int]
    end: tuple[int, int]
    text: str


def over(node: ast.AST, text: str) -> Edit:
    """The edit that puts a text in the place of a node."""
    begin, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return Edit(begin, end, text)


def parsed(text: str, path: str) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        BadPort: it is no Python.
    """
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        told = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BadPort(f"{path or 'The text'}{where} is no Python: {told}.", hint="see that Python can run it") from None
    except (RecursionError, MemoryError):
        raise _too_deep(path) from None


def _too_deep(path: str) -> BadPort:
    """The error for a file that nobody has written by hand."""
    return BadPort(f"{path or 'The text'} is nested too deeply to be read.")


def read(path: Path) -> str:
    """The text of a file of Python.

    Raises:
        BadPort: it cannot be read.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise BadPort(f"{path} has more than {LARGEST:,} bytes.", hint="name the file that declares the flows")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadPort(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise BadPort(f"{path} is no UTF-8: {error.reason} at byte {error.start}.") from None


def edited(text: str, edits: list[Edit]) -> str:
    """A text with pieces of it replaced; pieces do not overlap. Line ends stay as they are."""
    lines = [len(line.encode()) for line in io.StringIO(text, newline="")]
    starts = [0, *itertools.accumulate(lines)]
    made, done, whole = [], 0, text.encode()
    for edit in sorted(edits):
        begin, end = (starts[line - 1] + column for line, column in (edit.begin, edit.end))
        made += [whole[done:begin], edit.text.encode()]
        done = end
    return b"".join([*made, whole[done:]]).decode()


class Reader(ast.NodeVisitor):
    """Gathers what is found in a file, and what is to be changed.

    Attributes:
        findings: in whatever order.
        edits: that do not overlap.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.edits: list[Edit] = []

    def look(self, module: ast.Module) -> None:
        """Look through the file."""
        self.visit(module)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function, which may be a flow or a task."""
        self.declared(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """The same of coroutines."""
        self.declared(node)

    def declared(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Look at a function."""
        self.generic_visit(node)

    def find(self, node: ast.AST, what: str, verdict: Verdict, note: str = "") -> None:
        """Tell of something."""
        self.findings.append(Finding(getattr(node, "lineno", 1), what, verdict, note))


def looked_through(reader: Reader, text: str, path: str) -> Ported:
    """What a reader finds in a text, and makes of it.

    Raises:
        BadPort: it is no Python.
    """
    try:
        reader.look(parsed(text, path))
    except RecursionError:
        raise _too_deep(path) from None
    made = edited(text, reader.edits)
    found = tuple(sorted(reader.findings, key=lambda each: each.line))
    return Ported(path, found, made, made != text)


def is_nothing(node: ast.AST) -> bool:
    """Whether an option is given None or False, as if it were left out."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def dotted(node: ast.AST) -> str | None:
    """`a.b.c` of an expression that is nothing but names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None
