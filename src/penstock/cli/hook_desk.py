"""Webhooks for commands: those of the journal at hand. `hook_desk_remote` has the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock.app import Penstock
from penstock.control import webhooks
from penstock.control.webhooks import Hook, Outcome, Receiver, Rehearsal, Request
from penstock.control.webhooks.deliveries import Kept
from penstock.core.errors import ConnectionNotFound
from penstock.core.webhooks import StoredDelivery
from penstock.orchestrator.shelves import shelf_of


class Declared(NamedTuple):
    """What was made.

    Attributes:
        again: it is in the place of another one.
        missing: its secrets that are not saved.
    """

    again: bool
    missing: list[str]


class LocalHooks:
    """The webhooks of the journal at hand."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal
        self._shelf = shelf_of(penstock)

    def _receiver(self) -> Receiver:
        return Receiver(self._journal, webhooks.secret_of(self._shelf.load))

    def all(self) -> Sequence[Hook]:
        """Every one of them, by name."""
        return webhooks.every_hook(self._journal)

    def get(self, name: str) -> Hook:
        """One of them."""
        return webhooks.find_hook(self._journal, name)

    def declare(self, hook: Hook, overwrite: bool) -> Declared:
        """Make one; `overwrite`: also in the place of the one that has its name."""
        again = webhooks.declare(self._journal, hook, overwrite=overwrite)
        missing = []
        for each in hook.secrets:
            try:
                self._shelf.find(each.connection)
            except ConnectionNotFound:
                missing.append(each.connection)
        return Declared(again, missing)

    def delete(self, name: str) -> None:
        """Remove one."""
        webhooks.delete(self._journal, name)

    def rehearse(self, name: str, request: Request, signed: bool) -> Rehearsal:
        """What would become of a request; `signed`: its signature is looked at."""
        hook = webhooks.find_hook(self._journal, name)
        secrets = self._receiver().secrets(hook, request.at) if signed else []
        return webhooks.rehearse(hook, request, secrets, signed=signed)

    def deliveries(self, name: str | None, status: str | None, limit: int) -> Sequence[StoredDelivery]:
        """What came, the newest first."""
        found = self._journal.deliveries(name, status, limit=limit)
        if name is not None and not found:
            webhooks.find_hook(self._journal, name)
        return found

    def delivery(self, ident: str) -> Kept:
        """One of these, with all that was kept of it."""
        return webhooks.find_delivery(self._journal, ident)

    def redeliver(self, ident: str) -> Outcome:
        """Make events of it once more."""
        return self._receiver().redeliver(ident)
