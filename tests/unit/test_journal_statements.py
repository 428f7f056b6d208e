"""What one commit of several streams becomes on PostgreSQL: few statements, none too large, each row changed once."""

from __future__ import annotations

import random
from typing import Any

from penstock.core.events import Append, Record
from penstock.core.plans import Happened, PoolDeclared, QueueDeclared
from penstock.journal.postgres.statements import MOST_BYTES, MOST_RECORDS, Part, append_sql, parts_of
from penstock.journal.text import indexable_values
from penstock.testing.samples import created


def parts(*appends: Append) -> list[Part]:
    return list(parts_of(appends, indexable_values))


def begun(stream: str, *events: Any) -> Append:
    return Append(stream, 0, [Record(event) for event in events])


def happened(stream: str, about: str = "x") -> Append:
    return begun(stream, Happened(at=1, name="e", about=about))


def pool(stream: str, name: str) -> Append:
    return begun(stream, PoolDeclared(at=1, name=name))


def test_streams_that_begin_share_a_statement() -> None:
    (part,) = parts(*(happened(f"s{number}") for number in range(40)))
    assert part.streams == tuple(f"s{number}" for number in range(40))
    sql = append_sql(part.batch.shape)
    assert f"${len(part.batch.values)}:" in sql
    assert f"${len(part.batch.values) + 1}:" not in sql


def test_the_others_keep_their_place() -> None:
    appends = [happened("a"), happened("b"), Append("old", 3, [Record(Happened(at=1, name="e"))]), happened("c")]
    assert [part.streams for part in parts(*appends)] == [("a", "b"), ("old",), ("c",)]


def test_a_stream_that_is_begun_twice_is_told_by_its_name() -> None:
    assert [part.streams for part in parts(happened("a"), happened("b"), happened("a"))] == [("a", "b"), ("a",)]


def test_no_row_is_changed_twice_by_one_statement() -> None:
    assert [len(part.streams) for part in parts(pool("a", "p"), pool("b", "q"), pool("c", "p"))] == [2, 1]
    same = parts(pool("a", "p\0"), pool("b", "p\\x00"))
    assert len(same) == 2, "both are stored as the same name"


def test_none_is_too_large() -> None:
    size = MOST_BYTES // 5
    runs = [Append(f"r{number}", 0, [created(shown={"x": "y" * size})]) for number in range(12)]
    found = parts(*runs)
    assert sum(len(part.streams) for part in found) == 12
    for part in found:
        assert sum(len(value or b"") for value in part.batch.values) < 1.1 * MOST_BYTES
    many = parts(*(happened(f"s{number}") for number in range(MOST_RECORDS + 1)))
    assert [len(part.streams) for part in many] == [MOST_RECORDS, 1]


def test_whatever_comes_first_it_is_one_shape() -> None:
    appends = [created_run(), pool("p", "p"), begun("q", QueueDeclared(at=1, pool="p", name="q")), happened("h")]
    shapes = set()
    for seed in range(20):
        random.Random(seed).shuffle(appends)
        shapes.update(part.batch.shape for part in parts(*appends, happened("more")))
    assert len(shapes) == 1


def created_run() -> Append:
    return Append("run", 0, [created()])
