"""Connections: typed, named configurations of outside systems.

A type is a small class. Its annotated attributes are the fields, what is said of them in its docstring is their help,
and a field of type `Secret` is never shown:

    class CrmConnection(Connection):
        kind = "crm"
        host: str
        token: Secret
        port: Port = 443
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, NoReturn, Self, dataclass_transform

from penstock.core.connection_fields import Field, Port, Range, Seconds, Unfit, fields_of, fit
from penstock.core.errors import BadConnection, DataError, MissingExtra, Mistaken
from penstock.core.extras import LateModule
from penstock.core.secrets import Secret, SecretUrl, redacted

__all__ = [
    "BadConnection", "BadFields", "Connection", "ConnectionFailed", "ConnectionLocked", "Field", "Health", "Port",
    "Range", "Seconds", "Secret", "SecretUrl", "Unfit", "checked_name",
]  # fmt: skip

_face: Any = LateModule("penstock.connections")  # it knows the journal of this process
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_LONGEST = 500


class BadFields(Mistaken, BadConnection):
    """The fields of a connection cannot be. None of the mistakes holds a value."""


class ConnectionFailed(DataError):
    """The system cannot be reached, or does not accept the connection."""

    code = "connection-failed"


class ConnectionLocked(DataError):
    """A saved connection cannot be opened: it was sealed with another key. Nothing is lost."""

    code = "connection-locked"


class Health(NamedTuple):
    """What a health test found.

    Attributes:
        seconds: how long it took.
        told: what answered.
    """

    seconds: float
    told: str


def checked_name(name: object) -> str:
    """A name that a connection can have.

    Raises:
        BadConnection: it cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadConnection(
            f"{str(name)[:60]!r} cannot be the name of a connection.",
            hint="use lowercase letters, digits, _ and -, at most 100, with a letter first",
        )
    return name


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Connection:
    """Where an outside system is, and how to get in. It does not change; `replace` gives another one.

    Neither its repr nor its pickle holds a secret: a connection that was saved or loaded is pickled as its name, and
    is loaded again on the other side; any other is not pickled. `await` gives it as it is, so that
    `await Connection.load("warehouse")` works too.

    Raises:
        BadFields: the fields cannot be; it lists every mistake, and shows no value.
    """

    kind: ClassVar[str] = ""
    """What its type is called."""

    schemes: ClassVar[tuple[str, ...]] = ()
    """Schemes of URLs that stand for a connection of this type."""

    untested: ClassVar[bool] = False
    """The type was never tried with a real server."""

    _name: str | None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        taken = [name for name in inspect.get_annotations(cls) if name in _RESERVED]
        if taken:
            raise TypeError(f"{cls.__name__}: a field cannot be called {', '.join(taken)}")

    def __init__(self, **given: Any) -> None:
        values, mistakes = fit(self.fields(), given)
        given.clear()  # nothing that a traceback could show
        if not mistakes:
            vars(self).update(values, _name=None)
            mistakes = list(self.mistakes())
        if mistakes:
            del values
            vars(self).clear()
            raise BadFields(f"the {self.kind or type(self).__name__} connection", mistakes)

    @classmethod
    def fields(cls) -> dict[str, Field]:
        """Its fields by name."""
        return fields_of(cls, Connection)

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """A connection from fields as they are written somewhere, in which a `url` may stand for several of them.

        Raises:
            BadFields: see the class.
        """
        values, problem = dict(given), ""
        del given
        try:
            if "url" in values and "url" not in cls.fields() and cls.schemes:
                problem = cls._expand(values)
            if problem:
                raise BadFields(f"the {cls.kind} connection", [("url", problem)])
            return cls(**values)
        finally:
            values.clear()

    @classmethod
    def _expand(cls, values: dict[str, object]) -> str:
        """Put the fields that a URL stands for in its place, but for those that are given; what is wrong with it."""
        url = values.pop("url")
        if not isinstance(url, (str, Secret)):
            return "must be a text"
        try:
            found = cls.parts(url.reveal() if isinstance(url, Secret) else url)
        except Unfit as unfit:
            return str(unfit)
        values.update({name: value for name, value in found.items() if name not in values})
        return ""

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """The fields that a URL stands for; its scheme is one of `schemes`.

        Raises:
            Unfit: it cannot be read. The message does not hold any part of it.
        """
        raise Unfit(f"a {cls.kind} connection has no URL")

    @classmethod
    def from_url(cls, url: str | Secret) -> Self:
        """A connection from a URL.

        Raises:
            BadFields: see the class.
        """
        values = {"url": Secret(url)}
        del url
        return cls.of(values)

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """What does not go together, as (field, what is wrong with it), once every field is right by itself.

        No text may hold a secret.
        """
        yield from ()

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """The secrets that people are asked for when they create one, and have given these fields so far."""
        return [name for name, field in cls.fields().items() if field.secret and field.required]

    @property
    def name(self) -> str | None:
        """What it is called, if it was saved or loaded."""
        return self._name

    def replace(self, **changes: Any) -> Self:
        """Another connection, with these fields instead."""
        values = {name: getattr(self, name) for name in self.fields()} | changes
        changes.clear()
        try:
            return type(self)(**values)
        finally:
            values.clear()

    def shown(self) -> dict[str, Any]:
        """Its fields, for people and JSON: secrets are masked."""
        return {name: _shown(getattr(self, name)) for name in self.fields()}

    def secrets(self) -> list[Secret]:
        """Its secrets, as they are."""
        return [value for name in self.fields() if isinstance(value := getattr(self, name), Secret)]

    @classmethod
    def load(cls, name: str) -> Self:
        """A connection by name: from the environment, else from `.env`, else the saved one.

        Raises:
            ConnectionNotFound: there is none of this name.
            ConnectionLocked: it was sealed with a key that is not here.
            BadConnection: it is of another type, or cannot be.
        """
        found: Self = _face.shelf().load(name, cls)
        return found

    def save(self, name: str, *, overwrite: bool = False) -> Self:
        """Keep it in the journal, encrypted, and give it this name.

        Raises:
            BadConnection: there is one of this name (and `overwrite` is not set), or the name cannot be.
            ConnectionLocked: what is saved already was sealed with a key that is not here.
            MissingExtra: what encrypts is not installed.
        """
        _face.shelf().save(self, name, overwrite=overwrite)
        return self.called(name)

    def called(self, name: str) -> Self:
        """Note what it is called."""
        vars(self)["_name"] = name
        return self

    def test(self, timeout_seconds: float = 10.0) -> Health:
        """Ask the system whether it is there and lets us in.

        Args:
            timeout_seconds: for how long to try at most.

        Raises:
            ConnectionFailed: it is not, or does not; with the reason. No secret is in it.
            MissingExtra: the driver is not installed.
        """
        outcome = self._tested(timeout_seconds)
        if isinstance(outcome, Health):
            return outcome
        raise outcome  # from here: no frame of the driver, which knows the password, is in the traceback

    def _tested(self, seconds: float) -> Health | Exception:
        begun = time.perf_counter()
        try:
            told = self.check(seconds)
        except MissingExtra as error:
            return MissingExtra(error.module, error.extra)
        except ConnectionFailed as error:
            message, hint = error.message, error.hint
        except Exception as error:
            message, hint = self.explain(error)
        else:
            return Health(time.perf_counter() - begun, self.redact(told))
        who = f"{self.name} ({self.kind})" if self.name else f"The {self.kind} connection"
        return ConnectionFailed(f"{who} failed: {self.redact(message)}", hint=hint and self.redact(hint))

    def check(self, seconds: float) -> str:
        """Ask the system; what answered, in a few words. Raises whatever the driver raises."""
        raise ConnectionFailed(
            "there is no health test for this type.", hint="use it where it is needed, and see what it says"
        )

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """What an error of the driver means, and what to do about it."""
        first = (str(error).strip().splitlines() or [""])[0][:_LONGEST]
        return f"{type(error).__name__}: {first}" if first else type(error).__name__, None

    def redact(self, text: str) -> str:
        """A text of somebody else's without the secrets of this connection."""
        return redacted(text, [text for secret in self.secrets() for text in secret.tells()])

    def __await__(self) -> Generator[Any, Any, Self]:
        yield from ()
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a connection does not change; use .replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a connection does not change")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields())

    def __hash__(self) -> int:
        values = [getattr(self, name) for name in self.fields()]
        return hash((type(self), *(tuple(sorted(v.items())) if isinstance(v, dict) else v for v in values)))

    def __repr__(self) -> str:
        named = [f"name={self.name!r}"] if self.name else []
        told = [
            f"{name}={str(value) if isinstance(value, Secret) else repr(value)}"
            for name, field in self.fields().items()
            if (value := getattr(self, name)) != field.default
        ]
        return f"{type(self).__name__}({', '.join(named + told)})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.name is None:
            raise TypeError(
                f"a {self.kind} connection that is not saved is not pickled: its secrets would be. "
                "Save it, conn.save('name'), and load it by name where it is needed"
            )
        return _loaded, (type(self), self.name)


def _loaded(cls: type[Connection], name: str) -> Connection:
    """What a pickled connection becomes."""
    return cls.load(name)


_RESERVED = frozenset(name for name in (*vars(Connection), "name") if not name.startswith("__")) - {"_name"}


def _shown(value: Any) -> Any:
    if isinstance(value, Secret):
        return str(value)
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, dict) else value
