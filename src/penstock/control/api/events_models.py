"""Shapes of `/api/v1/events`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.control.models import Shape


class EventIn(Shape):
    """Something that happened."""

    name: str = Field(min_length=1, max_length=200, description="such as orders.imported")
    about: str | None = Field(None, max_length=1000, description="what it is about")
    facts: dict[str, Any] = Field({}, description="more about it")


class EventOut(BaseModel):
    """An event, with what is known of the run or deployment it is about."""

    model_config = ConfigDict(extra="allow")

    event: str
    at: str
    position: int
    stream: str


class EmittedOut(BaseModel):
    """An event that is in the journal."""

    name: str
    at: str
    about: str | None
    facts: dict[str, Any]
