"""Who is at the command line, for the audit; and what commands about accounts work with."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from penstock.app import Penstock
from penstock.cli.session import executing
from penstock.core.extras import LateModule
from penstock.orchestrator.shelves import shelf_of

_auth: Any = LateModule("penstock.control.auth")


@contextmanager
def acting(opened: Callable[[], AbstractContextManager[Penstock]] = executing) -> Iterator[Any]:
    """Accounts, keys and the audit; what is done is told to the audit as that of whoever is logged in here.

    Args:
        opened: gives Penstock.
    """
    with opened() as penstock:
        auth = _auth.auth_of(penstock.journal, partial(shelf_of, penstock))
        token = _auth.ACTOR.set(_auth.Actor(f"system:{_login()}", "admin", "cli", None, None, "penstock"))
        try:
            yield auth
        finally:
            _auth.ACTOR.reset(token)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody has this number
        return str(os.getuid())
