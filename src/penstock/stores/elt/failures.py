"""What can be wrong with a model, and where in its file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from penstock.core.errors import AuthoringError, DataError
from penstock.core.words import mistakes_told


class BadModel(AuthoringError, ValueError):
    """A SQL model cannot be. Every mistake is told."""

    code = "bad-model"


class ModelFailed(DataError):
    """The database did not execute a model's query."""

    code = "model-failed"


def refuse(about: str, mistakes: Sequence[str], hint: str | None = None) -> None:
    """Tell all mistakes at once.

    Raises:
        BadModel: there are some.
    """
    if mistakes:
        raise BadModel(mistakes_told(about, mistakes), hint=hint)


def place(file: str, line: int | None) -> str:
    """Where a mistake is."""
    return f"{file}, line {line}" if line is not None else file


def line_in_file(source: str, query: str, line: int | None) -> int | None:
    """The line of a file that a line of the query came from.

    What a template leaves out or repeats moves the lines below it, so lines that are the same in both are found
    first; a line between them that was filled in is as far from its neighbour in the file as it is in the query.

    Args:
        source: what is in the file.
        query: what it was made into.
        line: of the query, from 1.
    """
    here, there = source.splitlines(), query.splitlines()
    if line is None or not 1 <= line <= len(there):
        return None
    wanted = line - 1
    matcher = SequenceMatcher(None, [one.strip() for one in here], [one.strip() for one in there], autojunk=False)
    for _, first, last, start, end in matcher.get_opcodes():
        if start <= wanted < end:
            return min(first + wanted - start, max(last - 1, first), len(here) - 1) + 1
    return None
