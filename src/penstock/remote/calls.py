"""What is asked of a server, as data; and methods that are sent at once or awaited, from one definition."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import msgspec

T = TypeVar("T")
K = TypeVar("K")
P = ParamSpec("P")

MOST = 500
"""So many items are asked for at once, at most."""


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A request of the API, and what its answer is.

    Attributes:
        method: of HTTP.
        path: its parts below `/api/v1`; each is quoted.
        answer: the type of the answer; None where there is none, bytes for the body as it is.
        query: what stands behind the question mark; None is left out, several values are repeated.
        body: sent as JSON.
        content: sent as it is instead; a file is sent piece by piece.
        content_type: of `content`.
        headers: others.
        root: the path is not below `/api/v1`.
        creates: it makes something, and gets an `Idempotency-Key`: sent twice, it is done once.
        key: that key; made where it is left out.
        repeatable: it may be sent again although nobody knows whether it was done; None for what its method says.
        seconds: how much longer than others it may take.
        form: sent as a form.
    """

    method: str
    path: tuple[str | int, ...]
    answer: Any = None
    query: Mapping[str, Any] = {}
    body: Any = msgspec.UNSET
    content: bytes | Path | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = {}
    root: bool = False
    creates: bool = False
    key: str | None = None
    repeatable: bool | None = None
    seconds: float = 0.0
    form: Mapping[str, str] | None = None

    @property
    def again(self) -> bool:
        """Whether it may be sent again although nobody knows whether it was done."""
        if self.repeatable is not None:
            return self.repeatable
        return self.creates or (self.method in ("GET", "HEAD", "PUT", "DELETE") and "If-Match" not in self.headers)


class Sync:
    """Marks what answers at once."""


class Async:
    """Marks what is awaited."""


class Sender(Protocol):
    """Sends calls; each kind of client has its own."""

    def send(self, call: Call[Any]) -> Any:
        """The answer, or what is awaited for it."""

    def pages(self, call: Call[Any]) -> Any:
        """Every item of a list that comes in pages."""

    def stream(self, call: Call[Any]) -> Any:
        """Every event of a stream."""

    def chunks(self, call: Call[Any]) -> Any:
        """The body, piece by piece."""


class Resource(Generic[K]):
    """A kind of thing the API has.

    Args:
        sender: what sends the calls.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender


class _Method(Generic[P, T]):
    """A method that makes a call, and has it sent by the client it belongs to."""

    sent_by = "send"

    def __init__(self, make: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def _bound(self, owner: Any) -> Callable[..., Any]:
        deliver = getattr(owner._sender, self.sent_by)

        @functools.wraps(self.make)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return deliver(self.make(owner, *args, **kwargs))

        return method


class operation(_Method[P, T]):
    """A method with one answer: it returns it, or is awaited."""

    @overload
    def __get__(self, owner: None, kind: Any = None) -> operation[P, T]: ...
    @overload
    def __get__(self, owner: Resource[Sync], kind: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: Resource[Async], kind: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        return self if owner is None else self._bound(owner)


class _Many(_Method[P, T]):
    """A method with many answers: an iterator, or an asynchronous one."""

    @overload
    def __get__(self, owner: None, kind: Any = None) -> _Many[P, T]: ...
    @overload
    def __get__(self, owner: Resource[Sync], kind: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, owner: Resource[Async], kind: Any = None) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        return self if owner is None else self._bound(owner)


class listing(_Many[P, T]):
    """A method that gives every item of a list, page after page. The call is for the first page."""

    sent_by = "pages"


class stream(_Many[P, T]):
    """A method that gives what a server tells as it happens, each once, also over restarts of the server."""

    sent_by = "stream"


class chunks(_Many[P, T]):
    """A method that gives a body piece by piece."""

    sent_by = "chunks"


def first(limit: int, ask: Callable[[int], Iterator[T]]) -> list[T]:
    """So many of a listing.

    Args:
        limit: how many, at most.
        ask: for the listing, by pages of so many.
    """
    return [*islice(ask(max(min(limit, MOST), 1)), max(limit, 0))]


def got(answer: Any, *path: str | int, **query: Any) -> Call[Any]:
    """A call that looks at something; what is asked by nothing is left out."""
    return Call(method="GET", path=path, answer=answer, query=asked(query))


def told(answer: Any, *path: str | int, body: Any = msgspec.UNSET, repeatable: bool | None = None) -> Call[Any]:
    """A call that has something done to what is there."""
    return Call(method="POST", path=path, answer=answer, body=body, repeatable=repeatable)


def made(answer: Any, *path: str | int, body: Any, key: str | None) -> Call[Any]:
    """A call that makes something, once, however often it is sent."""
    return Call(method="POST", path=path, answer=answer, body=body, creates=True, key=key)


def changed(answer: Any, *path: str | int, body: Any, etag: str | None = None) -> Call[Any]:
    """A call that has something become as it says."""
    return Call(method="PUT", path=path, answer=answer, body=body, headers=if_match(etag))


def removed(*path: str | int, etag: str | None = None) -> Call[None]:
    """A call that removes something."""
    return Call(method="DELETE", path=path, headers=if_match(etag))


def asked(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked for, without what says nothing."""
    plain = {name: [*value] if isinstance(value, (tuple, list)) else value for name, value in conditions.items()}
    return {name: value for name, value in plain.items() if value not in (None, "", [])}


def given(**fields: Any) -> dict[str, Any]:
    """Those fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def if_match(etag: str | None) -> dict[str, str]:
    """The header that has a change made only to what is as it was got."""
    return {} if etag is None else {"If-Match": etag}


def plain(value: Any) -> Any:
    """A struct (or what holds some) as JSON has it; anything else as it is."""
    return cast(Any, msgspec.to_builtins(value)) if isinstance(value, msgspec.Struct) else value
