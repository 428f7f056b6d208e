"""What `[tool.penstock.alerts]` says: what people are told of, where, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from penstock.core import typed
from penstock.core.automations import Filter, Level, several
from penstock.core.calendar.spec import ScheduleSpec
from penstock.core.errors import BadAlerts, PenstockError
from penstock.core.templates import is_path, paths_in
from penstock.core.triggers import passes

ROUTES = "routes"
"""The place of an alert that goes wherever the routes lead."""

LANE = "alerts/"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+@[A-Za-z0-9.-]+")
_OWN_PLACES = ("console", "file", ROUTES)
_NEEDS_CHANNEL: dict[str, tuple[str, ...]] = {
    "channel": ("slack",),
    "to": ("email",),
    "hold_seconds": ("alertmanager",),
}
_TOP = "tool.penstock.alerts"
_MOST_SECONDS = 7 * 86_400


class Channel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place outside where people are told.

    Attributes:
        type: what it is.
        connection: a saved connection of that type.
        channel: of Slack, where the connection has a token: such as `#data`, or its id.
        to: of email: who gets it.
        title: instead of the alert's own; `{flow}` stands for a fact, and `{title}` for its own.
        text: instead of the alert's own, `{message}`.
        group_seconds: having told of something, what follows of the same within so long is one message, with a count.
        group_by: facts that make it the same.
        digest: a cron expression; what has happened is told then, in one message.
        timezone: of that.
        log_lines: the last so many lines of what failed are told too.
        hold_seconds: of Alertmanager: an alert that nothing ends is over after so long.
    """

    type: Literal["slack", "email", "webhook", "teams", "discord", "alertmanager"]
    connection: str
    channel: str | None = None
    to: str | tuple[str, ...] = ()
    title: str | None = None
    text: str | None = None
    group_seconds: float | None = None
    group_by: str | tuple[str, ...] = ("automation", "flow", "deployment", "dataset")
    digest: str | None = None
    timezone: str = "UTC"
    log_lines: int = 5
    hold_seconds: float | None = None

    @property
    def schedule(self) -> ScheduleSpec | None:
        """When the digest is due."""
        return ScheduleSpec.of(cron=self.digest, timezone=self.timezone) if self.digest is not None else None


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where alerts about certain things go.

    Attributes:
        to: the channels, or places.
        where: facts and what they must be, as in `Trigger.where`; `level` and `automation` are facts too.
    """

    to: str | tuple[str, ...]
    where: dict[str, Filter] = {}


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `[tool.penstock.alerts]` says.

    Attributes:
        checks: the least severity of a rule that was not kept for which people are told: error, warning, info; or off.
        runs: tell of runs that have failed or crashed, and of those that complete after that (failed); of those that
            complete as well (all); or of none (off).
        deadlines: tell of promises that were not kept.
        to: the places where they are told; see `Notify.to`.
        cool_down_seconds: having told of something, do not tell of it again for so long.
        channels: places outside, by name.
        routes: where what goes `to` the routes is told.
        match: the first route that fits, or all.
    """

    checks: Literal["error", "warning", "info", "off"] = "error"
    runs: Literal["off", "failed", "all"] = "off"
    deadlines: bool = False
    to: str | tuple[str, ...] = ()
    cool_down_seconds: float | None = None
    channels: dict[str, Channel] = {}
    routes: tuple[Route, ...] = ()
    match: Literal["first", "all"] = "first"

    @property
    def places(self) -> tuple[str, ...]:
        """Where people are told, unless something else is said."""
        return several(self.to) or ((ROUTES,) if self.routes else ("console", "file"))

    def known(self, also: Iterable[str] = ()) -> set[str]:
        """The places there are, with those that packages add."""
        return {*_OWN_PLACES, *self.channels, *also}

    def routed(self, to: Iterable[str], facts: Mapping[str, Any], level: Level) -> tuple[str, ...]:
        """Where an alert goes, with the routes followed."""
        found: list[str] = []
        for place in to:
            found += self._along({**facts, "level": level}) if place == ROUTES else [place]
        return tuple(dict.fromkeys(found))

    def _along(self, facts: Mapping[str, Any]) -> list[str]:
        fit = [route for route in self.routes if passes(route.where, facts)]
        return [place for route in fit[: 1 if self.match == "first" else None] for place in several(route.to)]


