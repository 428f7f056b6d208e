"""Files of every format: each record is a row or is rejected where it stands, from any place on."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.connectors.files.delimited import Delimited, unlike
from penstock.connectors.files.dialects import Dialect
from penstock.connectors.files.json_array import Fault, JsonArray, Values
from penstock.connectors.files.json_lines import JsonLines, fast
from penstock.connectors.files.opening import Text, verify
from penstock.connectors.files.parquet import Parquet
from penstock.connectors.files.reading import Job, Piece, Reader, Types
from penstock.core.packed import Broken

Row = dict[str, Any]


class Read:
    """What a reader made of some bytes."""

    def __init__(self, reader: Reader, raw: bytes, *, at: Any = None, types: Types | None = None) -> None:
        self.pieces: list[Piece] = []
        self.broken: Broken | None = None
        self.types = types or Types({})
        try:
            for piece in reader.pieces(Job(io.BytesIO(raw), "f", at or {}, self.types)):
                self.pieces.append(piece)
        except Broken as error:
            self.broken = error

    @property
    def rows(self) -> list[Row]:
        return [row for piece in self.pieces if piece.rows is not None for row in piece.rows.to_pylist()]

    @property
    def rejected(self) -> list[tuple[str, str]]:
        return [(one.where, one.reason) for piece in self.pieces for one in piece.rejected]

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.rejected)


def texts(raw: bytes, **options: Any) -> Read:
    return Read(Delimited(**options), raw, types=Types({}, infer=False))


# ---- CSV


@pytest.mark.parametrize("block", [1 << 20, 16, 3])
def test_csv_spectrum(block: int, test_data: Path) -> None:
    folder = test_data / "csv-spectrum"
    names = sorted(path.stem for path in (folder / "csvs").glob("*.csv"))
    assert len(names) > 10
    for name in names:
        read = texts((folder / "csvs" / f"{name}.csv").read_bytes(), block=block)
        assert read.rejected == []
        assert read.rows == json.loads((folder / "json" / f"{name}.json").read_text()), name


_VALUES = st.text(alphabet=st.sampled_from('a,"\n\r ü;'), max_size=6)
_TABLES = st.integers(2, 3).flatmap(lambda width: st.lists(st.tuples(*[_VALUES] * width), min_size=1, max_size=12))


@settings(max_examples=150)
@given(rows=_TABLES, ends=st.sampled_from(["\n", "\r\n"]), block=st.sampled_from([1 << 20, 40, 7, 1]))
def test_what_python_writes_is_read_and_resumed_anywhere(rows: list[tuple[str, ...]], ends: str, block: int) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=ends, quoting=csv.QUOTE_ALL)
    names = [f"c{place}" for place in range(len(rows[0]))]
    writer.writerows([names, *rows])
    raw = file.getvalue().encode()
    whole = texts(raw, block=block)
    assert whole.rejected == []
    assert [tuple(row.values()) for row in whole.rows] == rows
    for place, piece in enumerate(whole.pieces):
        rest = texts(raw, block=block).__class__(
            Delimited(block=block), raw, at=piece.at, types=Types({}, found=dict(whole.types.found), infer=False)
        )
        later = [row for one in whole.pieces[place + 1 :] if one.rows is not None for row in one.rows.to_pylist()]
        assert rest.rows == later


@settings(max_examples=200)
@given(
    raw=st.text(alphabet=st.sampled_from('a,"\n\rü'), max_size=40).map(str.encode), block=st.sampled_from([1 << 20, 5])
)
def test_fast_and_exact_say_the_same_of_any_bytes(raw: bytes, block: int) -> None:
    class Exact(Delimited):
        def table(self, text: bytes, names: Any) -> None:
            return None

    quick = texts(b"x,y\n" + raw, block=block)
    exact = Read(Exact(block=block), b"x,y\n" + raw, types=Types({}, infer=False))
    assert (quick.rows, quick.rejected) == (exact.rows, exact.rejected)
    assert quick.broken is None


@given(st.lists(st.sampled_from([b"1,2", b"1,2,3", b"4", b'"q",5', b'"a\nb",6', b"\xff,7", b'8,"a"b"c"', b'9,"open'])))
def test_no_line_is_lost_whatever_is_wrong_with_it(lines: list[bytes]) -> None:
    read = texts(b"x,y\n" + b"\n".join(lines) + b"\n")
    wheres = [int(where.rpartition(":")[2].partition("@")[0]) for where, _ in read.rejected]
    assert wheres == sorted(set(wheres))
    bad = {b"1,2,3", b"4", b"\xff,7", b'8,"a"b"c"'}
    if b'9,"open' not in lines:
        assert len(read.rows) == sum(line not in bad for line in lines)
        assert len(read.rejected) == sum(line in bad for line in lines)


def test_ragged_rows_and_wrong_types_are_told_with_line_and_byte() -> None:
    raw = b'id,name\n1,"two\nlines"\n2,b,c\nx,d\n4\n\n5,"e"e"\n6,\xff\n7,g\n'
    read = Read(Delimited(), raw, types=Types({"id": pa.int64()}))
    assert read.rows == [{"id": 1, "name": "two\nlines"}, {"id": 7, "name": "g"}]
    told = {4: b"2,b,c", 5: b"x,d", 6: b"4\n", 8: b"5,", 9: b"6,"}
    assert [where for where, _ in read.rejected] == [f"f:{line}@{raw.index(some)}" for line, some in told.items()]
    reasons = [why for _, why in read.rejected]
    assert reasons[0] == "3 fields, and there are 2 columns"
    assert reasons[1] == "id: 'x' does not fit int64"
    assert "write it twice" in reasons[3]
    assert "0xff is no UTF-8" in reasons[4]
    assert [one.raw for one in read.pieces[0].rejected][:2] == ["2,b,c", "x,d"]


def test_wrong_rows_deep_in_a_large_block_are_found_where_they_are() -> None:
    lines = [f'{number},"text, {number}"' for number in range(20_000)]
    for place in (0, 9_999, 19_999):
        lines[place] = f"x{place},bad"
    lines[12_345] += ",more"
    raw = ("id,name\n" + "\n".join(lines) + "\n").encode()
    read = Read(Delimited(), raw, types=Types({"id": pa.int64()}))
    assert len(read.rows) == 20_000 - 4
    places = [where.partition(":")[2].split("@") for where, _ in read.rejected]
    assert [int(line) for line, _ in places] == [2, 10_001, 12_347, 20_001]
    for line, offset in places:
        assert raw[int(offset) :].startswith(lines[int(line) - 2].encode())


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    read = texts(b'a,b\n1,"x\n2,y\n3,z\n')
    assert [row["a"] for row in read.rows] == ["2", "3"]
    ((where, why),) = read.rejected
    assert where == "f:2@4"
    assert "not closed" in why
    long = texts(b'a,b\n1,"' + b"x\n" * 4000 + b"2,y\n", longest=1000, block=100)
    assert long.rows == [{"a": "2", "b": "y"}]
    assert len(long.rejected) == 4000


def test_types_are_those_of_the_first_block_and_stay() -> None:
    raw = b"id,zip,price,day,ok\n" + b"1,01234,1.5,2024-01-31,true\n" * 3 + b'2,,,,\n3,x,"",2024-02-30,no\n'
    read = Read(Delimited(), raw)
    kinds = {"id": pa.int64(), "zip": pa.string(), "price": pa.float64(), "day": pa.string(), "ok": pa.string()}
    assert read.types.found == kinds
    more = Read(Delimited(), b"id,price\nx,1\n7,y\n8,\n", types=read.types)
    assert more.rows == [{"id": 8, "price": None}]
    assert [where for where, _ in more.rejected] == ["f:2@9", "f:3@13"]


def test_nothing_and_an_empty_text_are_not_the_same() -> None:
    assert texts(b'a,b\n,""\nNA,"NA"\n', nulls=("", "NA")).rows == [{"a": None, "b": ""}, {"a": None, "b": "NA"}]
    assert Read(Delimited(), b'a,b\n1,\n"",2\n').rows == [{"a": 1, "b": None}, {"a": None, "b": 2}]


@pytest.mark.parametrize(
    ("raw", "options", "rows"),
    [
        (b"1;'a;b'\n", {"dialect": Dialect(";", "'"), "header": False}, [{"column_1": "1", "column_2": "a;b"}]),
        (b'1,"a\n', {"dialect": Dialect(",", ""), "header": False, "names": ("x", "y")}, [{"x": "1", "y": '"a'}]),
        (b"a,b\n1,2\n", {"names": ("x", "y")}, [{"x": "1", "y": "2"}]),
        (b"\n\na,a,\n1,2,3\n", {}, [{"a": "1", "a_2": "2", "column_3": "3"}]),
        (b"a,b\r1,2\r3,4", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        (b'"two\nlines",b\n1,2\n', {}, [{"two\nlines": "1", "b": "2"}]),
        (codecs.BOM_UTF8 + b"a\n1\n", {}, [{"a": "1"}]),
        ("ä,b\nü,✓\n".encode("utf-16"), {}, [{"ä": "ü", "b": "✓"}]),
        ("ä,b\nü,€\n".encode("cp1252"), {"encoding": "cp1252"}, [{"ä": "ü", "b": "€"}]),
        (gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0) + b"\0" * 20, {}, [{"a": "1"}, {"a": "2"}]),
        (pa.compress(b"a\n1\n", codec="zstd", asbytes=True), {}, [{"a": "1"}]),
        (b"", {}, []),
        (b"a,b\n", {}, []),
    ],
)
def test_dialects_and_encodings(raw: bytes, options: dict[str, Any], rows: list[Row]) -> None:
    for block in (1 << 20, 2):
        read = texts(raw, block=block, **options)
        assert (read.rows, read.rejected, read.broken) == (rows, [], None)


def test_a_byte_that_its_encoding_does_not_have_costs_one_line() -> None:
    read = texts(b"a\nx\n\x81\ny\n", encoding="cp1252")
    assert [row["a"] for row in read.rows] == ["x", "y"]
    assert [where for where, _ in read.rejected] == ["f:3@4"]


def test_names_are_different_and_not_empty() -> None:
    assert unlike(["a", "a", "a_2", "", ""]) == ["a", "a_3", "a_2", "column_4", "column_5"]


def _packed(codec: str, text: str) -> bytes:
    return gzip.compress(text.encode()) if codec == "gzip" else bytes(pa.compress(text.encode(), codec, asbytes=True))


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_what_comes_before_the_end_of_a_file_that_was_cut_is_read(codec: str) -> None:
    plain = "id,name\n" + "".join(f"{number},{zlib.crc32(b'%d' % number)}\n" for number in range(50_000))
    raw = _packed(codec, plain)
    read = texts(raw[: len(raw) // 2], block=10_000)
    assert "ends in the middle" in str(read.broken)
    assert len(read.rows) > (1000 if codec == "gzip" else -1)
    assert [f"{row['id']},{row['name']}" for row in read.rows] == plain.splitlines()[1 : len(read.rows) + 1]
    assert not read.pieces or read.pieces[-1].at["line"] == len(read.rows) + 2


def test_a_packed_file_is_looked_through_before_it_is_read() -> None:
    raw = _packed("gzip", "a\n" * 10_000)
    for bad, why in (
        (raw[:-9], "ends in the middle"),
        (raw[:-6] + b"\0" + raw[-5:], "damaged"),
        (raw + b"x", "ends in the middle"),
    ):
        with pytest.raises(Broken, match=why):
            verify(io.BytesIO(bad))
    file = io.BytesIO(raw)
    verify(file)
    assert file.tell() == 0
    verify(io.BytesIO(b"plain"))


# ---- JSON


def _values(raw: bytes, block: int = 1 << 16, at: Any = None) -> tuple[list[Any], Broken | None]:
    found: list[Any] = []
    try:
        values = Values(Text(io.BytesIO(raw)), at or {}, block=block, longest=1 << 20)
        while some := values.some(1):
            found += some
    except Broken as error:
        return found, error
    return found, None


def _suite(test_data: Path, kind: str) -> Iterator[Path]:
    paths = sorted((test_data / "JSONTestSuite" / "test_parsing").glob(f"{kind}_*.json"))
    assert len(paths) > 30
    yield from paths


@pytest.mark.parametrize("block", [1 << 16, 7, 1])
def test_json_that_is_right_is_read(block: int, test_data: Path) -> None:
    for path in _suite(test_data, "y"):
        raw = path.read_bytes()
        values, broken = _values(raw, block)
        assert broken is None, path.name
        right = json.loads(raw)
        assert [one.value for one in values] == (right if isinstance(right, list) else [right]), path.name
        for one in values:
            text = raw[one.offset : one.offset + len(one.text.encode("utf-8", "surrogatepass"))]
            assert text.decode() == one.text
            assert one.line == raw[: one.offset].count(b"\n") + 1


@pytest.mark.parametrize("block", [1 << 16, 7, 1])
def test_json_that_is_wrong_is_refused_with_its_place(block: int, test_data: Path) -> None:
    for path in _suite(test_data, "n"):
        raw = path.read_bytes()
        _, broken = _values(raw, block)
        assert isinstance(broken, Fault), path.name
        assert 0 <= broken.offset <= len(raw), path.name
        assert broken.line == raw[: broken.offset].count(b"\n") + 1, path.name


def test_json_that_may_be_either_is_read_or_refused(test_data: Path) -> None:
    for path in _suite(test_data, "i"):
        read = Read(JsonArray(), path.read_bytes())
        assert read.count > 0 or read.broken is not None, path.name


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b'[{"a":1},\n {"a":}]', 2, 7),
        (b'[{"a":1}\n{"a":2}]', 2, 1),
        (b"[1,2", 1, 5),
        (b'["\xff"]', 1, 3),
        (b"[1]\n\n x", 3, 2),
    ],
)
@pytest.mark.parametrize("block", [1 << 16, 3])
def test_the_place_of_a_fault(raw: bytes, line: int, column: int, block: int) -> None:
    _, broken = _values(raw, block)
    assert isinstance(broken, Fault)
    assert (broken.line, broken.column) == (line, column)


_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=100)
@given(values=st.lists(_JSON, max_size=6), indent=st.sampled_from([None, 1]), block=st.sampled_from([1 << 16, 19, 1]))
def test_an_array_is_read_and_resumed_anywhere(values: list[Any], indent: int | None, block: int) -> None:
    raw = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    found, broken = _values(raw, block)
    assert broken is None
    assert [one.value for one in found] == values
    reader = Values(Text(io.BytesIO(raw)), {}, block=block, longest=1 << 20)
    for done in range(1, len(values) + 1):
        reader.some(1)
        rest, broken = _values(raw, block, json.loads(json.dumps(reader.at)))
        assert broken is None
        assert [one.value for one in rest] == values[done:]


def test_records_of_an_array() -> None:
    raw = '[{"id":1,"n":"ü"},\n 5, {"id":"x"}, {"id":2,"tags":["a"]},\n{"n":"\\ud800"}]'.encode()
    read = Read(JsonArray(), raw, types=Types({"id": pa.int64()}))
    assert read.rows == [{"id": 1, "n": "ü", "tags": None}, {"id": 2, "n": None, "tags": ["a"]}]
    places = [(2, b"5,"), (2, b'{"id":"x"'), (3, b'{"n":"\\ud')]
    assert [where for where, _ in read.rejected] == [f"f:{line}@{raw.index(some)}" for line, some in places]
    assert Read(JsonArray(), b'{"id":1}').rows == [{"id": 1}]
    assert "ndjson" in str(Read(JsonArray(), b'{"id":1}\n{"id":2}').broken)


def test_a_value_without_end_does_not_fill_the_memory() -> None:
    read = Read(JsonArray(block=1000, longest=5000), b'[{"a":"' + b"x" * 100_000)
    assert "longer than 5000" in str(read.broken)


# ---- NDJSON


def test_lines_that_are_no_records_are_told() -> None:
    raw = b'{"a":1}\n{"a":2\n\n[1]\n{"a":"x"}\r\n{"b":"\xff"}\n{"b":"\\ud800"}\n{"a":NaN}\n{"a":5}{"a":6}\n{"a":7}'
    read = Read(JsonLines(), raw, types=Types({"a": pa.int64()}))
    assert [row["a"] for row in read.rows] == [1, 7]
    lines = [int(where.partition(":")[2].partition("@")[0]) for where, _ in read.rejected]
    assert lines == [2, 4, 5, 6, 7, 8, 9]
    for where, _ in read.rejected:
        line, offset = map(int, where.partition(":")[2].split("@"))
        assert raw[:offset].count(b"\n") == line - 1


@settings(max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"i": st.integers(-(1 << 63), (1 << 63) - 1), "f": st.floats(allow_nan=False, allow_infinity=False)},
            optional={"s": st.text(max_size=5), "b": st.booleans(), "l": st.lists(st.integers(0, 9), max_size=2)},
        ),
        min_size=1,
        max_size=8,
    )
)
def test_fast_and_slow_lines_are_the_same(records: list[Row]) -> None:
    raw = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    kinds = {"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "b": pa.bool_(), "l": pa.list_(pa.int64())}
    quick = fast(raw, kinds)
    assert quick is not None
    assert quick.to_pylist() == [{name: record.get(name) for name in kinds} for record in records]


@pytest.mark.parametrize(
    "raw",
    [
        *(b'{"a":1}{"a":2}\n', b'{"a":\n1}\n', b'{"a":"1"}\n', b'{"b":1}\n', b'{"a":1},\n', b"[]\n", b'{"a":1}\n\n'),
        *(b'{"a":01}\n', b'{"s":"\xff"}\n', b'{"s":"\\ud800"}\n', b'{"a":1.5}\n', b'{"a":NaN}\n', b"{'a':1}\n"),
        b'{"a":1}{"a":2}\n{"a":\n3}\n',
    ],
)
def test_what_is_not_as_expected_is_not_taken_fast(raw: bytes) -> None:
    assert fast(raw, {"a": pa.int64(), "s": pa.string()}) is None


@pytest.mark.parametrize("block", [1 << 20, 64, 5])
def test_lines_are_resumed_anywhere(block: int) -> None:
    raw = "".join(
        json.dumps({"id": number, "n": "ü" * (number % 5)}, ensure_ascii=False) + "\n" for number in range(40)
    )
    whole = Read(JsonLines(block=block), raw.encode())
    assert [row["id"] for row in whole.rows] == list(range(40))
    done = 0
    for piece in whole.pieces:
        done += piece.rows.num_rows
        rest = Read(JsonLines(block=block), raw.encode(), at=piece.at, types=whole.types)
        assert [row["id"] for row in rest.rows] == list(range(done, 40))


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    read = Read(JsonLines(block=1000, longest=5000), b'{"a":1}\n{"a":"' + b"x" * 100_000)
    assert read.rows == [{"a": 1}]
    assert "longer than 5000" in str(read.broken)


# ---- Parquet


def _parquet(rows: int = 100, group: int = 30) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(rows)), "text": ["x" * 50] * rows}), file, row_group_size=group)
    return file.getvalue()


def test_row_groups_are_read_and_resumed_anywhere() -> None:
    raw = _parquet()
    whole = Read(Parquet(rows=7), raw)
    assert [row["id"] for row in whole.rows] == list(range(100))
    done = 0
    for piece in whole.pieces:
        done += piece.rows.num_rows
        assert [row["id"] for row in Read(Parquet(rows=7), raw, at=piece.at).rows] == list(range(done, 100))


def test_a_parquet_file_that_is_cut_or_is_none() -> None:
    raw = _parquet()
    for bad in (raw[: len(raw) // 2], b"no such thing", b""):
        read = Read(Parquet(), bad)
        assert (read.count, "no Parquet file" in str(read.broken)) == (0, True)


def test_a_row_group_that_is_damaged_is_told_and_the_others_are_read() -> None:
    raw = bytearray(_parquet())
    start = pq.ParquetFile(io.BytesIO(raw)).metadata.row_group(1).column(0).data_page_offset
    raw[start : start + 12] = b"\xff" * 12
    read = Read(Parquet(rows=100), bytes(raw))
    assert [row["id"] for row in read.rows] == [*range(30), *range(60, 100)]
    ((where, why),) = read.rejected
    assert where == "f:row group 1"
    assert "rows 1 to 30" in why


def test_types_that_were_given_hold_for_parquet() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "x"]}), file)
    read = Read(Parquet(), file.getvalue(), types=Types({"id": pa.int64()}))
    assert read.rows == [{"id": 1}]
    assert read.rejected == [("f:row group 0, row 2", "id: 'x' does not fit int64")]
