"""Following the changes of tables in PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from tests.integration.changing import Replica, confirmed, slots_dropped
from tests.patience import until

from penstock.connectors.cdc import PostgresChanges, slots
from penstock.connectors.cdc.stream import Link
from penstock.core.errors import SourceChanged, SourceUnavailable
from penstock.core.ports.data import Batch

pytestmark = pytest.mark.integration

LARGE = "x" * 5000
MINE = "FROM pg_replication_slots WHERE database = current_database()"
Run = Callable[..., list[Any]]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with slots_dropped(postgres_url):
        yield postgres_url


@pytest.fixture
def sql(url: str) -> Iterator[Run]:
    with psycopg.connect(url, autocommit=True) as connection:

        def run(text: str, *values: Any) -> list[Any]:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def orders(sql: Run) -> Run:
    sql("CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2), note text)")
    sql("ALTER TABLE orders ALTER note SET STORAGE EXTERNAL")
    sql("INSERT INTO orders SELECT i, i, 'note ' || i FROM generate_series(1, 10) i")
    return sql


def changes(url: str, *tables: str, **options: Any) -> PostgresChanges:
    return PostgresChanges(url, tables or ("public.orders",), publication="penstock", **options)


def said(batches: list[Batch]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(part.how, part.rows.to_pylist()) for batch in batches for part in batch.parts]


def test_a_copy_and_then_every_kind_of_change(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        assert [row["id"] for row in replica.rows()] == list(range(1, 11))
        orders("INSERT INTO orders VALUES (11, 1.5, 'new')")
        orders("UPDATE orders SET total = 7 WHERE id = 1")
        orders("DELETE FROM orders WHERE id = 2")
        orders("UPDATE orders SET id = 33 WHERE id = 3")
        assert said(replica.follow(source)) == [
            ("delete", [{"id": 2}, {"id": 3}]),
            (
                "upsert",
                [
                    {"id": 11, "total": Decimal("1.50"), "note": "new"},
                    {"id": 1, "total": Decimal("7.00"), "note": "note 1"},
                    {"id": 33, "total": Decimal("3.00"), "note": "note 3"},
                ],
            ),
        ]
        orders("TRUNCATE orders; INSERT INTO orders VALUES (1, 1, 'after')")
        assert [how for how, _ in said(replica.follow(source))] == ["truncate", "upsert"]
    assert [row["note"] for row in replica.rows()] == ["after"]


def test_of_many_changes_of_a_row_the_last_one_is_handed_out(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        for total in range(20):
            orders("UPDATE orders SET total = %s WHERE id = 1", total)
        orders("DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (2, 5, 'again')")
        (batch,) = replica.follow(source)
    assert (batch.superseded, batch.read) == (20, 22)
    assert [[row["id"] for row in rows] for _, rows in said([batch])] == [[1, 2]]
    assert [row["total"] for row in replica.rows()[:2]] == [19, 5]


def test_a_large_value_that_did_not_change_stays(url: str, orders: Run) -> None:
    orders("UPDATE orders SET note = %s WHERE id <= 3", LARGE)
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        orders("UPDATE orders SET total = 99 WHERE id IN (1, 5)")
        parts = [part for batch in replica.follow(source) for part in batch.parts]
        assert sorted(part.rows.column_names for part in parts) == [["id", "total"], ["id", "total", "note"]]
        orders("UPDATE orders SET note = %s, total = 1 WHERE id = 2", LARGE + "y")
        orders("UPDATE orders SET total = 2 WHERE id = 2")
        (part,) = [part for batch in replica.follow(source) for part in batch.parts]
        assert part.rows.to_pylist() == [{"id": 2, "total": Decimal("2.00"), "note": LARGE + "y"}]
    assert [len(row["note"]) for row in replica.rows()[:3]] == [5000, 5001, 5000]


def test_a_row_that_gets_another_key_takes_its_large_values_along(url: str, orders: Run) -> None:
    orders("UPDATE orders SET note = %s WHERE id <= 3", LARGE)
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        orders("UPDATE orders SET id = 101 WHERE id = 1")
        orders("UPDATE orders SET id = 102 WHERE id = 2; UPDATE orders SET id = 202 WHERE id = 102")
        replica.follow(source)
    assert [(row["id"], len(row["note"])) for row in replica.rows() if row["id"] > 100] == [(101, 5000), (202, 5000)]


def test_a_transaction_is_in_one_batch(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url, batch_rows=2) as source:
        replica.follow(source)
        orders("INSERT INTO orders SELECT i, i FROM generate_series(100, 149) i")
        orders("INSERT INTO orders SELECT i, i FROM generate_series(200, 249) i")
        assert [batch.read for batch in replica.follow(source) if batch.read] == [50, 50]


def test_a_very_large_transaction_comes_in_pieces_and_goes_on_in_the_middle(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url, batch_rows=20, whole_rows=50) as source:
        replica.follow(source)
        orders(
            "INSERT INTO orders SELECT i, i FROM generate_series(100, 499) i; UPDATE orders SET total = 0 WHERE id = 1"
        )
        orders("INSERT INTO orders VALUES (1000, 1, '')")
        reads = []
        for _ in range(20):
            reading = source.batches(replica.position)
            batch = next(reading)
            reading.close()  # type: ignore[attr-defined]
            reads.append(batch.read)
            replica.land(batch)
            if batch.last:
                break
        assert sum(reads) == 402
        assert reads[:7] == [50] * 7
        orders_of = [batch.order for batch in replica.batches]
        assert orders_of == sorted(set(orders_of))
    assert len(replica.rows()) == 411


def test_the_server_keeps_its_log_until_all_has_landed(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        before = confirmed(url)
        orders("INSERT INTO orders VALUES (11, 1, '')")
        first = list(source.batches(replica.position))
        assert confirmed(url) == before
        assert [batch.read for batch in first] == [batch.read for batch in source.batches(replica.position)] == [1]
        source.landed(first[-1].position)
        assert confirmed(url) > before
        assert [batch.read for batch in source.batches(first[-1].position)] == [0]


def test_a_copy_that_was_broken_off_goes_on_and_is_right(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url, batch_rows=3) as source:
        reading = source.batches(None)
        replica.land(next(reading))
        replica.land(next(reading))
        reading.close()  # type: ignore[attr-defined]
        orders("UPDATE orders SET total = -1 WHERE id IN (2, 8)")
        orders("DELETE FROM orders WHERE id IN (3, 9)")
        orders("UPDATE orders SET id = 0 WHERE id = 10; UPDATE orders SET id = 50 WHERE id = 1")
        orders("INSERT INTO orders VALUES (-1, 1, 'before'), (60, 1, 'behind')")
    with changes(url, batch_rows=3) as source:
        replica.follow(source)
    there = orders("SELECT id, total, note FROM orders ORDER BY id")
    assert [(row["id"], row["total"], row["note"]) for row in replica.rows()] == there


def test_a_table_is_copied_again_while_others_are_followed(url: str, orders: Run) -> None:
    orders("CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more VALUES (1)")
    replica = Replica()
    with changes(url, "public.orders", "public.more") as source:
        replica.follow(source)
        replica.tables["public.orders"].clear()  # somebody has spoilt the replica
        replica.tables["public.orders"][(77,)] = {"id": 77}
        source.copy_again("public.orders")
        orders("INSERT INTO more VALUES (2); DELETE FROM orders WHERE id = 1")
        replica.follow(source)
    assert [row["id"] for row in replica.rows("public.orders")] == list(range(2, 11))
    assert [row["id"] for row in replica.rows("public.more")] == [1, 2]


def test_a_table_that_is_added_later_is_copied_then(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url, names={"public.orders": "orders"}) as source:
        replica.follow(source)
    orders("CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more VALUES (1)")
    orders("ALTER PUBLICATION penstock ADD TABLE more; DELETE FROM orders WHERE id > 1")
    with changes(url, "public.orders", "public.more", names={"public.orders": "orders"}) as source:
        replica.follow(source)
    assert (len(replica.rows("orders")), replica.rows("public.more")) == (1, [{"id": 1}])


def test_columns_come_and_go_in_one_transaction(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        orders(
            "INSERT INTO orders VALUES (11, 1, 'old'); ALTER TABLE orders ADD extra int; "
            "INSERT INTO orders VALUES (12, 1, 'new', 5); ALTER TABLE orders DROP note; "
            "ALTER TABLE orders ALTER extra TYPE text USING 'no ' || extra; INSERT INTO orders VALUES (13, 1, 'six')"
        )
        replica.follow(source)
    assert replica.rows()[-3:] == [
        {"id": 11, "total": 1, "note": "old"},
        {"id": 12, "total": 1, "note": "new", "extra": 5},
        {"id": 13, "total": 1, "extra": "six"},
    ]


def test_the_log_itself(url: str, orders: Run) -> None:
    orders("DELETE FROM orders WHERE id > 1")
    with changes(url, as_changes=True) as source:
        batches = list(source.batches(None))
        orders("INSERT INTO orders VALUES (2, 2, %s)", LARGE)
        orders("UPDATE orders SET total = 3 WHERE id = 2; UPDATE orders SET id = 3 WHERE id = 2")
        orders("DELETE FROM orders WHERE id = 1; TRUNCATE orders")
        batches += source.batches(batches[-1].position)
    rows = [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]
    assert [row["op"] for row in rows] == ["read", "insert", "update", "update", "delete", "truncate"]
    assert all(part.how == "append" for batch in batches for part in batch.parts)
    assert [(row["lsn"], row["seq"]) for row in rows] == sorted({(row["lsn"], row["seq"]) for row in rows})
    assert [row["xid"] is None for row in rows] == [True] + [False] * 5
    assert [(row["after"] or {}).get("id") for row in rows] == [1, 2, 2, 3, None, None]
    assert [(row["before"] or {}).get("id") for row in rows] == [None, None, None, 2, 1, None]
    assert [row["unchanged"] for row in rows] == [None, None, ["note"], ["note"], None, None]
    assert all(row["committed"].tzinfo is not None for row in rows)


def test_the_log_of_a_table_without_a_key(url: str, sql: Run) -> None:
    sql("CREATE TABLE lines (text text); ALTER TABLE lines REPLICA IDENTITY FULL")
    sql("INSERT INTO lines VALUES ('a'), ('a'), ('b')")
    with changes(url, "public.lines", as_changes=True, batch_rows=2) as source:
        (first, *_rest) = source.batches(None)
        assert [row["after"]["text"] for part in first.parts for row in part.rows.to_pylist()] == ["a", "a"]
        sql("DELETE FROM lines WHERE text = 'b'")
        rows = [r for b in source.batches(first.position) for part in b.parts for r in part.rows.to_pylist()]
        assert [row["op"] for row in rows] == ["truncate", "read", "read"]  # nobody knows which were read


def test_keys_may_be_chosen_where_former_rows_come_whole(url: str, sql: Run) -> None:
    sql("CREATE TABLE lines (number int, text text); ALTER TABLE lines REPLICA IDENTITY FULL")
    sql("INSERT INTO lines SELECT i, 'text' FROM generate_series(1, 5) i")
    replica = Replica()
    with changes(url, "public.lines", keys={"public.lines": ["number"]}) as source:
        replica.follow(source)
        sql("UPDATE lines SET text = 'x' WHERE number = 1; UPDATE lines SET number = 9 WHERE number = 2")
        sql("DELETE FROM lines WHERE number = 3")
        replica.follow(source)
    assert [(row["number"], row["text"]) for row in replica.rows()] == [(1, "x"), (4, "text"), (5, "text"), (9, "text")]


def test_partitions_are_one_table(url: str, sql: Run) -> None:
    sql("CREATE TABLE days (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    sql("CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')")
    sql("CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
    sql("INSERT INTO days VALUES (1, '2024-05-05'), (2, '2025-05-05')")
    replica = Replica()
    with changes(url, "public.days") as source:
        replica.follow(source)
        sql("INSERT INTO days VALUES (3, '2025-06-06'); UPDATE days SET day = '2025-07-07' WHERE id = 1")
        replica.follow(source)
    assert sorted(row["id"] for row in replica.rows()) == [1, 2, 3]
    assert all(row["day"].year == 2025 for row in replica.rows())


def test_what_does_not_fit_is_rejected_with_its_key(url: str, orders: Run) -> None:
    orders("UPDATE orders SET total = 'NaN' WHERE id = 5")
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        orders("UPDATE orders SET total = 'NaN' WHERE id = 6; UPDATE orders SET note = 'fine' WHERE id = 7")
        (batch,) = replica.follow(source)
    assert len(replica.rows()) == 9
    first, second = replica.rejected
    assert (first.where, second.where) == ("public.orders (id=5)", "public.orders (id=6)")
    assert "NaN is no number of 10 digits, 2 of them after the point" in second.reason
    assert "note='note 6'" in second.raw
    assert batch.read == 2


def test_columns_may_be_read_as_another_type(url: str, sql: Run) -> None:
    sql("CREATE TABLE sums (id int PRIMARY KEY, free numeric, at timestamptz)")
    sql("INSERT INTO sums VALUES (1, 1.5, 'infinity')")
    replica = Replica()
    types = {"public.sums.free": "numeric(20, 4)", "public.sums.at": "text"}
    with changes(url, "public.sums", types=types) as source:
        replica.follow(source)
        sql("INSERT INTO sums VALUES (2, 2.25, '2024-01-01 00:00+00')")
        replica.follow(source)
    assert [(row["free"], row["at"]) for row in replica.rows()] == [
        (Decimal("1.5000"), "infinity"),
        (Decimal("2.2500"), "2024-01-01 00:00:00+00"),
    ]


def test_one_that_follows_hands_out_something_every_second(url: str, orders: Run) -> None:
    with changes(url, follow=True) as source:
        reading = source.batches(None)
        next(batch for batch in reading if batch.parts)
        quiet = [next(reading) for _ in range(2)]  # their position moves when others write much on the same server
        assert [batch.parts for batch in quiet] == [(), ()]
        orders("INSERT INTO orders VALUES (11, 1, 'at once')")
        assert said([next(batch for batch in reading if batch.parts)])[0][1][0]["note"] == "at once"
        reading.close()  # type: ignore[attr-defined]


def test_a_quiet_table_holds_no_log(url: str, orders: Run) -> None:
    orders("CREATE TABLE busy (text text)")
    replica = Replica()
    written = 0
    with changes(url, follow=True) as source:
        for batch in source.batches(None):
            replica.land(batch)
            source.landed(batch.position)
            if len(replica.batches) == 2:
                orders("INSERT INTO busy SELECT repeat(md5(i::text), 50) FROM generate_series(1, 20000) i")
                ((written,),) = orders("SELECT (pg_current_wal_lsn() - '0/0')::int8")
            if written:  # what others on this server write meanwhile comes after it
                ((confirmed,),) = orders(f"SELECT coalesce(min(confirmed_flush_lsn - '0/0'), 0)::int8 {MINE}")
                if confirmed >= written:
                    break
    assert [part for batch in replica.batches[1:] for part in batch.parts] == []


def test_how_far_behind_it_is_can_be_asked(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        assert source.lag().seconds == 0
        orders("INSERT INTO orders VALUES (11, 1, '')")
        (batch,) = source.batches(replica.position)
        behind = source.lag()
        assert (behind.seconds or 0) > 0
        assert 0 < behind.bytes <= behind.held
        assert behind.status == "reserved"
        source.landed(batch.position)
        assert source.lag().seconds == 0


def test_a_slot_that_holds_the_log_back_is_warned_of(url: str, orders: Run, caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica()
    with changes(url, warn_bytes=1) as source:
        replica.follow(source)
    assert any("keeps" in text and "of its log for the slot" in text for text in caplog.messages)


def test_a_reader_that_was_cut_off_connects_again(url: str, orders: Run) -> None:
    replica = Replica()
    stop = threading.Event()
    with changes(url, follow=True) as source:

        def read() -> None:
            for batch in source.batches(None):
                replica.land(batch)
                source.landed(batch.position)
                if stop.is_set() and not batch.parts:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(100, 106):
            orders("INSERT INTO orders VALUES (%s, 1, '')", number)
            deadline = time.monotonic() + 30
            while (number,) not in replica.tables.get("", {}):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            orders(f"SELECT pg_terminate_backend(active_pid) {MINE} AND active")
        stop.set()
        reader.join(30)
        assert not reader.is_alive()
    assert [row["id"] for row in replica.rows()[-6:]] == list(range(100, 106))


def test_two_readers_of_one_slot(url: str, orders: Run) -> None:
    with changes(url, follow=True) as one, changes(url, follow=True, outage_seconds=0.3) as two:
        reading = one.batches(None)
        first = next(batch for batch in reading if batch.parts)
        next(reading)  # now the log is being read
        with pytest.raises(SourceUnavailable, match="another process reads from the slot penstock_"):
            for _ in two.batches(first.position):
                pass
        reading.close()  # type: ignore[attr-defined]


def test_a_slot_that_is_still_being_made_for_somebody_who_died(
    url: str, orders: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Making a slot waits for transactions that began before; the server goes on with it, whoever has asked for it."""
    monkeypatch.setattr(slots, "SLOW_SECONDS", 0.1)
    replica = Replica()
    with psycopg.connect(url) as before, changes(url) as source:
        before.execute("SELECT pg_current_xact_id()")
        link = Link(source._address)
        making = link.ask(
            f'CREATE_REPLICATION_SLOT "{source._options.slot}" LOGICAL pgoutput NOEXPORT_SNAPSHOT'.encode()
        )
        until(lambda: next(making) is None and orders(f"SELECT 1 {MINE}"), "the slot is being made")
        link.close()
        reader = threading.Thread(target=replica.follow, args=(source,))
        reader.start()
        until(lambda: "waits until the slot is made" in caplog.text, "it says that it waits")
        assert reader.is_alive()
        assert orders(f"SELECT confirmed_flush_lsn {MINE}") == [(None,)]
        before.rollback()
        reader.join(30)
        assert not reader.is_alive()
        orders("INSERT INTO orders VALUES (11, 1, '')")
        replica.follow(source)
    assert [row["id"] for row in replica.rows()] == list(range(1, 12))


