"""Parts of following changes that need no server."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.cdc.blocks import Block
from penstock.connectors.cdc.catalog import Catalog, Wanted
from penstock.connectors.cdc.decoding import Decoder
from penstock.connectors.cdc.options import default_slot
from penstock.connectors.cdc.position import Copying, Where, parsed, shown
from penstock.connectors.cdc.relations import Announced, Table
from penstock.connectors.cdc.slots import Lag, Watch
from penstock.connectors.cdc.source import PostgresChanges
from penstock.connectors.postgres.types import Types
from penstock.core.errors import BadData, ConfigurationError

SERVER = (150000, "logical", False, "UTF8", "ada", True)


class Answers:
    """Stands for a connection; every question has the same answer."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self._row = row

    def execute(self, *_: Any) -> Answers:
        return self

    def fetchone(self) -> tuple[Any, ...]:
        return self._row


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, 130000, "14 or later"),
        (1, "replica", "ALTER SYSTEM SET wal_level = 'logical'"),
        (2, True, "name the primary"),
        (3, "SQL_ASCII", "encoding"),
        (5, False, 'ALTER ROLE "ada" REPLICATION'),
    ],
)
def test_servers_that_cannot_tell_of_changes(place: int, value: Any, words: str) -> None:
    row = [*SERVER]
    wanted = Wanted(["public.a"], "p", True, {}, False)
    Catalog(Answers(tuple(row)), None, wanted).check_server("here")  # type: ignore[arg-type]
    row[place] = value
    with pytest.raises(ConfigurationError) as caught:
        Catalog(Answers(tuple(row)), None, wanted).check_server("here")  # type: ignore[arg-type]
    assert words in str(caught.value)


@given(st.integers(0, 2**64 - 1))
def test_places_in_the_log(lsn: int) -> None:
    assert parsed(shown(lsn)) == lsn


def test_a_position_survives_json_and_says_what_is_left_out() -> None:
    where = Where("7", 80, 3, {"a": Copying(("1", "x")), "b": Copying(None, True)}, ("c",), 96, 5)
    assert Where.of(json.loads(json.dumps(where.position))) == where
    assert [where.skips(table) for table in ("a", "b", "c", "d")] == [False, True, False, True]
    with pytest.raises(BadData, match="none of PostgresChanges"):
        Where.of({"next": 3})


def test_orders_grow_and_stay_between_transactions() -> None:
    where = Where("7", 80, 0, {"a": Copying(), "b": Copying()})
    orders = []
    for number in range(100):
        assert where.has_room(80)
        where = where.copied_on("a", (str(number),), 80)
        orders.append(where.order)
    orders += [where.copied_on("a", None, 80).at(88).order, where.at(96).within(104, 5).order, where.at(112).order]
    assert orders == sorted(set(orders))


def test_names_of_slots() -> None:
    assert default_slot("Shop-Éa") == "penstock_shop__a"
    assert len(default_slot("x" * 100)) == 63


# ---------------------------------------------------------------------------------------------------- messages


