"""Where connections are kept: sealed in the journal, with the environment before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from penstock.core.clock import now_us
from penstock.core.connections import BadFields, Connection, ConnectionLocked, checked_name
from penstock.core.errors import BadConnection, ConfigurationError, ConnectionNotFound, SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.sealed import ConnectionDeleted, ConnectionResealed, ConnectionSaved, SealedConnection
from penstock.core.secrets import Secret
from penstock.engine.connections.environment import Environment, Found, connection_in, variable_of
from penstock.engine.connections.keys import VARIABLE, Keys
from penstock.engine.connections.sealing import Damaged, Key, opened, seal
from penstock.engine.connections.types import type_named

C = TypeVar("C", bound=Connection)
SAVED = "saved"
_TAKEN = "types"
"""`/connections/types` of the API is something else."""


class Listed(NamedTuple):
    """A connection in a list: what can be told of it without a key.

    Attributes:
        name: its name.
        type: what kind it is; empty where the variable that describes it cannot be read.
        place: `saved`, `environment` or `.env`.
        saved_at: when it was saved (microseconds).
        key: tells the key that it is sealed with.
        variable: where it is described, if not saved.
        hides: a saved one of this name is not used.
    """

    name: str
    type: str
    place: str
    saved_at: int | None = None
    key: str | None = None
    variable: str | None = None
    hides: bool = False


class Resealed(NamedTuple):
    """What a change of keys has done.

    Attributes:
        key: tells the key that seals now.
        sealed: how many connections were sealed with it.
        dropped: how many former keys went.
    """

    key: str
    sealed: int
    dropped: int


class Shelf:
    """Saves, loads, lists and deletes connections.

    Args:
        journal: asked for when it is needed: what the environment describes needs none.
        keys: what seals.
        environment: what goes before the journal.
    """

    def __init__(self, journal: Callable[[], Journal], keys: Keys, environment: Environment) -> None:
        self._journal = journal
        self.keys = keys
        self.environment = environment

    def load(self, name: str, cls: type[C]) -> C:
        """See `Connection.load`."""
        found = self.environment.find(checked_name(name))
        connection = connection_in(found) if found is not None else self._saved(name, cls)
        if not isinstance(connection, cls):
            raise BadConnection(
                f"The connection {name!r} is of the type {connection.kind}, and not {cls.kind or cls.__name__}.",
                hint=f"load it with {type(connection).__name__}.load({name!r})",
            )
        return connection.called(name)

    def _saved(self, name: str, cls: type[Connection]) -> Connection:
        row = self.row(name)
        kind = cls if cls.kind == row.type else type_named(row.type)
        fields = _open(row, self.keys)
        try:
            return kind.of(fields)
        except BadFields as error:
            mistakes = error.mistakes
        finally:
            fields.clear()
        hint = f"save it anew: penstock connection create {row.type} {name} --overwrite"
        raise BadFields(f"the saved connection {name!r} ({row.type})", mistakes, hint=hint)

    def row(self, name: str) -> SealedConnection:
        """A saved connection as the journal has it.

        Raises:
            ConnectionNotFound: there is none of this name.
        """
        found = self._journal().connections(checked_name(name))
        if not found:
            raise ConnectionNotFound(
                f"There is no connection {name!r}: none is saved, and {variable_of(name)} is not set."
            )
        return found[0]

    def save(self, connection: Connection, name: str, *, overwrite: bool = False) -> bool:
        """See `Connection.save`; whether there was one of this name before."""
        if not connection.kind:
            raise BadConnection(
                f"{type(connection).__name__} has no type.", hint='give the class one: kind = "crm", for example'
            )
        name, journal = checked_name(name), self._journal()
        if name == _TAKEN:
            raise BadConnection(
                f"A connection cannot be called {name!r}: the API lists the types of connections under this name.",
                hint="choose another name",
            )
        while True:
            seq, rows = journal.last_seq(stream_of("connection", name)), journal.connections()
            before = next((row for row in rows if row.name == name), None)
            if before is not None and not overwrite:
                raise BadConnection(
                    f"There is a connection {name!r} already.", hint="choose another name, or overwrite it: --overwrite"
                )
            with self.keys.turn():
                key = self._sealing_key([row for row in rows if row.name != name])
                event = ConnectionSaved(
                    at=now_us(), name=name, type=connection.kind, key=key.id, again=before is not None
                )
                if self._kept(seq, event, seal(key, name, connection.kind, _plain(connection)), connection.kind):
                    return before is not None

    def _sealing_key(self, others: list[SealedConnection]) -> Key:
        """The key to seal with; made where there is none yet.

        Raises:
            ConnectionLocked: what is saved was sealed with other keys: a second one would only make it worse.
        """
        keys = self.keys.opening()
        known = {key.id for key in keys}
        for row in others:
            if row.key not in known:
                raise _locked(row, keys, self.keys.place)
        return self.keys.sealing() or self.keys.make()

    def _kept(self, seq: int, event: ConnectionSaved | ConnectionResealed, sealed: bytes, kind: str) -> bool:
        """False where somebody else was faster; then it is to be looked at again."""
        told = Append(stream_of("connection", event.name), seq, [Record(event)])
        kept = SealedConnection(
            name=event.name, type=kind, key=event.key, sealed=sealed, seq=seq + 1, saved_at=event.at
        )
        return _done(self._journal().keep_connection, told, kept)

    def delete(self, name: str) -> None:
        """Remove a saved connection, for good.

        Raises:
            ConnectionNotFound: there is none; also where one is described in the environment.
        """
        found = self.environment.find(checked_name(name))
        while True:
            rows = self._journal().connections(name)
            if not rows and found is not None:
                raise ConnectionNotFound(
                    f"The connection {name!r} is not saved: {found.variable} ({found.place}) describes it.",
                    hint=f"unset {found.variable}",
                )
            row = rows[0] if rows else self.row(name)
            told = Append(stream_of("connection", name), row.seq, [Record(ConnectionDeleted(at=now_us(), name=name))])
            if _done(self._journal().drop_connection, told, name):
                return

    def listed(self) -> list[Listed]:
        """Every connection by name; no key is needed."""
        described, rows = self.environment.listed(), self._journal().connections()
        hidden = {row.name: found for row in rows if (found := described.get(row.name.replace("-", "_")))}
        loose = {name: found for name, found in described.items() if found not in hidden.values()}
        listed = [_described(name, found, name in hidden) for name, found in {**loose, **hidden}.items()]
        listed += [_listed(row) for row in rows if row.name not in hidden]
        return sorted(listed)

    def find(self, name: str) -> Listed:
        """One connection as it is listed.

        Raises:
            ConnectionNotFound: there is none of this name.
        """
        described = self.environment.find(checked_name(name))
        rows = self._journal().connections(name)
        if described is not None:
            return _described(name, described, bool(rows))
        return _listed(rows[0] if rows else self.row(name))

    def rotate(self) -> Resealed:
        """Seal every connection with a new key, and forget the keys of the file that seal nothing any more.

        The new key is on disk before anything is sealed with it, and a former one goes when nothing needs it any more:
        whatever is interrupted, nothing is lost, and doing it again finishes it.

        Raises:
            ConnectionLocked: a connection cannot be opened; nothing was changed.
        """
        journal = self._journal()
        with self.keys.turn():
            for row in journal.connections():
                _open(row, self.keys).clear()
            given = self.keys.sealing() if self.keys.from_environment else None
            new = given or self.keys.make()
            count = sum(self._resealed(row.name, new) for row in journal.connections())
            dropped = self.keys.drop({new.id, *(row.key for row in journal.connections())})
        return Resealed(new.id, count, dropped)

    def _resealed(self, name: str, key: Key) -> bool:
        while rows := self._journal().connections(name):
            row = rows[0]
            if row.key == key.id:
                return False
            sealed = seal(key, name, row.type, _open(row, self.keys))
            if self._kept(row.seq, ConnectionResealed(at=now_us(), name=name, key=key.id), sealed, row.type):
                return True
        return False


def shelf_at(home: Path, folder: Path, journal: Callable[[], Journal]) -> Shelf:
    """The connections of a project.

    Args:
        home: where its key file is.
        folder: where its `.env` is.
        journal: gives its journal.
    """
    environment = Environment(os.environ, folder)
    return Shelf(journal, Keys(home, environment.get, lambda: journal().identity()), environment)


def _done(work: Callable[..., None], *given: Any) -> bool:
    try:
        work(*given)
    except SequenceConflict:
        return False
    return True


def _listed(row: SealedConnection) -> Listed:
    return Listed(row.name, row.type, SAVED, row.saved_at, row.key)


def _described(name: str, found: Found, hides: bool) -> Listed:
    try:
        kind = connection_in(found).kind
    except (BadConnection, ConfigurationError):
        kind = ""
    return Listed(name, kind, found.place, variable=found.variable, hides=hides)


def _plain(connection: Connection) -> dict[str, Any]:
    """The fields that are not as they would be anyway, with the secrets in them: for sealing only."""
    found = {}
    for name, field in connection.fields().items():
        value = getattr(connection, name)
        if value != field.default:
            found[name] = value.reveal() if isinstance(value, Secret) else value
    return found


def _open(row: SealedConnection, keys: Keys) -> dict[str, Any]:
    """The fields of a saved connection. Whoever asks for them empties them when they are of no use any more.

    Raises:
        ConnectionLocked: the key is not here, or what is sealed is damaged.
    """
    here = keys.opening()
    key = next((key for key in here if key.id == row.key), None)
    if key is None:
        raise _locked(row, here, keys.place)
    try:
        return opened(key, row.name, row.type, row.sealed)
    except Damaged:
        pass
    raise ConnectionLocked(
        f"The connection {row.name!r} cannot be opened: what is kept of it was not sealed under this name and type, "
        "or is damaged.",
        hint=f"save it anew: penstock connection create {row.type} {row.name} --overwrite",
    )


def _locked(row: SealedConnection, keys: list[Key], place: str) -> ConnectionLocked:
    here = f"here (in {place}) is {', '.join(key.id for key in keys)}" if keys else f"there is none here (in {place})"
    return ConnectionLocked(
        f"The connection {row.name!r} is sealed with the key {row.key}, and {here}. Nothing is lost.",
        hint=f"bring the key file of the place where it was saved, or set {VARIABLE}; if the key is gone for good, "
        f"delete it and save it anew: penstock connection delete {row.name}",
    )
