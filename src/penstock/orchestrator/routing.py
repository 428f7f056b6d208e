"""Where an alert is owed, and when: routes, groups and digests, decided when an automation fires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.alerting import LANE, AlertSettings, Channel
from penstock.core.automations import Action, Notify, several
from penstock.core.calendar.due import next_after
from penstock.core.plans import Owed
from penstock.core.templates import as_text, fill_text, lookup
from penstock.orchestrator.known import Spread, as_it_is

DIGEST = "digest"
_MOST_WINDOWS = 10_000


class Routing(Spread):
    """Lets an alert be owed to each channel apart.

    What it knows of groups is in memory only. A process that takes over begins anew with them: a message more, at most.
    A window is open when what has opened it is in the journal.

    Args:
        settings: the channels and the routes.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._windows: dict[tuple[str, str], tuple[int, bool]] = {}
        self._changed: dict[tuple[str, str], tuple[int, bool]] = {}

    def __call__(self, action: Action, facts: Mapping[str, Any], now: int) -> list[Owed]:
        """See `Spread.__call__`."""
        if not isinstance(action, Notify):
            return as_it_is(action)
        places = self._settings.routed(several(action.to), facts, action.level)
        channels = {place: self._settings.channels[place] for place in places if place in self._settings.channels}
        here = tuple(place for place in places if place not in channels)
        owed = as_it_is(msgspec.structs.replace(action, to=here)) if here else []
        return owed + [self._owed(action, name, channel, facts, now) for name, channel in channels.items()]

    def settle(self, written: bool) -> None:
        """See `Spread.settle`."""
        if written and len(self._windows) + len(self._changed) > _MOST_WINDOWS:
            self._windows.clear()
        self._windows |= self._changed if written else {}
        self._changed = {}

    def _owed(self, action: Notify, name: str, channel: Channel, facts: Mapping[str, Any], now: int) -> Owed:
        group, due = None, now
        if (schedule := channel.schedule) is not None:
            group, due = DIGEST, next_after(schedule, now) or now
        elif channel.group_seconds is not None:
            group = self._group(action, channel, facts)
            due = self._due((name, group), int(channel.group_seconds * 1_000_000), now)
        do = msgspec.to_builtins(msgspec.structs.replace(action, to=name, group=group))
        return Owed(do, True, due, LANE + name)

    @staticmethod
    def _group(action: Notify, channel: Channel, facts: Mapping[str, Any]) -> str:
        if action.group is not None:
            return fill_text(action.group, facts, "?")
        values = []
        for path in several(channel.group_by):
            try:
                values.append(as_text(lookup(facts, path)))
            except KeyError:
                values.append("")
        return msgspec.json.encode(values).decode()

    def _due(self, key: tuple[str, str], length: int, now: int) -> int:
        """The first one is due at once; those of the window behind it at its end, and so on while there are any."""
        until, held = self._changed.get(key) or self._windows.get(key, (0, False))
        if until - length > now or now >= until + (length if held else 0):  # a clock that was set back, too
            until, held = now + length, False
        elif now < until:
            held = True
        else:
            until, held = until + length, True
        self._changed[key] = (until, held)
        return until if held else now