@pytest.mark.parametrize("trouble", ["dropped", "read by another"])
def test_changes_that_are_missing_are_told_and_can_be_healed(url: str, orders: Run, trouble: str) -> None:
    replica = Replica()
    with changes(url) as source:
        replica.follow(source)
        orders("DELETE FROM orders WHERE id = 1")
        if trouble == "dropped":
            orders(f"SELECT pg_drop_replication_slot(slot_name) {MINE}")
        else:
            orders(f"SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) {MINE}")
        with pytest.raises(SourceChanged, match="changes are missing") as caught:
            replica.follow(source)
        assert "when_lost" in str(caught.value)
    with changes(url, when_lost="copy") as source:
        replica.follow(source)
        orders("INSERT INTO orders VALUES (11, 1, '')")
        replica.follow(source)
    assert [row["id"] for row in replica.rows()] == list(range(2, 12))


def test_a_position_is_json_and_of_this_cluster(url: str, orders: Run) -> None:
    with changes(url) as source:
        position = json.loads(json.dumps(list(source.batches(None))[-1].position))
        assert list(source.batches(position))[-1].position == position
        with pytest.raises(SourceChanged, match="another one"):
            list(source.batches({**position, "system": "1"}))


def test_only_what_changes_from_now_on(url: str, orders: Run) -> None:
    replica = Replica()
    with changes(url, copy=False) as source:
        replica.follow(source)
        orders("UPDATE orders SET total = 0 WHERE id = 4")
        replica.follow(source)
    assert [row["id"] for row in replica.rows()] == [4]


def test_no_password_is_shown(url: str, orders: Run) -> None:
    secret = "hunter2hunter2"
    with PostgresChanges(f"postgresql://ada:{secret}@127.0.0.1:1/shop", ["public.orders"]) as source:
        assert secret not in repr(source) + str(source.place)
        assert str(source.place) == "postgres://127.0.0.1:1/shop.public.orders"
        with pytest.raises(SourceUnavailable) as caught:
            next(iter(source.batches(None)))
        assert secret not in str(caught.value)
