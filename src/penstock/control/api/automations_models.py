"""What goes over the wire about automations."""

from __future__ import annotations

import datetime
from typing import Any

from pydantic import BaseModel, Field

from penstock.control.models import Shape
from penstock.core.automations import as_data, of_data
from penstock.core.clock import iso
from penstock.core.model import StoredAutomation

Plain = str | int | float | bool
_FACTS = (
    "facts of the event and what they must be: a value, a glob, or several of which one is enough; ! before what not"
)


class TriggerIn(Shape):
    """When an automation fires."""

    event: str | list[str] = Field([], description="what happens: the name of an event, or a glob; or several")
    where: dict[str, Plain | list[Plain]] = Field({}, description=_FACTS)
    count: int = Field(1, description="it fires when so many have happened")
    within_seconds: float | None = Field(None, description="and that within so long")
    missing_seconds: float | None = Field(None, description="it fires when none has happened for so long")
    after: str | list[str] = Field([], description="the time runs from this event")
    schedule: str | None = Field(None, description="it fires when this is due: a preset such as @daily, or cron")
    timezone: str | None = Field(None, description="of the schedule; UTC when left out")
    per: str | list[str] = Field([], description="facts: events with other values of them are counted apart")
    cool_down_seconds: float | None = Field(None, description="it does not fire again for so long")


class AutomationChange(Shape):
    """An automation as it is to be."""

    trigger: TriggerIn
    actions: list[dict[str, Any]] = Field(description="what is done then: each has a `type`, see docs/automations.md")
    description: str | None = Field(None, max_length=2000)
    paused: bool = Field(False, description="it does not fire")

    def table(self) -> dict[str, Any]:
        """What was said of it, as automations know it."""
        return {name: value for name, value in self.model_dump(exclude_unset=True).items() if name != "name"}


class AutomationIn(AutomationChange):
    """An automation to be made."""

    name: str = Field(min_length=1, max_length=200)


class AutomationOut(BaseModel):
    """An automation."""

    name: str
    description: str | None
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]
    paused: bool
    fired_at: str | None

    @classmethod
    def record(cls, stored: StoredAutomation) -> dict[str, Any]:
        """An automation of the journal, as data."""
        spec = as_data(of_data(stored.spec))
        return {
            "name": stored.name,
            "description": spec.get("description"),
            "trigger": spec["trigger"],
            "actions": spec["actions"],
            "paused": stored.paused,
            "fired_at": iso(stored.fired_at),
        }


class AutomationDetail(AutomationOut):
    """An automation with what it remembers."""

    reason: str | None = Field(description="why it was paused by Penstock")
    remembered: list[dict[str, Any]]


class ActionOut(BaseModel):
    """What became of an action of a firing."""

    type: str
    state: str
    error: str | None
    attempts: int
    facts: dict[str, Any]


class FiringOut(BaseModel):
    """An automation fired."""

    id: str
    at: str | None
    facts: dict[str, Any]
    actions: list[ActionOut]


class PastIn(Shape):
    """Events that have happened."""

    since: datetime.datetime | None = Field(None, description="from then on", strict=False)
    until: datetime.datetime | None = Field(None, description="and before then", strict=False)
    limit: int = Field(1000, ge=1, le=5000, description="the last ones of them, at most so many")


class TestIn(Shape):
    """What an automation is to meet: events that are given, or those that happened."""

    __test__ = False

    events: list[dict[str, Any]] | None = Field(None, max_length=5000, description="`event` is the name of each")
    past: PastIn | None = None


class TestOtherIn(TestIn):
    """The same, with an automation that need not be there."""

    automation: AutomationIn


class ToldOut(BaseModel):
    """What became of one event."""

    event: str
    outcome: str
    why: str
    actions: list[dict[str, Any]]


class TestOut(BaseModel):
    """What an automation would do; nothing was done."""

    __test__ = False

    events: list[ToldOut]
    firings: int
