"""What a journal keeps of connections: facts in the stream `connection/NAME`, and beside them the sealed fields.

The sealed fields are in no event. They are in a table of their own, one row for each connection, which is changed in
the transaction that appends the fact: so what is overwritten or deleted is gone, and no reader of events ever gets it.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from penstock.core.events import Event


class ConnectionSaved(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A connection was saved, or another one under its name.

    Attributes:
        type: what kind of connection it is.
        key: tells the key that its fields are sealed with from others.
        again: there was one of this name before.
    """

    stored: ClassVar[str] = "ConnectionSaved"
    name: str
    type: str
    key: str
    again: bool = False


class ConnectionResealed(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Its fields are as before, and sealed with another key."""

    stored: ClassVar[str] = "ConnectionResealed"
    name: str
    key: str


class ConnectionDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """The connection is gone, with its fields."""

    stored: ClassVar[str] = "ConnectionDeleted"
    name: str


CONNECTIONS: tuple[type[Event], ...] = (ConnectionSaved, ConnectionResealed, ConnectionDeleted)


class SealedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A saved connection as the journal has it.

    Attributes:
        type: what kind of connection it is.
        key: tells the key that its fields are sealed with from others.
        sealed: the fields; only who has the key can read or make them.
        seq: the last record of its stream.
        saved_at: when it was saved, or sealed anew.
    """

    name: str
    type: str
    key: str
    sealed: bytes
    seq: int
    saved_at: int
