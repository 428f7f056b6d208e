"""Asking whether something that cannot be undone is to be done."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from penstock.core.errors import ConfigurationError

YES = typer.Option("--yes", "-y", help="Do not ask.")


def ask(
    question: str, *, what: str = "deleted", hint: str = "add --yes", show: Callable[[], object] | None = None
) -> None:
    """Go on only if somebody says yes.

    Args:
        question: what they are asked.
        what: would otherwise have been done.
        hint: how to do it without being asked.
        show: tells them first what it is about.

    Raises:
        ConfigurationError: there is nobody at a terminal.
        typer.Abort: they say no.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(f"Nothing was {what}: there is nobody to ask.", hint=hint)
    if show is not None:
        show()
    typer.confirm(question, abort=True, err=True)