def alert_settings(table: Mapping[str, Any], also: Iterable[str] = ()) -> AlertSettings:
    """The settings as a table of pyproject.toml has them.

    Args:
        table: the table.
        also: places that packages add.

    Raises:
        BadAlerts: it lists every mistake, each with the option it is in.
    """
    mistakes: list[tuple[str, str]] = []
    channels: dict[str, Channel] = {}
    routes: list[Route] = []
    for name, given in _entries(table, "channels", dict, mistakes):
        channel = _read(given, Channel, f"{_TOP}.channels.{name}", mistakes)
        if channel is not None:
            channels[name] = channel
            mistakes += [(f"{_TOP}.channels.{name}{where}", told) for where, told in _channel(str(name), channel)]
    for place, given in _entries(table, "routes", list, mistakes):
        route = _read(given, Route, f"{_TOP}.routes[{place}]", mistakes)
        if route is not None:
            routes.append(route)
    rest = {name: value for name, value in table.items() if name not in ("channels", "routes")}
    settings: AlertSettings | None = _read(rest, AlertSettings, _TOP, mistakes)
    if settings is None or mistakes:
        raise BadAlerts(mistakes)
    settings = msgspec.structs.replace(settings, channels=channels, routes=tuple(routes))
    if mistakes := [*_places(settings, also), *_rest(settings)]:
        raise BadAlerts(mistakes)
    return settings


def _entries(table: Mapping[str, Any], name: str, kind: type, mistakes: list[tuple[str, str]]) -> Iterator[Any]:
    given: Any = table.get(name, kind())
    fits: bool = isinstance(given, kind)
    if not fits:
        mistakes.append(
            (f"{_TOP}.{name}", f"write [{_TOP}.{name}.NAME]" if kind is dict else f"write [[{_TOP}.{name}]]")
        )
        return
    yield from given.items() if kind is dict else enumerate(given)


def _read(given: Any, kind: Any, where: str, mistakes: list[tuple[str, str]]) -> Any:
    unknown = [name for name in given if name not in kind.__struct_fields__] if isinstance(given, dict) else []
    mistakes += [(f"{where}.{name}", "there is no such option") for name in unknown]
    try:
        return typed.convert(given, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        mistakes.append((where + place.rstrip("`"), what))
        return None


def _channel(name: str, channel: Channel) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(name) or name in _OWN_PLACES:
        yield "", f"{name!r} cannot be the name of a channel: use lowercase letters, digits, _ and -, a letter first"
    for option, kinds in _NEEDS_CHANNEL.items():
        if getattr(channel, option) not in (None, ()) and channel.type not in kinds:
            yield f".{option}", f"is for {', '.join(kinds)}, and its type is {channel.type}"
    for address in several(channel.to):
        if not _ADDRESS.fullmatch(address):
            yield ".to", f"{address!r} is no email address; write one such as data@example.com"
    if channel.type == "email" and not several(channel.to):
        yield ".to", "is missing: who gets the messages?"
    for option in ("title", "text"):
        try:
            list(paths_in(getattr(channel, option) or ""))
        except ValueError as error:
            yield f".{option}", str(error)
    yield from _when(channel)


def _when(channel: Channel) -> Iterator[tuple[str, str]]:
    for option in ("group_seconds", "hold_seconds"):
        value = getattr(channel, option)
        if value is not None and not 0 < value <= _MOST_SECONDS:
            yield f".{option}", f"{value:g} is not between 0 and a week"
    if channel.group_seconds is not None and channel.digest is not None:
        yield ".digest", "cannot be had together with group_seconds"
    if not 0 <= channel.log_lines <= 50:
        yield ".log_lines", f"{channel.log_lines} is not between 0 and 50"
    for path in several(channel.group_by):
        if not is_path(path):
            yield ".group_by", f"{path!r} cannot name a fact"
    try:
        _ = channel.schedule
    except PenstockError as error:
        yield ".digest", error.message


def _places(settings: AlertSettings, also: Iterable[str]) -> Iterator[tuple[str, str]]:
    there = settings.known(also)
    named = [("to", settings.to), *((f"routes[{n}].to", route.to) for n, route in enumerate(settings.routes))]
    for where, to in named:
        for place in several(to):
            if place not in there:
                yield f"{_TOP}.{where}", f"there is no channel {place!r}; there are: {', '.join(sorted(there))}"
            elif place == ROUTES and where != "to":
                yield f"{_TOP}.{where}", "a route cannot lead to the routes"
    for n, route in enumerate(settings.routes):
        if not several(route.to):
            yield f"{_TOP}.routes[{n}].to", "say where to"
        for path, wanted in route.where.items():
            if not is_path(path) or wanted == ():
                yield f"{_TOP}.routes[{n}].where", f"{path!r} cannot name a fact, or may be nothing at all"


def _rest(settings: AlertSettings) -> Iterator[tuple[str, str]]:
    rest = settings.cool_down_seconds
    if rest is not None and not 0 < rest <= 10 * 366 * 86_400:
        yield f"{_TOP}.cool_down_seconds", f"{rest:g} is not between 0 and ten years"
