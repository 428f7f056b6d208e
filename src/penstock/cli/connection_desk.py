"""Connections for commands: those that can be had here. `connection_desk_remote` has the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.app import Penstock
from penstock.core.connections import Connection, ConnectionFailed
from penstock.engine.connections.shelf import Listed
from penstock.orchestrator.shelves import shelf_of


class Shown(NamedTuple):
    """A connection with its fields; secrets are masked."""

    listed: Listed
    kind: str
    fields: dict[str, Any]


class Trial(NamedTuple):
    """Whether a system is there and lets us in.

    Attributes:
        told: what it said, or what is wrong.
        seconds: how long it took; None where it failed.
        code: of what is wrong.
    """

    kind: str
    told: str
    seconds: float | None
    code: str | None = None
    hint: str | None = None


class LocalConnections:
    """The connections that can be had here."""

    def __init__(self, penstock: Penstock) -> None:
        self._shelf = shelf_of(penstock)

    def listed(self) -> list[Listed]:
        """Every one, by name."""
        return list(self._shelf.listed())

    def find(self, name: str) -> Listed:
        """One of them, as it is listed."""
        return self._shelf.find(name)

    def shown(self, name: str) -> Shown:
        """One of them, with its fields."""
        connection = self._shelf.load(name, Connection)
        return Shown(self._shelf.find(name), connection.kind, connection.shown())

    def save(self, connection: Connection, given: Mapping[str, Any], name: str, overwrite: bool) -> tuple[bool, Listed]:
        """Save one that was made of what was given; whether it is in the place of another one."""
        again = self._shelf.save(connection, name, overwrite=overwrite)
        return again, self._shelf.find(name)

    def test(self, name: str, seconds: float) -> Trial:
        """Ask the system behind it."""
        connection = self._shelf.load(name, Connection)
        try:
            health = connection.test(seconds)
        except ConnectionFailed as error:
            return Trial(connection.kind, error.message, None, error.code, error.hint)
        return Trial(connection.kind, health.told, health.seconds)

    def delete(self, name: str) -> None:
        """Delete a saved one."""
        self._shelf.delete(name)
