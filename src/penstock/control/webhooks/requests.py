"""A request to a webhook as it came, and why it is not accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.errors import PenstockError
from penstock.core.events import now_us

_HIDDEN = ("authorization", "proxy-authorization", "cookie", "x-gitlab-token")
_MASK = "***"


class Refused(PenstockError):
    """A request is not accepted.

    Attributes:
        reason: a word for programs.
        failed: the request is as it should be; what is made of it is not.
    """

    code = "webhook-refused"

    def __init__(self, reason: str, message: str, *, failed: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.failed = failed


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request.

    Attributes:
        headers: as they came, in order; a name may come more than once, in any case.
        query: the same of what follows the `?` of the URL.
        client: the address it came from.
        at: when it came (microseconds).
    """

    method: str = "POST"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    client: str | None = None
    at: int = msgspec.field(default_factory=now_us)

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        wanted = name.lower()
        return [value for each, value in self.headers if each.lower() == wanted]

    def header(self, name: str) -> str | None:
        """The value of a header; None where it is not there.

        Raises:
            Refused: it came more than once, so that it is not clear what counts.
        """
        found = self.values(name)
        if len(found) > 1:
            raise Refused("headers", f"The header {name} came {len(found)} times.")
        return found[0] if found else None

    def kept(self, hidden: Sequence[str] = (), body: bool = True) -> Request:
        """The request as it is kept: without what lets somebody in, and in texts that can be stored.

        Args:
            hidden: names of more headers that hold a secret.
            body: with the body.
        """
        names = {*_HIDDEN, *(name.lower() for name in hidden)}
        headers = tuple((_storable(n), _MASK if n.lower() in names else _storable(v)) for n, v in self.headers)
        return msgspec.structs.replace(
            self,
            method=_storable(self.method),
            path=_storable(self.path),
            headers=headers,
            query=tuple((_storable(name), _storable(value)) for name, value in self.query),
            body=self.body if body else b"",
            client=None if self.client is None else _storable(self.client),
        )

    def facts(self) -> dict[str, Any]:
        """What templates know of it, but for the body."""
        headers: dict[str, list[str]] = {}
        for name, value in self.headers:
            headers.setdefault(name.lower(), []).append(value)
        joined = {name: ", ".join(values) for name, values in headers.items()}
        return {"method": self.method, "path": self.path, "headers": joined, "query": single(self.query)}


def single(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as a dict: a text for a name that is there once, a list for one that is there more often."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def request_of(data: bytes) -> Request:
    """A request as it was stored."""
    return _decode(data)


def stored(request: Request) -> bytes:
    """A request for the record of its delivery."""
    return _encode(request)


_decode = typed.json_decoder(Request).decode
_encode = msgspec.json.Encoder().encode


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class Rendered(msgspec.Struct, frozen=True):
    """What a request says has happened.

    Attributes:
        event: its name, such as `github.push`.
        resource: what it is about.
        payload: facts about it.
    """

    event: str
    resource: str | None = None
    payload: Mapping[str, Any] = {}
