"""Data of every kind, and data that is hardly any."""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from penstock.core.errors import BadData, ConfigurationError, DatasetNotFound
from penstock.data import Dataset
from penstock.engine.addresses import table_at
from penstock.quality import DataValidator, RuleResult

ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ada", "amount": 1.5, "day": date(2026, 1, 1)},
    {"id": 2, "name": None, "amount": -2.0, "day": date(2026, 1, 2)},
    {"id": 2, "name": "Eve", "amount": None, "day": None},
]
RULES: list[dict[str, Any]] = [
    {"rule": "unique", "column": "id"},
    {"rule": "not_null", "column": "name"},
    {"rule": "between", "column": "amount", "min": 0},
    {"rule": "between", "column": "day", "min": date(2026, 1, 2)},
    {"rule": "type", "column": "day", "types": "date"},
    {"rule": "row_count", "equals": 3},
]
TABLE = pa.Table.from_pylist(ROWS)
FRAMES: dict[str, Callable[[Path], Any]] = {
    "rows": lambda folder: ROWS,
    "columns": lambda folder: TABLE.to_pydict(),
    "polars": lambda folder: pl.from_arrow(TABLE),
    "polars-lazy": lambda folder: pl.DataFrame(TABLE).lazy(),
    "pandas-arrow": lambda folder: TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas": lambda folder: pd.DataFrame(ROWS),
    "arrow": lambda folder: TABLE,
    "arrow-batch": lambda folder: TABLE.to_batches()[0],
    "arrow-reader": lambda folder: TABLE.to_reader(max_chunksize=1),
    "arrow-stream": lambda folder: Stream(TABLE),
    "duckdb": lambda folder: duckdb.from_arrow(TABLE),
    "parquet": lambda folder: _written(folder / "rows.parquet", pl.DataFrame(TABLE).write_parquet),
    "narwhals": lambda folder: nw.from_native(pl.DataFrame(TABLE)),
    "narwhals-lazy": lambda folder: nw.from_native(pl.DataFrame(TABLE).lazy()),
    "lake": lambda folder: _put(f"lake:{folder}#raw/orders"),
    "duckdb-table": lambda folder: _put(f"duckdb:{folder}/shop.duckdb#raw.orders"),
    "file-by-source": lambda folder: f"file://{_written(folder / 'rows.parquet', pl.DataFrame(TABLE).write_parquet)}",
    "dataset": lambda folder: Dataset("orders", _put(f"lake:{folder}#raw/orders")),
    "table": lambda folder: table_at(_put(f"lake:{folder}#raw/orders")),
    "arrow-file": lambda folder: _written(folder / "rows.arrow", pl.DataFrame(TABLE).write_ipc),
}


