"""What `connection_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.cli.connection_desk import Shown, Trial
from penstock.core.connections import Connection, ConnectionFailed
from penstock.core.secrets import Secret
from penstock.engine.connections.shelf import Listed
from penstock.remote import Client
from penstock.remote.planned import at
from penstock.remote.resources import deployments


class RemoteConnections:
    """The connections of a server; see `LocalConnections`."""

    def __init__(self, client: Client) -> None:
        self._all = client.connections

    def listed(self) -> list[Listed]:
        """See `LocalConnections`."""
        return [_listed(each) for each in self._all.list()]

    def find(self, name: str) -> Listed:
        """See `LocalConnections`."""
        return _listed(self._all.get(name))

    def shown(self, name: str) -> Shown:
        """See `LocalConnections`."""
        found = self._all.get(name)
        return Shown(_listed(found), found.type or "", found.fields)

    def save(self, connection: Connection, given: Mapping[str, Any], name: str, overwrite: bool) -> tuple[bool, Listed]:
        """See `LocalConnections`; the server makes it of what was given."""
        fields = {key: value.reveal() if isinstance(value, Secret) else value for key, value in given.items()}
        again = overwrite and any(each.name == name for each in self._all.list())
        made = (self._all.update if again else self._all.create)(name, connection.kind, fields)
        return again, _listed(made)

    def test(self, name: str, seconds: float) -> Trial:
        """See `LocalConnections`."""
        kind = self._all.get(name).type or ""
        found = self._all.test(name, timeout=seconds)
        code = None if found.ok else ConnectionFailed.code
        return Trial(kind, found.told, found.seconds, code, found.hint)

    def delete(self, name: str) -> None:
        """See `LocalConnections`."""
        self._all.delete(name)


def _listed(told: deployments.Connection) -> Listed:
    return Listed(
        name=told.name,
        type=told.type or "",
        place=told.source,
        saved_at=at(told.saved_at),
        variable=told.variable,
        hides=told.hides_saved,
    )
