"""What is asked: the parts of a request without any secret, and how they are named in messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from penstock.connectors.http.paths import Path

Within = Literal["query", "body"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        method: GET or POST.
        url: with its own query, if any.
        query: parameters to add to it.
        headers: the user's and those of a conditional request.
        json: the body of a POST, or None.
        form: the body of a POST as a form, or None.
        what: names it in a message: `page 3`.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    what: str = ""

    def with_parameter(self, name: str, value: Any, within: Within) -> Ask:
        """The same request with one more parameter; one of this name is replaced."""
        if within == "query":
            kept = tuple(pair for pair in self.query if pair[0] != name)
            url = without_parameters(self.url, (name,))
            return replace(self, url=url, query=(*kept, (name, text_of(value))))
        if self.form is not None:
            return replace(self, form={**self.form, name: text_of(value)})
        return replace(self, json=Path(name).put(value, self.json if self.json is not None else {}))

    @property
    def conditional(self) -> bool:
        """An answer is wanted only if there is something new."""
        return "If-None-Match" in self.headers or "If-Modified-Since" in self.headers

    @property
    def digest(self) -> str:
        """The same for the same request, wherever; nothing of the request can be read from it."""
        import msgspec

        parts = [self.method, self.url, sorted(self.query), self.json, self.form]
        return digest(msgspec.json.encode(parts, order="sorted"))

    @property
    def name(self) -> str:
        """For messages: without the query, which may hold what nobody should see."""
        page = f" ({self.what})" if self.what else ""
        return f"{self.method} {plain(self.url)}{page}"


def digest(content: bytes) -> str:
    """Eight bytes that stand for a content."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def text_of(value: Any) -> str:
    """A value as a query has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def pairs_of(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters as a query has them: a list repeats its name, None is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        many = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        pairs.extend((name, text_of(one)) for one in many if one is not None)
    return tuple(pairs)


def plain(url: str) -> str:
    """A URL without user, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, origin_of(url).partition("://")[2], parts.path or "/", "", ""))


def origin_of(url: str) -> str:
    """Scheme, host and port; the port only where it is not the usual one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    scheme = parts.scheme.lower()
    port = parts.port
    return f"{scheme}://{host}" if port in (None, _PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def without_parameters(url: str, names: Iterable[str]) -> str:
    """The URL without these parameters in its query, and without a fragment."""
    parts = urlsplit(url)
    gone = set(names)
    query = parts.query
    if gone and query:
        pairs = parse_qsl(query, keep_blank_values=True)
        if any(name in gone for name, _ in pairs):
            query = urlencode([pair for pair in pairs if pair[0] not in gone])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def url_mistakes(name: str, url: str) -> list[tuple[str, str]]:
    """What is wrong with a URL that the user gave."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or not url.isprintable() or " " in url:
        return [(name, "is not a URL such as https://api.example/orders")]
    if parts.username or parts.password:
        return [(name, "has a user or a password in it: leave them out, and give auth=Basic(...) or connection=")]
    return []
