"""Who may do what, and who did: accounts, keys, sessions, tokens and the audit. Nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import msgspec

from penstock.control.auth.accounts import Account, Accounts
from penstock.control.auth.audited import AuditedJournal
from penstock.control.auth.gate import Gate
from penstock.control.auth.keys import ApiKey, ApiKeys, MadeKey
from penstock.control.auth.log import ACTOR, Actor, AuditLog
from penstock.control.auth.pauses import Pauses
from penstock.control.auth.refusals import Refusals
from penstock.control.auth.sessions import Sessions, Tokens
from penstock.control.auth.signing import Signing
from penstock.core.ports import Journal
from penstock.engine.connections.shelf import Shelf

__all__ = [
    "ACTOR",
    "Account",
    "Accounts",
    "Actor",
    "ApiKey",
    "ApiKeys",
    "AuditLog",
    "AuditedJournal",
    "Auth",
    "MadeKey",
    "Tokens",
    "auth_of",
]


class Auth(msgspec.Struct, frozen=True):
    """All of it, wired together.

    Attributes:
        journal: audits what is appended for somebody.
        shelf: the project's connections.
    """

    journal: Journal
    shelf: Shelf
    log: AuditLog
    accounts: Accounts
    keys: ApiKeys
    signing: Signing
    sessions: Sessions
    refusals: Refusals
    gate: Gate


def auth_of(journal: Journal, shelf_over: Callable[[Journal], Shelf]) -> Auth:
    """Who may do what with a journal.

    Args:
        journal: the real one.
        shelf_over: gives the connections of a journal; the signing keys are among them.
    """
    identity = lru_cache(maxsize=1)(journal.identity)
    log = AuditLog(journal)
    audited = cast("Journal", AuditedJournal(journal, log))
    shelf = shelf_over(audited)
    accounts = Accounts(journal, log)
    keys = ApiKeys(journal, log, accounts)
    signing = Signing(shelf, lambda: f"penstock/{identity()}")
    refusals = Refusals(log)
    sessions = Sessions(journal, log, accounts, keys, signing, Pauses(journal, identity), refusals)
    gate = Gate(journal, accounts, keys, signing)
    return Auth(audited, shelf, log, accounts, keys, signing, sessions, refusals, gate)
