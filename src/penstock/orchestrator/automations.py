"""Automations in a journal: declared, paused, resumed, deleted; and the one that looks after them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from penstock.core.alerting import alert_settings
from penstock.core.automations import Automation, as_data, checked, declared
from penstock.core.errors import (
    AutomationConflict,
    BadAlerts,
    BadAutomation,
    ConfigurationError,
    PenstockError,
    PlanNotFound,
)
from penstock.core.events import Event, now_us
from penstock.core.model import StoredAutomation
from penstock.core.plans import AutomationDeclared, AutomationDeleted
from penstock.core.ports import Alerts, Journal, Watch
from penstock.core.ports.reading import Reading
from penstock.orchestrator.actions import Actions
from penstock.orchestrator.alerts import plugged_names
from penstock.orchestrator.breaches import breaches, unknown_places
from penstock.orchestrator.calls import Send, call
from penstock.orchestrator.declaring import tables_in
from penstock.orchestrator.evaluator import BEGINNING, CURSOR, Evaluator
from penstock.orchestrator.known import Spread
from penstock.orchestrator.plans import change_plan

_log = logging.getLogger("penstock.automations")
_LOOK_SECONDS = 1.0
_REST_SECONDS = 0.05
_SETTLE_SECONDS = 60.0
_LEAVE_SECONDS = 2.0
_MOST_TURNS = 1000
_NEVER = 2**62


class Automations:
    """Lets automations fire, and carries out what they are for. One of all there are is enough; more do no harm.

    Args:
        journal: whose automations.
        alerts: places for alerts, by name.
        send: what carries out calls.
        spread: where and when actions are owed.
    """

    def __init__(
        self, journal: Journal, alerts: Mapping[str, Alerts], send: Send = call, spread: Spread | None = None
    ) -> None:
        self.journal = journal
        self.evaluator = Evaluator(journal, spread)
        self.actions = Actions(journal, alerts, send)
        self._watch: Watch | None = None

    def turn(self, now: int | None = None) -> int:
        """Do what is to be done by now, as much of it as can be done quickly; returns how much that was."""
        now = now_us() if now is None else now
        done = 0
        for part in (self.evaluator.turn, self.actions.turn):
            try:
                done += part(now)
            except PenstockError:
                raise
            except Exception:
                _log.exception("Automations failed, which is a mistake in Penstock")
        return done

    def settle(self, now: int | None = None) -> None:
        """Do all that is to be done by now, and wait for what is done outside."""
        now = now_us() if now is None else now
        for _ in range(_MOST_TURNS):
            done = self.turn(now)
            self.actions.outside.settle(_SETTLE_SECONDS)
            if not done and not self.evaluator.behind:
                return

    def next_due(self) -> int | None:
        """When there is something to do even if nothing happens: a silence is too long, or an attempt is due."""
        owed = self.journal.owed_actions(_NEVER, True, 1)
        found = [self.evaluator.next_silence(), *(each.due_at for each in owed)]
        return min((at for at in found if at is not None), default=None)

    def attend(self, stop: threading.Event, leads: Callable[[], bool]) -> None:
        """Take turns until told to stop, while this process leads: when something happens, and when time has passed."""
        watch = self._watch = self.journal.watch()
        self.actions.outside.ended = watch.wake
        try:
            while not stop.is_set():
                began = time.monotonic()
                if leads():
                    self._turn_or_tell()
                if not self.evaluator.behind:
                    watch.wait(_LOOK_SECONDS)
                stop.wait(max(0.0, began + _REST_SECONDS - time.monotonic()))
        finally:
            self.actions.outside.settle(_LEAVE_SECONDS)
            self._watch = None
            watch.close()

    def _turn_or_tell(self) -> None:
        try:
            self.turn()
        except PenstockError as error:
            _log.error("Automations could not go on (%s); they try again.", error.message)

    def wake(self) -> None:
        """Let `attend` look at once whether it is to stop."""
        watch = self._watch
        if watch is not None:
            watch.wake()


def find_automation(journal: Reading, name: str) -> StoredAutomation:
    """One automation.

    Raises:
        PlanNotFound: there is none of this name.
    """
    found = journal.automations(name)
    if not found:
        known = ", ".join(each.name for each in journal.automations()[:10]) or "none"
        raise PlanNotFound(f"There is no automation {name!r}.", hint=f"automations there are: {known}")
    return found[0]


def declare(journal: Journal, *automations: Automation) -> list[str]:
    """Make automations what they are here; returns the names of those that were not so already.

    One that was paused since it was declared stays paused until it is resumed, or declared otherwise.

    Raises:
        BadAutomation: one cannot be; then none is declared.
    """
    good = [checked(automation) for automation in automations]
    return [automation.name for automation in good if _declare(journal, automation)]


def create(journal: Journal, automation: Automation, *, again: bool = False) -> None:
    """Make an automation.

    Args:
        journal: where.
        automation: what it is.
        again: it may have been made already, if it is just like this.

    Raises:
        BadAutomation: it cannot be.
        AutomationConflict: there is one of this name.
    """
    good = checked(automation)
    data = as_data(good)
    _skip_the_past(journal)

    def event() -> Event | None:
        known = journal.automations(good.name)
        if known and again and known[0].spec == data:
            return None
        if known:
            told = f"There is an automation {good.name!r} already."
            raise AutomationConflict(told, hint="give another name, or change that one")
        return AutomationDeclared(at=now_us(), name=good.name, spec=data, paused=good.paused)

    change_plan(journal, "automation", good.name, event)


def change(journal: Journal, name: str, edit: Callable[[StoredAutomation], Automation]) -> None:
    """Make another one of an automation. It is paused as it was, unless what is said of that has changed.

    Args:
        journal: where it is.
        name: of the automation.
        edit: gives what it is to be; it raises where it is not to be changed.

    Raises:
        PlanNotFound: there is none of this name.
        BadAutomation: it cannot be like that.
    """

    def event() -> Event | None:
        stored = find_automation(journal, name)
        good = checked(edit(stored))
        data = as_data(good)
        if data == stored.spec:
            return None
        same = data.get("paused", False) == stored.spec.get("paused", False)
        return AutomationDeclared(at=now_us(), name=name, spec=data, paused=stored.paused if same else good.paused)

    change_plan(journal, "automation", name, event)


def compared(journal: Journal, automations: Iterable[Automation]) -> dict[str, str]:
    """What declaring these would do to each: new, changed or unchanged."""
    found = {}
    for automation in automations:
        known = journal.automations(automation.name)
        same = bool(known) and known[0].spec == as_data(automation)
        found[automation.name] = "unchanged" if same else "changed" if known else "new"
    return found


def declared_no_more(journal: Journal, file: Path, automations: Mapping[str, Automation]) -> list[str]:
    """Automations that a pyproject.toml has declared, and does not declare any more."""
    return [
        stored.name
        for stored in journal.automations()
        if stored.name not in automations and stored.spec.get("folder") == str(file.parent)
    ]


def _declare(journal: Journal, automation: Automation) -> bool:
    data = as_data(automation)
    _skip_the_past(journal)

    def event() -> Event | None:
        known = journal.automations(automation.name)
        if known and known[0].spec == data:
            return None
        return AutomationDeclared(at=now_us(), name=automation.name, spec=data, paused=automation.paused)

    return change_plan(journal, "automation", automation.name, event)


def _skip_the_past(journal: Journal) -> None:
    """What happened before there was any automation need not be read."""
    head = journal.head()  # asked for first: no declaration is before it when there is none afterwards
    if not journal.cursor(CURSOR) and not journal.automations():
        journal.move_cursor(CURSOR, 0, head or BEGINNING)


def pause(journal: Journal, name: str) -> bool:
    """Let an automation not fire; what it remembers is forgotten. False when it is paused already.

    Raises:
        PlanNotFound: there is none of this name.
    """
    return _set_paused(journal, name, True)


def unpause(journal: Journal, name: str) -> bool:
    """Let it fire again, because of what happens from now on. False when it is not paused.

    Raises:
        PlanNotFound: there is none of this name.
    """
    return _set_paused(journal, name, False)


def _set_paused(journal: Journal, name: str, paused: bool) -> bool:
    def event() -> Event | None:
        stored = find_automation(journal, name)
        if stored.paused == paused:
            return None
        return AutomationDeclared(at=now_us(), name=name, spec=stored.spec, paused=paused)

    return change_plan(journal, "automation", name, event)


def delete(journal: Journal, name: str, meant: Callable[[StoredAutomation], None] = lambda stored: None) -> None:
    """Remove an automation; what its firings have begun goes on.

    Args:
        journal: where it is.
        name: of the automation.
        meant: is called with it, and raises where it is not to be removed.

    Raises:
        PlanNotFound: there is none of this name.
    """

    def event() -> Event:
        meant(find_automation(journal, name))
        return AutomationDeleted(at=now_us(), name=name)

    change_plan(journal, "automation", name, event)


def automations_in_project(file: Path) -> dict[str, Automation]:
    """The automations that a pyproject.toml declares, by name, and those that its `[tool.penstock.alerts]` stands for.

    Raises:
        ConfigurationError: the file cannot be read, or an automation in it cannot be; every mistake is told.
    """
    found: dict[str, Automation] = {}
    mistakes = []
    for name, table in tables_in(file, "automations").items():
        try:
            found[name] = msgspec.structs.replace(declared(name, table), folder=str(file.parent))
        except BadAutomation as error:
            mistakes.append(error.message)
    table, also = tables_in(file, "alerts"), plugged_names()
    try:
        settings = alert_settings(table, also)
    except BadAlerts as error:
        mistakes.append(error.message)
    else:
        for each in found.values():
            if wrong := list(unknown_places(each, settings.known(also))):
                mistakes.append(BadAutomation(each.name, wrong).message)
        found = {**(breaches(settings, str(file.parent)) if table else {}), **found}
    if mistakes:
        told = "\n".join(mistakes).replace("\n", "\n  ")
        raise ConfigurationError(f"{file} cannot be used:\n  {told}")
    return found
