"""A secret that belongs to nothing to connect to, such as what a webhook's senders sign with."""

from __future__ import annotations

from collections.abc import Callable

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


def secret_of(load: Callable[[str, type[Connection]], Connection]) -> Callable[[str], str]:
    """What gives a secret: a saved connection of the type `secret`, or a variable of the environment.

    Args:
        load: gives a connection by name, as `Shelf.load` does.
    """

    def secret(name: str) -> str:
        found = load(name, SecretConnection)
        assert isinstance(found, SecretConnection)
        return found.value.reveal()

    return secret