class Server:
    """Makes the messages of a table (id, number, large), and knows what the table is after them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: dict[str, tuple[str | None, str | None]] = {}
        self.messages = bytearray()
        self.sizes: list[int] = []
        self._lsn = 1000
        columns = b"".join(
            struct.pack(">b", name == b"id") + name + b"\0" + struct.pack(">Ii", 25, -1)
            for name in (b"id", b"n", b"large")
        )
        self.send(b"R" + struct.pack(">I", 7) + b"public\0things\0d" + struct.pack(">h", 3) + columns)

    def send(self, message: bytes) -> None:
        self._lsn += 8
        envelope = b"w" + struct.pack(">QQq", self._lsn, self._lsn, 0)
        self.messages += envelope + message
        self.sizes.append(len(envelope) + len(message))

    def tuple(self, *values: str | None) -> bytes:
        def one(value: str | None) -> bytes:
            if value is None or value == "unchanged":
                return b"n" if value is None else b"u"
            return b"t" + struct.pack(">i", len(value.encode())) + value.encode()

        return struct.pack(">h", len(values)) + b"".join(map(one, values))

    def transaction(self, changes: int) -> None:
        self.send(b"B" + struct.pack(">QqI", self._lsn, 0, 5))
        for _ in range(changes):
            self.change()
        self.send(b"C" + struct.pack(">BQQq", 0, self._lsn, self._lsn + 8, 0))

    def change(self) -> None:
        chance = self.random
        key = str(chance.randint(0, 5))
        value, large = chance.choice((None, "1", "2", "ü")), chance.choice(("long", "longer", None))
        table = struct.pack(">I", 7)
        if chance.random() < 0.03:
            self.rows.clear()
            self.send(b"T" + struct.pack(">IBI", 1, 0, 7))
        elif key not in self.rows:
            self.rows[key] = (value, large)
            self.send(b"I" + table + b"N" + self.tuple(key, value, large))
        elif chance.random() < 0.3:
            del self.rows[key]
            self.send(b"D" + table + b"K" + self.tuple(key, None, None))
        else:
            keeps = chance.random() < 0.5
            self.rows[key] = (value, self.rows[key][1] if keeps else large)
            self.send(b"U" + table + b"N" + self.tuple(key, value, "unchanged" if keeps else large))


@pytest.mark.parametrize("seed", range(40))
def test_blocks_come_to_what_the_changes_come_to(seed: int) -> None:
    server = Server(seed)
    source = PostgresChanges("postgresql://h/d", ["public.things"])
    types = Types(lambda: pytest.fail("nothing to look up"), {})
    table = Table("public", "things", "r", tuple(types.column("t", n, 25, -1) for n in ("id", "n", "large")), ("id",))
    decoder = Decoder(source._options, {"public.things": table}, types, lambda *_: pytest.fail("nothing to fetch"))
    replica: dict[str, dict[str, Any]] = {}
    for _ in range(5):
        changes = 0
        for _ in range(server.random.randint(1, 4)):
            many = server.random.choice((1, 3, 20))
            server.transaction(many)
            changes += many
        truncates = server.messages.count(b"T" + struct.pack(">IBI", 1, 0, 7))
        block = Block(server.messages, server.sizes)
        decoded = decoder.decode(block, lambda _: False)
        landed = 0
        for part in decoded.parts:
            if part.how == "truncate":
                replica.clear()
                continue
            landed += part.rows.num_rows
            for row in part.rows.to_pylist():
                if part.how == "delete":
                    replica.pop(row["id"], None)
                else:
                    replica[row["id"]] = {**replica.get(row["id"], {}), **row}
        assert landed + decoded.superseded == changes - truncates
        assert {key: (row["n"], row.get("large")) for key, row in replica.items()} == server.rows
        assert block.end > 0
        server.messages, server.sizes = bytearray(), []


def test_what_a_relation_message_says() -> None:
    server = Server(0)
    announced = Announced.of(bytes(server.messages[25:]))
    assert (announced.oid, announced.title, announced.identity) == (7, "public.things", "d")
    assert (announced.columns[0], announced.flagged) == (("id", 25, -1), ("id",))


def test_a_slot_that_holds_much_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(1_000_000)
    assert watch.due
    told = []
    for held, status in (
        (999_999, "reserved"),
        (1_000_000, "reserved"),
        (1_999_999, "extended"),
        (2_000_000, "extended"),
        (3_000_000, "unreserved"),
        (3_500_000, "unreserved"),
        (10, "reserved"),
        (1_500_000, "reserved"),
    ):
        caplog.clear()
        watch.look("mine", Lag(bytes=0, held=held, status=status))
        told.append(" ".join(caplog.messages))
    assert not watch.due
    assert [bool(text) for text in told] == [False, True, False, True, True, False, False, True]
    assert "2 MB of its log for the slot mine: this pipe is slower" in told[3]
    assert "about to remove it" in told[4]
