"""What events are asked for by."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import Depends, Query

from penstock.control.access import Viewer
from penstock.control.api.queries import micros_of
from penstock.orchestrator.watching import EventFilter

_Names = Annotated[list[Annotated[str, Query(max_length=200)]] | None, Query(max_length=20)]


async def _filter(
    user: Viewer,
    type: Annotated[_Names, Query(description="such as RunFailed, Run* or orders.*; at least one of them")] = None,
    about: Annotated[str, Query(max_length=200, description="a run, flow, deployment or thing; * is any text")] = "",
    run: Annotated[str, Query(max_length=100, description="the id of a run")] = "",
    tag: Annotated[_Names, Query(description="every one of them")] = None,
    text: Annotated[str, Query(max_length=200, description="somewhere in what is known of it")] = "",
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
) -> EventFilter:
    return EventFilter(
        patterns=tuple(type or ()),
        about=about or None,
        run=run or None,
        tags=tuple(tag or ()),
        any_tags=user.tags,
        text=text,
        since=micros_of("query.since", since),
        until=micros_of("query.until", until),
    )


TheEventFilter = Annotated[EventFilter, Depends(_filter)]
