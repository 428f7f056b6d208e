"""A secret that belongs to nothing to connect to, such as what a webhook's senders sign with."""

from __future__ import annotations

from penstock.core.connections import Connection, Secret


class SecretConnection(Connection):
    """A secret by a name.

    Attributes:
        value: the secret.
    """

    kind = "secret"

    value: Secret

    def check(self, seconds: float) -> str:
        """See `Connection.check`: there is nothing to ask."""
        return "can be read"
