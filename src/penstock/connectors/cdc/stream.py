"""The replication stream: messages from the server, and word to it how far they have landed.

psycopg knows nothing of replication, but libpq does: such a connection is in COPY in both directions.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.connectors.cdc.blocks import BEGIN, COMMIT, ENVELOPE
from penstock.connectors.cdc.position import shown
from penstock.connectors.postgres.link import Address, Lost, is_passing
from penstock.core.extras import require

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq import ExecStatus
    from psycopg.pq.abc import PGconn, PGresult
else:
    psycopg = require("psycopg", "postgres")
    ExecStatus = psycopg.pq.ExecStatus

_DATA, _ALIVE = b"wk"
_CHANGES = b"IUDT"
_EPOCH_SECONDS = 946_684_800
_REPLY_SECONDS = 5.0
_ASK_SECONDS = 0.1
_LOOK_SECONDS = 0.02
_BYE_SECONDS = 2.0
_INSISTS, _STOP_SECONDS = 10, 5.0


class Busy(Exception):
    """Another process reads from the slot."""


class Link:
    """A replication connection, before anything is streamed over it.

    Args:
        address: of the database.

    Raises:
        Lost: the server went away.
        psycopg.Error: it said no.
    """

    def __init__(self, address: Address) -> None:
        self._connection = address.connect(replication=True)
        self.pgconn: PGconn = self._connection.pgconn
        self.pgconn.nonblocking = 1
        self._poll = select.poll()
        self._poll.register(self.pgconn.socket, select.POLLIN)
        self.system = ""

    def identify(self) -> str:
        """The number of the cluster."""
        for _ in self.ask(b"IDENTIFY_SYSTEM"):
            pass
        return self.value(0)

    def ask(self, command: bytes) -> Iterator[None]:
        """Send a command, and wait for the answer; comes back every now and then while there is none."""
        self.pgconn.send_query(command)
        self.answer: PGresult | None = None
        while True:
            self.flush()
            while not self.pgconn.is_busy():
                result = self.pgconn.get_result()
                if result is None:
                    return
                if result.status in (ExecStatus.FATAL_ERROR, ExecStatus.NONFATAL_ERROR):
                    raise psycopg.errors.error_from_result(result)
                self.answer = result
                if result.status == ExecStatus.COPY_BOTH:
                    return
            if not self.wait(_LOOK_SECONDS):
                yield

    def value(self, column: int) -> str:
        """A column of the answer."""
        found = self.answer.get_value(0, column) if self.answer is not None else None
        return (found or b"").decode()

    def wait(self, seconds: float) -> bool:
        """Wait for the server to say something; true if it has."""
        if not self._poll.poll(max(0, seconds * 1000)):
            return False
        self.pgconn.consume_input()
        return True

    def send(self, message: bytes) -> None:
        """Say something in the middle of a COPY."""
        self.pgconn.put_copy_data(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits to be sent."""
        while self.pgconn.flush():
            select.select([], [self.pgconn.socket], [], _ASK_SECONDS)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


@dataclass(frozen=True)
class Limits:
    """What makes a batch.

    Attributes:
        rows: so many messages.
        size: so many bytes.
        seconds: the time since the first message came.
        whole: a transaction of more messages is handed out in pieces.
        whole_size: and so is one of more bytes.
        piece: so many changes make a piece, no more than `whole`; so do as many bytes as make a batch.
    """

    rows: int
    size: int
    seconds: float
    whole: int
    whole_size: int
    piece: int