class Stream:
    """Somebody else's frame, which hands out Arrow."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def _put(address: str) -> str:
    Dataset("orders", address).write(TABLE)
    return address


def _written(path: Path, write: Callable[[Path], Any]) -> Path:
    write(path)
    return path


def results(data: Any, *rules: dict[str, Any], **options: Any) -> list[RuleResult]:
    return list(DataValidator(list(rules)).validate_dataset(data, **options).results)


@pytest.mark.parametrize("kind", sorted(FRAMES))
def test_every_kind_of_frame_gets_the_same_verdicts(kind: str, tmp_path: Path) -> None:
    report = DataValidator({"keys": "id", "rules": RULES}).validate_dataset(FRAMES[kind](tmp_path))
    assert [(each.verdict, each.failed) for each in report.results] == [
        ("failed", 2), ("failed", 1), ("failed", 1), ("failed", 1), ("passed", None), ("passed", None),
    ]  # fmt: skip
    assert [sample.row for sample in report.results[0].samples] == [1, 2]
    assert report.results[2].samples[0].key == {"id": 2}
    assert report.results[2].samples[0].values == {"amount": -2.0}
    assert (report.rows, report.columns) == (3, 4)


CUSTOMERS = pa.table({"name": ["Ada", "Eve"], "since": [2020, 2021]})
OVER_TABLES: list[dict[str, Any]] = [
    {"rule": "references", "column": "name", "table": "customers", "to": "name"},
    {"rule": "references", "column": "id", "table": "customers", "to": "since"},
    {"rule": "row_count_equals", "table": "customers"},
]


@pytest.mark.parametrize("kind", ["lake", "duckdb-table", "parquet", "dataset"])
@pytest.mark.parametrize("other", ["lake", "duckdb", "file", "frame"])
def test_rules_over_tables_of_every_kind(kind: str, other: str, tmp_path: Path) -> None:
    others: dict[str, Callable[[], Any]] = {
        "lake": lambda: f"lake:{tmp_path}/other#raw/customers",
        "duckdb": lambda: f"duckdb:{tmp_path}/other.duckdb#raw.customers",
        "file": lambda: _written(tmp_path / "customers.parquet", pl.DataFrame(CUSTOMERS).write_parquet),
        "frame": lambda: CUSTOMERS,
    }
    table = others[other]()
    if isinstance(table, str):
        Dataset("customers", table).write(CUSTOMERS)
    found = results(FRAMES[kind](tmp_path), *OVER_TABLES, tables={"customers": table})
    assert [(each.verdict, each.failed) for each in found] == [("passed", 0), ("failed", 3), ("failed", None)]
    assert found[2].reason or found[2].observed is not None


def test_addresses_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound):
        results(f"lake:{tmp_path}#raw/nothing", *RULES)
    with pytest.raises(ConfigurationError, match=r"names no table"):
        results("duckdb:shop.duckdb", *RULES)
    with pytest.raises(BadData, match=r"nobody:knows"):
        results("nobody:knows", *RULES)


def test_an_address_is_called_by_its_end(tmp_path: Path) -> None:
    report = DataValidator(RULES).validate_dataset(_put(f"lake:{tmp_path}#raw/orders"))
    assert report.name == "orders"
    assert DataValidator(RULES).validate_dataset(Dataset("sales", f"lake:{tmp_path}#raw/orders")).name == "sales"


def test_what_a_source_cannot_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,Ada\n2\n3,Eve,?\n4,Bob\n")
    report = DataValidator([RULES[0], RULES[5]]).validate_dataset(f"file://{tmp_path}/a.csv")
    assert report.rows == 2
    assert [note.split(" cannot")[0] for note in report.notes] == [f"{tmp_path}/a.csv:3@14", f"{tmp_path}/a.csv:4@16"]


def test_a_frame_of_nobody_knows_what() -> None:
    with pytest.raises(BadData, match=r"is no data that can be validated") as raised:
        results(object(), *RULES)
    assert "pandas" in str(raised.value.hint)


CSV = "id,name,amount\n1,Ada,1.5\n2,,-2\n2,Eve,\n"
FILES: dict[str, bytes] = {
    "a.csv": CSV.encode(),
    "crlf.csv": CSV.replace("\n", "\r\n").encode(),
    "cut.csv": CSV.rstrip("\n").encode(),
    "bom.csv": b"\xef\xbb\xbf" + CSV.encode(),
    "tabs.tsv": CSV.replace(",", "\t").encode(),
    "packed.csv.gz": gzip.compress(CSV.encode()),
    "lines.ndjson": b'{"id":1,"name":"Ada","amount":1.5}\n{"id":2,"name":null,"amount":-2}\n{"id":2,"name":"Eve"}\n',
    "packed.jsonl.gz": gzip.compress(
        b'{"id":1,"name":"Ada","amount":1.5}\n{"id":2,"amount":-2}\n{"id":2,"name":"Eve"}\n'
    ),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_files(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    found = results(tmp_path / name, *RULES[:3])
    assert [(each.verdict, each.failed) for each in found] == [("failed", 2), ("failed", 1), ("failed", 1)]


def test_several_files_by_a_pattern(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"day-{day}.csv").write_text(f"id\n{day}\n{day}\n")
    (found,) = results(tmp_path / "day-*.csv", RULES[0])
    assert (found.checked, found.failed) == (4, 4)


@pytest.mark.parametrize("name", ["missing.csv", "orders.xls", "orders"])
def test_a_file_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=name):
        results(tmp_path / name, *RULES)


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    report = DataValidator([RULES[0], {"rule": "row_count", "min": 1}]).validate_dataset(tmp_path / "a.csv")
    assert [each.verdict for each in report.results] == ["error", "failed"]
    assert report.rows == 0
    assert "is empty" in report.notes[0]


def test_a_file_of_headers_only(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,name\n")
    report = DataValidator([*RULES[:2], {"rule": "row_count", "min": 1}]).validate_dataset(tmp_path / "a.csv")
    assert [(each.verdict, each.checked) for each in report.results] == [("passed", 0), ("passed", 0), ("failed", None)]


def test_a_late_surprise_in_a_column_of_numbers(tmp_path: Path) -> None:
    values = [str(number) for number in range(20_000)]
    (tmp_path / "a.csv").write_text(
        "x,y\n" + "\n".join(f"{value},{value}" for value in [*values[:-2], "1.5", "7"]) + "\n"
    )
    found = results(
        tmp_path / "a.csv",
        {"rule": "between", "column": "x", "min": 0},
        {"rule": "type", "column": "y", "types": "number"},
    )
    assert [each.verdict for each in found] == ["passed", "passed"]
    (tmp_path / "b.csv").write_text("x,y\n" + "\n".join(f"{value},{value}" for value in [*values[:-1], "n/a"]) + "\n")
    rules = [{"rule": "parses_as", "column": "x", "type": "integer"}, {"rule": "between", "column": "x", "min": 0}]
    report = DataValidator(rules).validate_dataset(tmp_path / "b.csv")
    assert [(each.verdict, each.failed) for each in report.results] == [("failed", 1), ("error", None)]
    assert report.results[0].samples[0].values == {"x": "n/a"}
    assert report.results[0].samples[0].row == 19_999
    assert report.results[1].reason == "x is text, and cannot be compared with 0"
    assert any("x holds values of several types" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("garbage.csv", random.Random(1).randbytes(5000)),
        ("garbage.parquet", random.Random(2).randbytes(5000)),
        ("garbage.csv.gz", random.Random(3).randbytes(5000)),
        ("garbage.ndjson", random.Random(4).randbytes(5000)),
        (
            "cut.csv.gz",
            gzip.compress(b"id,name\n" + b"".join(b"%d,x%d\n" % (n, n * n) for n in range(20_000)))[:30_000],
        ),
        ("latin.csv", "id,name\n1,Zoë\n".encode("latin-1")),
        ("ragged.csv", b"id,name\n1,a\n2,b,c\n"),
        ("cut.ndjson", b'{"id": 1}\n{"id": 2\n'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_bad_data(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadData, match="cannot be read"):
        results(tmp_path / name, RULES[0], RULES[1])


def test_columns_of_one_name() -> None:
    table = pa.table([[1, 2], [3, 3]], names=["x", "x"])
    frame = pd.DataFrame([[1, 3], [2, 3]], columns=["x", "x"])
    for data in (table, frame, table.to_reader()):
        rules = [{"rule": "unique", "columns": ["x", "x_duplicated_0"]}]
        report = DataValidator(rules).validate_dataset(data)
        assert [each.failed for each in report.results] == [0, 2]
        assert report.notes == ("there are several columns x: one of them is x_duplicated_0 here",)


def test_columns_of_one_name_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,x\n1,3\n2,3\n")
    report = DataValidator([{"rule": "unique", "columns": ["x", "x_duplicated_0"]}]).validate_dataset(
        tmp_path / "a.csv"
    )
    assert [each.failed for each in report.results] == [0, 2]
    assert report.notes == ("there are several columns x: one of them is x_duplicated_0 here",)


def test_mixed_types_are_text() -> None:
    mixed = [1, "a", None, 2.5]
    for data in (pd.DataFrame({"x": mixed}), {"x": mixed}, [{"x": value} for value in mixed]):
        report = DataValidator([{"rule": "parses_as", "column": "x", "type": "number"}]).validate_dataset(data)
        assert (report.results[0].failed, report.results[0].checked) == (1, 3)
        assert "x holds values of several types" in report.notes[0]


def test_whole_numbers_and_others_are_numbers() -> None:
    (found,) = results({"x": [1, 2.5, None]}, {"rule": "sum", "column": "x", "min": 3.5, "max": 3.5})
    assert found.good


def test_missing_values_of_pandas_are_nulls() -> None:
    frame = pd.DataFrame({"x": [1.0, math.nan], "t": ["a", None], "d": [datetime(2026, 1, 1), pd.NaT]})
    assert [each.failed for each in results(frame, {"rule": "not_null", "columns": ["x", "t", "d"]})] == [1, 1, 1]


def test_one_column_of_nothing() -> None:
    frame = pl.DataFrame({"x": [None, None]})
    kinds = ["not_null", "null", "between", "unique", "matches", "increasing", "finite", "json"]
    more: dict[str, dict[str, Any]] = {"between": {"min": 0}, "matches": {"pattern": "a"}}
    found = results(frame, *({"rule": kind, "column": "x", **more.get(kind, {})} for kind in kinds))
    assert [(each.verdict, each.checked) for each in found] == [
        ("failed", 2), ("passed", 2), *[("passed", 0)] * 6,
    ]  # fmt: skip


def test_a_rule_on_a_missing_column_does_not_stop_the_others() -> None:
    rules = [{"rule": "not_null", "column": "nam"}, RULES[0], {"rule": "expression", "sql": "nope > 1"}, RULES[1]]
    found = results(ROWS, *rules)
    assert [each.verdict for each in found] == ["error", "failed", "error", "failed"]
    assert found[0].reason == "there is no column nam; did you mean name?"
    assert found[2].reason == "there is no column nope"


def test_a_rule_that_breaks_the_query_does_not_stop_the_others() -> None:
    rules = [
        RULES[0],
        {"rule": "expression", "sql": "name + 1 > 2"},
        RULES[1],
        {"rule": "length", "column": "amount", "max": 3},
    ]
    found = results(ROWS, *rules)
    assert [each.verdict for each in found] == ["failed", "error", "failed", "error"]
    assert [each.failed for each in found] == [2, None, 1, None]


def test_five_thousand_columns() -> None:
    frame = pl.DataFrame({f"c{number}": [number, None, 3] for number in range(5000)})
    rules = [{"rule": "not_null", "columns": frame.columns}, {"rule": "between", "columns": frame.columns, "max": 4000}]
    report = DataValidator({"rules": rules, "samples": 1}).validate_dataset(frame)
    assert len(report.results) == 10_000
    assert sum(each.good for each in report.results) == 4001
    assert report.columns == 5000


def test_a_key_that_is_not_there_is_told() -> None:
    report = DataValidator({"keys": ["id", "nope"], "rules": RULES[:1]}).validate_dataset(ROWS)
    assert report.notes == ("there is no column nope, which should tell rows apart",)
    assert report.results[0].samples[0].key == {"id": 2}
