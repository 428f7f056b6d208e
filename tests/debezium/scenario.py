"""What happens to a database: every common type, NULLs, large values, keys, deletes, truncates, other columns."""

from __future__ import annotations

from typing import Any

TABLES = ["public.kinds", "public.odd", "public.large", "public.whole", "public.pairs", "public.moving", "public.over"]
PUBLICATION = "told"
KEYS = {
    **dict.fromkeys(TABLES, ("id",)),
    "public.pairs": ("shop", "id"),
    "public.whole": (),
}
LAST = "public.over"
"""One row in it, at the end, says that all of the log has been read."""

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN few AS integer CHECK (VALUE < 10);
CREATE TABLE kinds (
    id integer PRIMARY KEY, a_bool boolean, an_int2 smallint, an_int4 integer, an_int8 bigint, a_float4 real,
    a_float8 double precision, a_decimal numeric(12, 4), a_numeric numeric, some_money money, a_text text,
    a_varchar varchar(20), a_char char(5), some_bytes bytea, a_date date, a_time time, a_timetz timetz,
    a_timestamp timestamp, a_short_timestamp timestamp(3), a_timestamptz timestamptz, an_interval interval, a_uuid uuid,
    a_json json, a_jsonb jsonb, an_inet inet, a_cidr cidr, a_mac macaddr, some_bits bit(5), more_bits varbit(20),
    a_bit bit, ints integer[], texts text[], decimals numeric(6, 2)[], days date[], a_mood mood, a_few few,
    a_range int4range, a_time_range tstzrange, a_point point, an_oid oid, an_xml xml
);
CREATE TABLE odd (
    id integer PRIMARY KEY, a_float4 real, a_float8 double precision, a_decimal numeric(12, 4), a_numeric numeric,
    a_date date, a_time time, a_timestamp timestamp, a_timestamptz timestamptz, ints integer[], a_text text
);
CREATE TABLE large (id integer PRIMARY KEY, number integer, body text, bytes bytea, json jsonb);
ALTER TABLE large ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN bytes SET STORAGE EXTERNAL,
    ALTER COLUMN json SET STORAGE EXTERNAL;