class Stream:
    """The messages from a place in the log on.

    Args:
        link: a connection; it is closed with the stream.
        slot: the name of the replication slot.
        publication: the name of the publication.
        limits: what makes a batch.
        confirmed: gives how far everything has landed, or None where nobody has said yet.

    Attributes:
        end: how far the log has been read; whatever was committed before has been handed out.
        reached: the bound was reached, see `read`.
        told: what the server was told last.
        asked: how often the server has asked how far everything has landed, since anything new came from it. It does so
            all the time when it wants to stop, and waits until everything has.
    """

    def __init__(
        self, link: Link, slot: str, publication: str, limits: Limits, confirmed: Callable[[], int | None]
    ) -> None:
        self._link, self._slot, self._publication, self._limits = link, slot, publication, limits
        self._confirmed = confirmed
        self._messages = bytearray()
        self._sizes: list[int] = []
        self._whole = self._whole_size = 0
        self._told_at = 0.0
        self._open = False
        self.end = self.received = 0
        self.reached = False
        self.told: int | None = None
        self.asked = 0
        self._asked_since = 0.0

    def start(self, lsn: int) -> Iterator[None]:
        """Begin at a place in the log; comes back from time to time while the server is not ready.

        Raises:
            Busy: another process reads from the slot.
            psycopg.Error: as the server says.
        """
        publication = self._publication.replace('"', '""').replace("'", "''")
        options = f"proto_version '1', publication_names '\"{publication}\"', messages 'true'"
        command = f'START_REPLICATION SLOT "{self._slot}" LOGICAL {shown(lsn)} ({options})'
        try:
            yield from self._link.ask(command.encode())
        except psycopg.errors.ObjectInUse as error:
            raise Busy(str(error)) from error
        self.end = self.received = lsn
        self._open = True

    def read(self, bound: int | None) -> tuple[bytearray, list[int]]:
        """Messages and their sizes: whole transactions, or a piece of one; none where nothing came for a while.

        Args:
            bound: transactions that are committed here or later do not count: `reached` is set instead.

        Raises:
            Lost: the connection is gone.
            psycopg.Error: the server says no.
        """
        deadline = time.monotonic() + (self._limits.seconds if self._messages else 1.0)
        while not self.reached:
            filled = self._fill(bound)
            if filled or self.reached:
                break
            now = time.monotonic()
            if self._messages and deadline > now + self._limits.seconds:
                deadline = now + self._limits.seconds
            if now >= deadline:
                break
            self.tell(ask=bound is not None)
            self._link.wait(min(deadline - now, _ASK_SECONDS if bound is not None else 1.0))
        self.tell()
        self._let_it_stop()
        if self._whole:
            return self._cut(self._whole, self._whole_size)
        if self._is_large():
            return self._cut(*self._piece())
        if not self._messages:
            self.end = max(self.end, self.received)
        return bytearray(), []

    def _let_it_stop(self) -> None:
        """A server that wants to stop waits for us; do not let it wait for long."""
        if self._messages:
            self.asked = 0
        if self.asked >= _INSISTS and time.monotonic() - self._asked_since > _STOP_SECONDS:
            raise Lost("the server wants to stop")

    def _is_large(self) -> bool:
        return len(self._sizes) > self._limits.whole or len(self._messages) > self._limits.whole_size

    def _piece(self) -> tuple[int, int]:
        """How many messages, and bytes, of a large transaction make a piece: the same whenever it is read."""
        changes = size = 0
        for count, length in enumerate(self._sizes, 1):
            changes += self._messages[size + ENVELOPE] in _CHANGES
            size += length
            if changes >= self._limits.piece or size >= self._limits.size:
                return count, size
        return 0, 0

    def _cut(self, count: int, size: int) -> tuple[bytearray, list[int]]:
        if size == len(self._messages):
            taken = self._messages, self._sizes
            self._messages, self._sizes = bytearray(), []
        else:
            taken = self._messages[:size], self._sizes[:count]
            del self._messages[:size], self._sizes[:count]  # of bytes at the front, that moves nothing
        self._whole = self._whole_size = 0
        return taken

    def _fill(self, bound: int | None) -> bool:
        """Take what has come; true if that is enough for now. Nothing else is done for each message in Python."""
        get, limits = self._link.pgconn.get_copy_data, self._limits
        messages, sizes = self._messages, self._sizes
        while True:
            length, data = get(1)
            if length > ENVELOPE and data[0] == _DATA:
                kind = data[ENVELOPE]
                if kind == BEGIN and bound is not None and int.from_bytes(data[26:34], "big") >= bound:
                    self.reached = True
                    return True
                messages += data
                sizes.append(length)
                if kind == COMMIT:
                    self._whole, self._whole_size = len(sizes), len(messages)
                    if self._whole >= limits.rows or self._whole_size >= limits.size:
                        return True
                elif len(sizes) > limits.whole or len(messages) > limits.whole_size:
                    return True
            elif length > 0:
                self._alive(bytes(data), bound)
                if self.reached:
                    return True
            elif length == 0:
                return False
            else:
                self._ended()

    def _alive(self, message: bytes, bound: int | None) -> None:
        if message[0] != _ALIVE:
            return
        here, _, wants_answer = struct.unpack_from(">QqB", message, 1)
        self.received = max(self.received, here)
        if bound is not None and here >= bound and len(self._sizes) == self._whole:
            self.reached = True
        if wants_answer:
            self._asked_since = self._asked_since if self.asked else time.monotonic()
            self.asked += 1
            self.tell(now=True)

    def tell(self, *, now: bool = False, ask: bool = False) -> None:
        """Tell the server how far everything has landed, if there is news or some time has passed."""
        confirmed = self._confirmed()
        news = confirmed is not None and confirmed != self.told
        moment = time.monotonic()
        pause = _ASK_SECONDS if ask else _REPLY_SECONDS
        if not (now or news or moment - self._told_at >= pause):
            return
        clock = int((time.time() - _EPOCH_SECONDS) * 1_000_000)
        flushed = confirmed or 0
        received = max(self.received, flushed)
        self._link.send(struct.pack(">cQQQqB", b"r", received, flushed, flushed, clock, ask))
        self.told, self._told_at = confirmed, moment

    def _ended(self) -> None:
        """The server has ended the stream."""
        result = self._link.pgconn.get_result()
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result)
            if not is_passing(error):
                raise error
            raise Lost(str(error)) from error
        raise Lost("the server has ended the stream")

    def close(self) -> None:
        """Say goodbye, so that the slot is free when this returns."""
        with suppress(psycopg.Error, OSError):
            if self._open:
                self.tell(now=True)
                self._link.pgconn.put_copy_end()
                self._drain(time.monotonic() + _BYE_SECONDS)
        self._open = False
        self._link.close()

    def _drain(self, deadline: float) -> None:
        """Read until the server has ended the stream too, but not for long: it may be in the middle of much."""
        pgconn = self._link.pgconn
        while time.monotonic() < deadline:
            self._link.flush()
            length, _ = pgconn.get_copy_data(1)
            if length < 0:
                return
            if length == 0:
                self._link.wait(_ASK_SECONDS)
