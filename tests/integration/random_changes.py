"""Random transactions on tables of every common type, and the tables as the database itself shows them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

KEYS = {"public.wide": ("id",), "public.pairs": ("a", "b"), "public.marked": ("mark",)}
TABLES = tuple(KEYS)
_SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE wide (
  id bigint PRIMARY KEY, flag bool, small smallint, number int, huge bigint, f4 real, f8 double precision,
  price numeric(10, 2), free numeric, cash money, day date, clock time, at timestamp, moment timestamptz, raw bytea,
  ident uuid, doc json, docb jsonb, ints int[], texts text[], mood mood, moods mood[], pos positive, span int4range,
  wait interval, bits bit(6), name varchar(40), code char(4), net inet, large text, larger bytea);
ALTER TABLE wide ALTER large SET STORAGE EXTERNAL, ALTER larger SET STORAGE EXTERNAL;
CREATE TABLE pairs (a text, b int, note text, large text, PRIMARY KEY (a, b));
ALTER TABLE pairs ALTER large SET STORAGE EXTERNAL;
ALTER TABLE pairs REPLICA IDENTITY FULL;
CREATE TABLE marked (id int, mark uuid NOT NULL UNIQUE, large text, number numeric(12, 3));
ALTER TABLE marked ALTER large SET STORAGE EXTERNAL;
ALTER TABLE marked REPLICA IDENTITY USING INDEX marked_mark_key;
"""
_AS_TEXT = ("free", "ident", "mark", "doc", "docb", "span", "wait", "bits", "code", "net", "mood")
_ENDS = "CASE {0} WHEN 'infinity' THEN '9999-12-31 23:59:59.999999' WHEN '-infinity' THEN '0001-01-01' ELSE {0} END"
_WORDS = (
    "",
    "plain",
    "ünïcode ✓",
    "two\nlines",
    "tab\t",
    'quote"',
    "back\\slash",
    "{a,b}",
    "NULL",
    "null",
    "'",
    " ",
    "日本",
)


