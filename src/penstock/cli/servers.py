"""`--server URL`: which commands can be meant for a server, and what is said of those that cannot."""

from __future__ import annotations

import os

from penstock.cli.anywhere import into_environment
from penstock.core.errors import ConfigurationError

VARIABLE = "PENSTOCK_SERVER"

REMOTE = {
    "runs": ("list", "show", "logs", "resume", "fork", "pause", "cancel", "delete", "answer", "approve", "reject"),
    "workflows": (
        "create", "apply", "list", "show", "versions", "rollback", "clone", "enable", "disable", "trigger", "dry-run",
        "export", "delete",
    ),
    "deployments": ("list", "show", "run", "pause", "resume", "delete"),
    "automations": ("list", "show", "pause", "resume", "delete", "test"),
    "events": ("list", "follow", "emit"),
    "pools": ("list", "show"),
    "limits": ("list",),
    "dataset": ("list", "show", "history"),
    "users": ("create-admin", "create", "list", "role", "disable", "enable", "password", "delete"),
    "keys": ("create", "list", "revoke", "rotate"),
    "audit": ("list", "verify", "export"),
    "webhook": ("create", "list", "show", "delete", "test", "deliveries", "delivery", "redeliver"),
    "alerts": ("list", "retry", "test", "silence", "silences"),
    "connection": ("create", "list", "show", "test", "delete"),
}  # fmt: skip
"""What a server is asked for."""

_APART = ("init", "version", "profile", "schedule", "logs", "quality", "sql", "login", "logout")
"""What has nothing to do with a journal, and is the same wherever that is."""


def meant_for_server(arguments: list[str]) -> list[str]:
    """The arguments without `--server URL`, which may stand anywhere before a `--`, and is as if the variable had it.

    Raises:
        ConfigurationError: no address follows it, or the command cannot be meant for a server.
    """
    kept, rest = into_environment(arguments, "--server", VARIABLE, "such as --server http://127.0.0.1:4300")
    if os.environ.get(VARIABLE) and "--help" not in kept:
        _refuse_others([each for each in kept if not each.startswith("-")])
    return kept + rest


def _refuse_others(words: list[str]) -> None:
    group, command = (*words, "", "")[:2]
    if not group or group in _APART or (group in REMOTE and command in ("", *REMOTE[group])):
        return
    named = f"penstock {group} {command}" if group in REMOTE else f"penstock {group}"
    raise ConfigurationError(
        f"`{named}` works with the journal at hand, and {os.environ[VARIABLE]} is a server.",
        hint=f"use it where the server is, or leave --server out and unset {VARIABLE}",
    )
