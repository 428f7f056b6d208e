"""Automations and their firings as data: what each did, and why one does not fire any more."""

from __future__ import annotations

from typing import Any

from penstock.core.clock import iso
from penstock.core.model import StoredAutomation
from penstock.core.plans import ActionEnded, ActionTried, AutomationDeclared, AutomationFired, stream_of
from penstock.core.ports import Journal

_LOOK_BACK = 2000


def automation_record(stored: StoredAutomation) -> dict[str, Any]:
    """An automation."""
    return {**stored.spec, "paused": stored.paused, "fired_at": iso(stored.fired_at)}


def firings_of(journal: Journal, name: str, limit: int) -> tuple[str | None, list[dict[str, Any]]]:
    """Why an automation was last paused by itself, and its last firings (newest first) with what became of them."""
    stream = stream_of("automation", name)
    reason: str | None = None
    fired: list[AutomationFired] = []
    for stored in journal.load(stream, max(0, journal.last_seq(stream) - _LOOK_BACK)):
        if isinstance(stored.event, AutomationDeclared):
            reason = stored.event.reason
        elif isinstance(stored.event, AutomationFired):
            fired.append(stored.event)
    return reason, [_firing_record(journal, each) for each in fired[::-1][:limit]]


def _firing_record(journal: Journal, fired: AutomationFired) -> dict[str, Any]:
    actions = []
    for place, owed in enumerate(fired.actions):
        state, error, facts, attempts = "waiting", None, {}, 0
        for stored in journal.load(f"action/{fired.id}/{place}"):
            event = stored.event
            if isinstance(event, ActionTried):
                state, error, attempts = "tried" if event.error else "under way", event.error, event.attempt
            elif isinstance(event, ActionEnded):
                state, error, facts = "failed" if event.error else "done", event.error, event.facts
        actions.append({"type": owed.do["type"], "state": state, "error": error, "attempts": attempts, "facts": facts})
    return {"id": fired.id, "at": iso(fired.at), "facts": fired.facts, "actions": actions}
