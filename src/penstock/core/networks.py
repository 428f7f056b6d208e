"""Addresses of the internet, and networks of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=1024)
def network_of(text: str) -> Network | None:
    """A network such as 10.0.0.0/8, or a single address; None where it is none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def as_seen(text: str) -> list[str]:
    """A network as connections show it: one of IPv4 also in the clothes of IPv6, where something listens for both."""
    network = network_of(text)
    if network is None:
        return []
    if network.version == 4:
        return [str(network), f"::ffff:{network.network_address}/{96 + network.prefixlen}"]
    plain = network.network_address.ipv4_mapped
    bare = [f"{plain}/{network.prefixlen - 96}"] if plain is not None and network.prefixlen >= 96 else []
    return [str(network), *bare]


def address_of(text: str) -> Address | None:
    """An address, one of IPv4 in the clothes of IPv6 as what it is; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(address: Address, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks."""
    return any(address in network for each in networks if (network := network_of(each)) is not None)


def customer_of(text: str) -> str:
    """What counts as one sender: an address of IPv4, or all that one customer has of IPv6."""
    address = address_of(text)
    if address is None or address.version == 4:
        return str(address or text)
    return str(ipaddress.ip_network((address, 64), strict=False))


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, also of what it is translated to on the way (NAT64, 6to4, Teredo)."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    inner = address.sixtofour or (address.teredo[1] if address.teredo else None) or address.ipv4_mapped
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner is None or is_public(inner)