CREATE TABLE whole (number integer, body text);
ALTER TABLE whole ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE pairs (shop integer, id integer, note text, PRIMARY KEY (shop, id));
CREATE TABLE moving (id integer PRIMARY KEY, name text, amount integer);
CREATE TABLE over (id integer PRIMARY KEY);
"""

KINDS = [
    """INSERT INTO kinds VALUES (
        1, true, 32767, 2147483647, 9223372036854775807, 1.1, 0.1, 12.34, 123456789.123456789, 1234.56,
        'Grüße, "it''s"', 'some', 'ab', '\\x00ff10', '2026-03-01', '12:34:56.789012', '12:34:56+02',
        '2026-03-01 12:34:56.789012',
        '2026-03-01 12:34:56.789', '2026-03-01 12:34:56.789012+02', '1 year 2 mons 3 days 04:05:06.789',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a":  [1, 2.50, null], "b": "ü"}', '{"b": 1, "a": [true]}',
        '192.168.1.7', '10.1.0.0/16', '08:00:2b:01:02:03', B'10101', B'1100', B'1', '{1,NULL,3}',
        '{"a,b",NULL,"","null","q\\"q"}', '{1.50,NULL}', '{2026-03-01}', 'happy', 7, '[1,10)',
        '[2026-03-01 00:00:00+00,2026-03-02 00:00:00+00)', '(1.5,-2)', 4294967295, '<a b="c">d</a>')""",
    "INSERT INTO kinds (id) VALUES (2)",
    """INSERT INTO kinds VALUES (
        3, false, -32768, -2147483648, -9223372036854775808, -1.5e-30, 1.7976931348623157e308, -99999999.9999,
        -0.000000000000000000000000000001, -0.01, '', '', '', '', '1969-12-31', '00:00:00', '00:00:00-08',
        '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999+00', '-1 day',
        '00000000-0000-0000-0000-000000000000', 'null', '[]', '::1/128', '::/0', 'ff:ff:ff:ff:ff:ff', B'00000', B'',
        B'0', '{}', '{}', '{}', '{}', 'sad', -1, 'empty', '(,)', '(0,0)', 0, '<e/>')""",
    "UPDATE kinds SET a_text = E'line\\nline\\ttab \U0001f600', a_bool = NULL, ints = '{-1}' WHERE id = 1",
]

_ODD = [
    ("a_float4", "'NaN'"),
    ("a_float8", "'NaN'"),
    ("a_float8", "'Infinity'"),
    ("a_float8", "'-Infinity'"),
    ("a_float8", "'-0'"),
    ("a_decimal", "'NaN'"),
    ("a_numeric", "'NaN'"),
    ("a_numeric", "'1e60'"),
    ("a_date", "'infinity'"),
    ("a_date", "'-infinity'"),
    ("a_date", "'0044-03-15 BC'"),
    ("a_date", "'0001-01-01'"),
    ("a_date", "'9999-12-31'"),
    ("a_date", "'12345-06-07'"),
    ("a_time", "'24:00:00'"),
    ("a_time", "'23:59:59.999999'"),
    ("a_timestamp", "'infinity'"),
    ("a_timestamp", "'-infinity'"),
    ("a_timestamp", "'0001-01-01'"),
    ("a_timestamp", "'9999-12-31 23:59:59.999999'"),
    ("a_timestamp", "'12345-06-07'"),
    ("a_timestamptz", "'infinity'"),
    ("a_timestamptz", "'-infinity'"),
    ("a_timestamptz", "'1900-01-01 00:00:00+00:19:32'"),
    ("a_timestamptz", "'9999-12-31 23:59:59.999999+00'"),
    ("ints", "'{{1,2},{3,4}}'"),
    ("ints", "'[5:6]={1,2}'"),
    ("a_text", "repeat('x', 10000)"),
]
ODD = [f"INSERT INTO odd (id, {column}) VALUES ({place}, {value})" for place, (column, value) in enumerate(_ODD, 1)]

_BODY = "(SELECT string_agg(md5((i + {0})::text), '') FROM generate_series(1, 300) i)"
_BYTES = "(SELECT string_agg(decode(md5((i + {0})::text), 'hex'), '') FROM generate_series(1, 600) i)"
_JSON = "(SELECT jsonb_object_agg(i, md5((i + {0})::text)) FROM generate_series(1, 300) i)"
_LARGE = f"{_BODY}, {_BYTES}, {_JSON}"
LARGE = [
    f"INSERT INTO large SELECT 1, 1, {_LARGE.format(0)}",
    f"INSERT INTO large SELECT 2, 1, {_LARGE.format(7)}",
    "UPDATE large SET number = 2 WHERE id = 1",
    "UPDATE large SET body = 'short' WHERE id = 1",
    "UPDATE large SET body = NULL, number = 3 WHERE id = 1",
    "UPDATE large SET id = 20 WHERE id = 2",
    "DELETE FROM large WHERE id = 20",
]
WHOLE = [
    f"INSERT INTO whole SELECT 1, {_BODY.format(3)}",
    "UPDATE whole SET number = 2",
    "UPDATE whole SET body = 'short'",
    "DELETE FROM whole",
]
PAIRS = [
    "INSERT INTO pairs VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c')",
    "BEGIN; UPDATE pairs SET note = 'd' WHERE shop = 1; UPDATE pairs SET id = 9 WHERE shop = 2; COMMIT",
    "BEGIN; INSERT INTO pairs VALUES (7, 7, 'never'); ROLLBACK",
    "BEGIN; INSERT INTO pairs VALUES (3, 1, 'kept'); SAVEPOINT s; DELETE FROM pairs; ROLLBACK TO s; COMMIT",
    "BEGIN; DELETE FROM pairs WHERE shop = 1 AND id = 1; INSERT INTO pairs VALUES (1, 1, 'again'); COMMIT",
    "TRUNCATE pairs, large",
    "INSERT INTO pairs VALUES (5, 5, NULL)",
]
MOVING = [
    "INSERT INTO moving VALUES (1, 'one', 10)",
    "ALTER TABLE moving ADD COLUMN city text DEFAULT 'Ulm'",
    "INSERT INTO moving VALUES (2, 'two', 20, 'Oslo')",
    "UPDATE moving SET amount = 11 WHERE id = 1",
    "ALTER TABLE moving ALTER COLUMN amount TYPE numeric(10, 2)",
    "UPDATE moving SET amount = 12.5 WHERE id = 1",
    "ALTER TABLE moving DROP COLUMN city",
    "INSERT INTO moving VALUES (3, 'three', 30)",
    "ALTER TABLE moving RENAME COLUMN name TO title",
    "BEGIN; INSERT INTO moving VALUES (4, 'four', 40); ALTER TABLE moving ADD COLUMN late integer;"
    " INSERT INTO moving VALUES (5, 'five', 50, 5); COMMIT",
    "DELETE FROM moving WHERE id = 2",
]
CHANGES = [*KINDS, *ODD, *LARGE, *WHOLE, *PAIRS, *MOVING, "INSERT INTO over VALUES (1)"]


def prepare(connection: Any, slot: str) -> None:
    """Make the tables, the publication of them, and a slot that keeps what happens to them from now on."""
    connection.execute(SETUP)
    connection.execute(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE {', '.join(TABLES)}")
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def happen(connection: Any) -> None:
    """Everything, each line a transaction of its own (or several statements in one)."""
    for change in CHANGES:
        connection.execute(change)
