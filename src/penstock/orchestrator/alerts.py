"""Where people are told what automations have to tell: the terminal of the scheduler, a file, and what is plugged in.

A package adds a place of its own by an entry point `penstock.alerts`: a callable that takes the home folder and gives
an `Alerts`. It is loaded when something is to be told there for the first time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.core.model import Alert
from penstock.core.ports import Alerts

ALERT_FILE = "alerts.jsonl"
GROUP = "penstock.alerts"


class ConsoleAlerts:
    """One line on stderr for each alert."""

    def send(self, alert: Alert) -> None:
        """See `Alerts.send`."""
        line = f"[{alert.level}] {alert.title}: {alert.message}"
        sys.stderr.write("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) + "\n")
        sys.stderr.flush()


class FileAlerts:
    """One JSON object a line, at the end of a file.

    Args:
        path: the file; it and its folder are made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, alert: Alert) -> None:
        """See `Alerts.send`. A line is written whole, whoever else writes to the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(alert) + b"\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while line:
                line = line[os.write(handle, line) :]
        finally:
            os.close(handle)


class Places(Mapping[str, Alerts]):
    """The places there are, by the names `Notify.to` gives them.

    Args:
        home: the home folder.
        channels: those that the project has set up.
    """

    def __init__(self, home: Path, channels: Mapping[str, Alerts] | None = None) -> None:
        self._home = home
        own: dict[str, Alerts] = {"console": ConsoleAlerts(), "file": FileAlerts(home / ALERT_FILE)}
        self._made: dict[str, Alerts] = {**own, **(channels or {})}

    def __getitem__(self, name: str) -> Alerts:
        """A place.

        Raises:
            KeyError: there is none of this name.
            ConfigurationError: two packages have one.
        """
        if name not in self._made:
            found = [each for each in _plugged() if each.name == name]
            if not found:
                raise KeyError(name)
            if len({each.value for each in found}) > 1:
                raise ConfigurationError(
                    f"Several packages have a place {name!r} for alerts: {', '.join(each.value for each in found)}.",
                    hint="uninstall all but one of them",
                )
            self._made[name] = found[0].load()(self._home)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._made, *(each.name for each in _plugged())]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _plugged() -> Sequence[Any]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def plugged_names() -> list[str]:
    """The places that packages add."""
    return [each.name for each in _plugged()]


def alerts_in(home: Path, channels: Mapping[str, Alerts] | None = None) -> Mapping[str, Alerts]:
    """The places of a scheduler with this home folder, and with these channels."""
    return Places(home, channels)