class World:
    """Tables, and what happens to them.

    Args:
        url: of an empty database.
        seed: decides everything.
    """

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("SET timezone = 'UTC'; SET intervalstyle = 'iso_8601'; SET datestyle = 'ISO'")
        self.connection.execute(_SETUP)
        self._columns = 0
        self._makers = self._all_makers()

    def fill(self, rows: int) -> None:
        """Rows for a beginning."""
        for _ in range(rows):
            self._insert(self.random.choice(("wide", "pairs", "marked")))

    def happen(self, transactions: int) -> None:
        """Random transactions; some are rolled back, in whole or in part."""
        for _ in range(transactions):
            with self.connection.transaction() as transaction:
                for _ in range(self.random.choice((1, 1, 2, 3, 8))):
                    with self.connection.transaction() as part:
                        self._operate()
                        if self.random.random() < 0.1:
                            raise psycopg.Rollback(part)
                if self.random.random() < 0.1:
                    raise psycopg.Rollback(transaction)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table as it is, with the values that Arrow has for them."""
        name = table.removeprefix("public.")
        columns = self._columns_of(name)
        keys = {"wide": "id", "pairs": 'a COLLATE "C", b', "marked": "mark::text"}[name]
        cursor = self.connection.execute(f"SELECT {', '.join(map(_shown, columns))} FROM {name} ORDER BY {keys}")
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        self.connection.close()

    # ------------------------------------------------------------------------------------------------ operations

    def _operate(self) -> None:
        table = self.random.choice(("wide", "wide", "pairs", "marked"))
        what = self.random.random()
        if what < 0.4:
            self._insert(table)
        elif what < 0.75:
            self._update(table)
        elif what < 0.83:
            self._move(table)
        elif what < 0.96:
            self._delete(table)
        elif what < 0.98:
            self.connection.execute(f"TRUNCATE {table}")
        else:
            self._alter()

    def _insert(self, table: str) -> None:
        columns = self._columns_of(table)
        values = [self._value(table, column) for column in columns]
        places = ", ".join("%s" for _ in columns)
        self.connection.execute(f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING", values)

    def _some(self, table: str) -> str:
        count = self.random.choice((1, 1, 1, 2, 5))
        return f"ctid IN (SELECT ctid FROM {table} ORDER BY md5(ctid::text || '{self.random.random()}') LIMIT {count})"

    def _update(self, table: str) -> None:
        keys = {"wide": ("id",), "pairs": ("a", "b"), "marked": ("mark",)}[table]
        others = [column for column in self._columns_of(table) if column not in keys]
        chosen = self.random.sample(others, self.random.randint(1, min(3, len(others))))
        sets = ", ".join(f"{column} = %s" for column in chosen)
        values = [self._value(table, column) for column in chosen]
        self.connection.execute(f"UPDATE {table} SET {sets} WHERE {self._some(table)}", values)

    def _move(self, table: str) -> None:
        """Another key for a row; what is large stays."""
        key = {"wide": "id", "pairs": "b", "marked": "mark"}[table]
        where = self._some(table).replace("LIMIT 2", "LIMIT 1").replace("LIMIT 5", "LIMIT 1")
        value = self._value(table, key)
        free = f"NOT EXISTS (SELECT FROM {table} WHERE {key} = %s)"
        self.connection.execute(f"UPDATE {table} SET {key} = %s WHERE {where} AND {free}", (value, value))

    def _delete(self, table: str) -> None:
        self.connection.execute(f"DELETE FROM {table} WHERE {self._some(table)}")

    def _alter(self) -> None:
        extra = [column for column in self._columns_of("wide") if column.startswith("extra")]
        what = self.random.random()
        if extra and what < 0.3:
            self.connection.execute(f"ALTER TABLE wide DROP {self.random.choice(extra)}")
        elif what < 0.5:
            self.connection.execute("ALTER TABLE marked ALTER id TYPE bigint")
        else:
            self._columns += 1
            self.connection.execute(f"ALTER TABLE wide ADD extra{self._columns} {self.random.choice(('int', 'text'))}")

    # ------------------------------------------------------------------------------------------------ values

    def _columns_of(self, table: str) -> list[str]:
        sql = (
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum"
        )
        return [row[0] for row in self.connection.execute(sql, [table]).fetchall()]

    def _value(self, table: str, column: str) -> Any:
        maker = self._makers.get(f"{table}.{column}") or self._makers.get(column)
        if maker is None:  # an extra column, a number or a text
            return str(self.random.randint(0, 99))
        if column not in ("id", "a", "b", "mark") and self.random.random() < 0.15:
            return None
        return maker()

    def _text(self) -> str:
        return "".join(self.random.choice(_WORDS) for _ in range(self.random.randint(0, 3)))

    def _large(self) -> str:
        return self.random.choice("abcxyz") * self.random.choice((10, 2500, 9000)) + self._text()

    def _all_makers(self) -> dict[str, Callable[[], Any]]:
        r = self.random
        moments = ("infinity", "-infinity", "2024-02-29 23:59:59.999999", "1969-12-31 00:00:00.5", "1999-01-01")
        floats = (0.1, -1e30, 1.5e-20, float("nan"), float("inf"), float("-inf"), 3.0)
        return {
            "id": lambda: r.randint(1, 60),
            "a": lambda: r.choice(("x", "y", "two\nlines", "", "{}")),
            "b": lambda: r.randint(-9, 9),
            "mark": lambda: f"00000000-0000-0000-0000-{r.randint(1, 40):012d}",
            "note": self._text,
            "flag": lambda: r.random() < 0.5,
            "small": lambda: r.randint(-32768, 32767),
            "number": lambda: r.choice((0, -1, 2**31 - 1, -(2**31), r.randint(0, 10**6))),
            "marked.number": lambda: f"{r.randint(-(10**8), 10**8)}.{r.randint(0, 999):03d}",
            "huge": lambda: r.choice((2**63 - 1, -(2**63), r.randint(0, 10**15))),
            "f4": lambda: r.choice((0.5, -2.25, float("nan"), float("inf"))),
            "f8": lambda: r.choice(floats),
            "price": lambda: f"{r.randint(-(10**7), 10**7)}.{r.randint(0, 99):02d}",
            "free": lambda: r.choice(("NaN", "1e40", "0.000000000000000000001", str(r.random()))),
            "cash": lambda: f"{r.randint(-10000, 10000)}.{r.randint(0, 99):02d}",
            "day": lambda: r.choice(("2024-02-29", "0001-01-01", "1969-12-31", "9999-12-31")),
            "clock": lambda: r.choice(("00:00:00", "23:59:59.999999", "12:30:00.5")),
            "at": lambda: r.choice(moments),
            "moment": lambda: r.choice(moments),
            "raw": lambda: r.choice((b"", b"\0\xff", b"text", bytes(range(256)))),
            "ident": lambda: f"12345678-1234-1234-1234-{r.randint(0, 10**11):012d}",
            "doc": lambda: r.choice(('{"a":  1}', "null", '"two\\nlines"', "[1, 2]")),
            "docb": lambda: r.choice(('{"a":  1, "b": [null]}', "null", '"ünï"', "1.50")),
            "ints": lambda: [r.choice((None, r.randint(-5, 5))) for _ in range(r.randint(0, 4))],
            "texts": lambda: [r.choice((None, *_WORDS)) for _ in range(r.randint(0, 4))],
            "mood": lambda: r.choice(("sad", "so so", "happy")),
            "moods": lambda: "{" + ",".join(r.choice(("sad", '"so so"')) for _ in range(r.randint(0, 3))) + "}",
            "pos": lambda: r.randint(1, 9),
            "span": lambda: r.choice(("empty", "[1,5)", "(,3]", "[2,)")),
            "wait": lambda: r.choice(("1 day", "-3 months 2 days", "1 year 04:05:06.789", "0")),
            "bits": lambda: format(r.randint(0, 63), "06b"),
            "name": lambda: self._text()[:40],
            "code": lambda: r.choice(("", "ab", "abcd")),
            "net": lambda: r.choice(("10.0.0.1", "10.0.0.0/8", "::1")),
            "large": self._large,
            "larger": lambda: self._large().encode(),
        }


def _shown(column: str) -> str:
    if column == "cash":
        return "cash::numeric(19, 2)"
    if column == "code":
        return "CASE WHEN code IS NOT NULL THEN concat(code) END"
    if column == "net":
        return "CASE WHEN net IS NOT NULL THEN concat(net) END"
    if column in ("at", "moment"):
        return _ENDS.format(column)
    if column == "moods":
        return "moods::text[]"
    return f"{column}::text" if column in _AS_TEXT else column


def plain(row: dict[str, Any], columns: list[str]) -> dict[str, str]:
    """A row as it can be compared: a NaN is a NaN, and a column that is not there is null."""
    return {column: _plain(row.get(column)) for column in columns}


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)
