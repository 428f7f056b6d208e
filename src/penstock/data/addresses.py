"""Sources and sinks by address: `logs/*.ndjson.gz`, `lake:raw/orders`, `postgresql://.../shop#public.orders`.

What a scheme stands for is found among the entry points `penstock.sources` and `penstock.sinks`: each names a function
that takes an `Address` and gives a `Source`, or a `Sink`. Penstock's own are declared there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

from penstock.core.addresses import Address, parsed
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Sink, Source

Kind = Literal["sources", "sinks"]


def source_at(text: str, options: Mapping[str, str] | None = None) -> Source:
    """The source at an address.

    Raises:
        ConfigurationError: there is no such scheme, or the address or an option cannot be.
        MissingExtra: what it needs is not installed.
    """
    made: Source = _at("sources", Source, parsed(text, options))
    return made


def sink_at(text: str, options: Mapping[str, str] | None = None) -> Sink:
    """The sink at an address.

    Raises:
        ConfigurationError: there is no such scheme, or the address or an option cannot be.
        MissingExtra: what it needs is not installed.
    """
    made: Sink = _at("sinks", Sink, parsed(text, options))
    return made


def schemes(kind: Kind) -> list[str]:
    """The schemes there are."""
    return sorted(_makers(kind))


def _at(kind: Kind, wanted: Any, address: Address) -> Any:
    makers = _makers(kind)
    if address.scheme not in makers:
        what, other = ("read from", "write to") if kind == "sources" else ("write to", "read from")
        hint = f"there are: {', '.join(sorted(makers))}; a path is files"
        if address.scheme in _makers("sinks" if kind == "sources" else "sources"):
            hint = f"one can only {other} it; {hint}"
        raise ConfigurationError(f"{address.scheme}: is nothing to {what}.", hint=hint)
    made = makers[address.scheme]()(address)
    if not isinstance(made, wanted):
        raise ConfigurationError(f"What stands for {address.scheme}: gave {type(made).__name__}, no {wanted.__name__}.")
    return made


@cache
def _makers(kind: Kind) -> dict[str, Callable[[], Callable[[Address], Any]]]:
    from importlib.metadata import entry_points

    found: dict[str, Callable[[], Callable[[Address], Any]]] = {}
    for point in entry_points(group=f"penstock.{kind}"):
        if point.name in found:
            raise ConfigurationError(
                f"Two packages want to be {point.name}: among the {kind}.", hint="uninstall one of them"
            )
        found[point.name] = point.load
    return found
