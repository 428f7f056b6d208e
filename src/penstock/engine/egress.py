"""Where requests may go that are made for others: to the internet, and to what the project has allowed by name.

Whoever may say which URL is called must not reach through it what only this machine can: its own services, those of
its network, the address that tells a cloud's machines their keys. What counts is the address that is connected to, so
that a name cannot lead elsewhere between the look and the connection.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.request import getproxies, proxy_bypass

from penstock.core.networks import address_of, is_public, is_within

Connect = Callable[..., socket.socket]
"""As `socket.create_connection`."""


_REFUSAL = "{host} is not of the internet; call_hosts names hosts that may be called all the same"


class NotReachable(OSError):
    """It is not to be connected to."""


class Egress:
    """Connects to what may be connected to.

    Args:
        allowed: names of hosts (or globs), addresses and networks that may be, though they are not of the internet.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = tuple(each.strip().lower() for each in allowed if each.strip())

    def connect(self, address: tuple[str, int], timeout: Any = None, source_address: Any = None) -> socket.socket:
        """Connect; the addresses of a host are tried one after the other.

        Raises:
            NotReachable: none of them may be.
            OSError: none of them answers.
        """
        host, port = address
        failed: OSError | None = None
        for family, kind, protocol, place in self._places(host, port):
            connection = socket.socket(family, kind, protocol)
            try:
                if isinstance(timeout, (int, float)):
                    connection.settimeout(timeout)
                connection.connect(place)
                return connection
            except OSError as error:
                connection.close()
                failed = error
        raise failed or OSError("it has no address")

    def _places(self, host: str, port: int) -> list[tuple[int, int, int, Any]]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        good = [each for each in found if self._may(host, str(each[4][0]))]
        if not good:
            raise NotReachable(_REFUSAL.format(host=host))
        return [(each[0], each[1], each[2], each[4]) for each in good]

    def _named(self, host: str) -> bool:
        return any(fnmatchcase(host.lower().rstrip("."), each) for each in self._allowed)

    def _may(self, host: str, text: str) -> bool:
        address = address_of(text.partition("%")[0])
        return address is not None and (self._named(host) or is_public(address) or is_within(address, self._allowed))

    def through_proxy(self, scheme: str, host: str, port: int) -> bool:
        """Whether a proxy of the environment makes the connection. It may be asked for what may be connected to.

        Raises:
            NotReachable: this may not be.
        """
        if scheme not in getproxies() or proxy_bypass(host):
            return False
        if self._named(host):
            return True
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror:  # only the proxy knows the name, and so it may be any
            found = []
        if not found or not all(self._may(host, str(each[4][0])) for each in found):  # the proxy takes which it likes
            raise NotReachable(_REFUSAL.format(host=host))
        return True
