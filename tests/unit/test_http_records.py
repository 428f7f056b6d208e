"""Records as servers really give them: what can be a row is one, and the rest is rejected with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.api_server import Api, Reply, api

from penstock.connectors.http import HttpApi, Page, Retries
from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.ports.data import Batch


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]


def read(server: Api, reply: Any, **options: Any) -> list[Batch]:
    server.site = reply if callable(reply) else lambda request: reply
    with HttpApi(f"{server.url}/x", **options) as source:
        return list(source.batches(None))


def test_what_is_no_record_is_rejected_with_its_place(server: Api) -> None:
    batches = read(server, {"d": [{"id": 1}, 7, None, "x", {"id": 2}, [3]]}, records="d", pages=Page(more="more"))
    rejected = [one for batch in batches for one in batch.rejected]
    assert rows(batches) == [{"id": 1}, {"id": 2}]
    assert [(one.raw, one.where[-8:]) for one in rejected] == [
        ("7", "record 2"), ("null", "record 3"), ('"x"', "record 4"), ("[3]", "record 6"),
    ]  # fmt: skip
    assert rejected[0].where == f"GET {server.url}/x (page=1), record 2"
    assert sum(batch.read for batch in batches) == 6


def test_what_no_table_can_hold_is_rejected_and_the_rest_lands(server: Api) -> None:
    batches = read(server, Reply(rb'[{"id": 1, "a": "\ud800"}, {"id": 2, "a": "\ud83d\ude00"}, {"id": 3, "a": NaN}]'))
    assert [row["id"] for row in rows(batches)] == [2, 3]
    assert [one.reason for one in batches[-1].rejected] == ["it has a text with half a surrogate pair in it"]
    assert batches[-1].read == 3


def test_types_that_change_and_fields_that_appear(server: Api) -> None:
    pages = [
        [{"id": 1, "a": 1, "late": None}],
        [{"id": 2, "a": "two", "new": True}, {"id": 3, "a": 3.5, "nested": {"x": 1}}],
        [{"id": 4, "a": 4, "nested": {"x": "one"}}, {"id": 5, "nested": 6}],
        [{"id": 123456789012345678901234567890}, {"id": None}],
        [],
    ]
    site = lambda request: pages[int(request.query["page"])]  # noqa: E731
    batches = read(server, site, pages=Page(start=0), batch_rows=1)
    assert [row["id"] for row in rows(batches)] == [1, 2, 3, 4, 5, "123456789012345678901234567890", None]
    assert [row.get("a") for row in rows(batches)][:4] == [1, "two", "3.5", 4]
    together = read(server, site, pages=Page(start=0))
    assert together[0].parts[0].rows.num_rows == 7


def test_values_that_do_not_fit_a_type_that_was_told_are_rejected(server: Api) -> None:
    batches = read(server, [{"id": 1}, {"id": "2"}, {"id": "three"}], types={"id": pa.int64()})
    assert rows(batches) == [{"id": 1}, {"id": 2}]
    assert [(one.reason, one.raw) for one in batches[0].rejected] == [
        ("id: 'three' does not fit int64", '{"id": "three"}')
    ]


NESTED = [{"id": 1, "a": {"b": {"c": 2}, "d": []}, "e": {}}, {"id": 2, "a": {"b_c": 1, "b": {"c": 1}}}]


def test_nested_objects_stay_become_text_or_are_spread(server: Api) -> None:
    assert rows(read(server, NESTED[:1]))[0]["a"]["b"] == {"c": 2}
    assert rows(read(server, NESTED[:1], nested="json")) == [{"id": 1, "a": '{"b":{"c":2},"d":[]}', "e": "{}"}]
    batches = read(server, NESTED, nested="flat")
    assert {name: rows(batches)[0][name] for name in ("id", "a_b_c")} == {"id": 1, "a_b_c": 2}
    assert "'a_b_c'" in batches[0].rejected[0].reason
    assert batches[0].read == 2


def test_bad_lines_are_rejected_with_their_numbers(server: Api) -> None:
    content = b'{"id": 1}\n\n{"id": 2\n[3]\n{"id": 4, "n": "Zo\xeb"}\n{"id": 5}'
    batches = read(server, Reply(content), format="ndjson")
    assert [row["id"] for row in rows(batches)] == [1, 5]
    assert [one.where.rpartition(", ")[2] for one in batches[0].rejected] == ["line 3", "line 4", "line 5"]
    latin = read(server, Reply(content, headers={"Content-Type": "x/y; charset=latin-1"}), format="ndjson")
    assert [row["id"] for row in rows(latin)] == [1, 4, 5]


def test_bad_rows_of_csv_are_rejected_with_their_numbers(server: Api) -> None:
    content = b'\xef\xbb\xbfid,name\n1,"a\nb"\n2\n3,c,d\n4,"x"y\n5,\xff\n6,\n'
    batches = read(server, Reply(content), format="csv")
    assert rows(batches) == [{"id": 1, "name": "a\nb"}, {"id": 6, "name": None}]
    lines = [one.where.rpartition(", ")[2] for one in batches[0].rejected]
    assert lines == ["line 4", "line 5", "line 6", "line 7"]
    assert sum(batch.read for batch in batches) == 6


@pytest.mark.parametrize("head", [b"id,id\n1,2\n", b"id,\n1,2\n"])
def test_a_csv_whose_first_line_names_nothing_is_refused(server: Api, head: bytes) -> None:
    with pytest.raises(BadData, match="first line"):
        read(server, Reply(head), format="csv")


def suite(test_data: Path) -> list[Path]:
    return sorted((test_data / "JSONTestSuite").rglob("*.json"))


def test_every_json_text_is_read_as_it_is_or_refused(server: Api, test_data: Path) -> None:
    files = [file for file in suite(test_data) if file.name[:2] in ("y_", "n_", "i_")]
    assert len(files) > 300
    wrong = []
    for file in files:
        content = file.read_bytes()
        try:
            batches = read(server, Reply(content), retries=Retries(times=0), repeated="allow")
            outcome = "read"
            assert sum(batch.read for batch in batches) == len(_records(content))
        except (BadData, SourceUnavailable):
            outcome = "refused"
        if (file.name[0] == "y" and outcome != "read") or (file.name[0] == "n" and outcome != "refused"):
            wrong.append(file.stem)
    assert wrong == ["n_number_NaN", "n_number_infinity", "n_number_minus_infinity"], "Python's own JSON has these"


def _records(content: bytes) -> list[Any]:
    value = json.loads(content)
    return value if isinstance(value, list) else [] if value is None else [value]


@pytest.mark.parametrize(
    "name", ["comma_in_quotes", "empty", "escaped_quotes", "json", "newlines", "quotes_and_newlines", "simple", "utf8"]
)
def test_odd_csv_is_read_as_it_is_meant(server: Api, test_data: Path, name: str) -> None:
    folder = test_data / "csv-spectrum"
    (given,) = folder.rglob(f"{name}.csv")
    (wanted,) = folder.rglob(f"{name}.json")
    records = json.loads(wanted.read_text())
    batches = read(server, Reply(given.read_bytes()), format="csv", types=dict.fromkeys(records[0], pa.string()))
    assert rows(batches) == [{column: value or None for column, value in record.items()} for record in records]
