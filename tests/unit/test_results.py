"""Values that are recorded come back as they were, or it is said why not."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import errno
import hashlib
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import uuid
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given

from penstock.core.errors import JournalFull, JournalReadOnly, ResultNotSaved, ResultUnavailable
from penstock.core.events import Saved
from penstock.journal.results import FileResultStore, is_exactly_json


@pytest.fixture
def store(tmp_path: pathlib.Path) -> FileResultStore:
    return FileResultStore(tmp_path / "results")


pytest_plugins = ("tests.unit.disks",)


class Colour(enum.Enum):
    RED = 1


class Word(str):
    pass


class Pair(NamedTuple):
    left: int
    right: str


@dataclasses.dataclass
class Order:
    number: int
    lines: list[Any]


def same(one: Any, other: Any) -> bool:
    """Equal, down to every type inside; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one.hex() == other.hex()
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(k1, k2) and same(v1, v2) for (k1, v1), (k2, v2) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


JSON = {
    "none": None,
    "true": True,
    "int": 42,
    "largest": 2**64 - 1,
    "smallest": -(2**63),
    "float": 0.1,
    "whole float": 1.0,
    "minus zero": -0.0,
    "tiny": 5e-324,
    "text": "Zoë \N{OWL}\0\x1f\u2028",
    "empty": "",
    "list": [1, [2.0, [None, [True, []]]]],
    "dict": {"a": {"b": [{}]}, "": None},
    "numbers": [1, 1.0, True],
}
PICKLE = {
    "tuple": (1, 2),
    "tuple inside": {"a": [1, (2,)]},
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "number keys": {1: "a", "1": "b"},
    "NaN": float("nan"),
    "NaN inside": [1.0, float("nan"), float("inf"), -float("inf")],
    "huge int": 2**64,
    "huge ints inside": {"a": [10**100, -(2**63) - 1]},
    "bytes": b"\0\xff",
    "bytearray": bytearray(b"abc"),
    "complex": 1 + 2j,
    "enum": Colour.RED,
    "subclass of str": Word("a"),
    "subclass of dict": collections.OrderedDict(b=1, a=2),
    "named tuple": Pair(1, "a"),
    "dataclass": Order(1, [(1, 2), {3}]),
    "datetime": datetime.datetime(2026, 3, 29, 2, 30, tzinfo=datetime.UTC),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=7),
    "path": pathlib.PurePosixPath("a/b"),
    "half a surrogate pair": "a\ud800b",
    "surrogate key": {"\udfff": 1},
    "exception": ValueError("no", 3),
}


@pytest.mark.parametrize("name", JSON)
def test_what_json_gives_back_is_json(store: FileResultStore, name: str) -> None:
    saved, data = store.save(JSON[name])
    assert (saved.serializer, saved.ref) == ("json", None)
    assert saved.size == len(data or b"")
    assert same(store.load(saved, data), JSON[name])


@pytest.mark.parametrize("name", PICKLE)
def test_what_json_would_change_is_pickled(store: FileResultStore, name: str) -> None:
    value = PICKLE[name]
    saved, data = store.save(value)
    assert saved.serializer in ("pickle", "cloudpickle")
    again = store.load(saved, data)
    if isinstance(value, Exception):
        assert (type(again), again.args) == (type(value), value.args)
    else:
        assert same(again, value)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(Colour.RED)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=20,
)


@given(values)
def test_any_value_comes_back_with_its_types(value: Any) -> None:
    store = FileResultStore(pathlib.Path("unused"))
    saved, data = store.save(value)
    assert same(store.load(saved, data), value)
    assert (saved.serializer == "json") <= is_exactly_json(value)


def test_functions_and_local_classes(store: FileResultStore) -> None:
    step = 3

    class Local:
        def __init__(self, value: int) -> None:
            self.value = value

    for value, check in ((lambda x: x + step, lambda f: f(4) == 7), (Local(5), lambda o: o.value == 5)):
        saved, data = store.save(value)
        assert saved.serializer == "cloudpickle"
        assert check(store.load(saved, data))


def test_classes_of_the_main_module_can_be_loaded_elsewhere(store: FileResultStore, tmp_path: pathlib.Path) -> None:
    code = f"""
import dataclasses, pathlib
from penstock.journal.results import FileResultStore
@dataclasses.dataclass
class Order:
    number: int
saved, data = FileResultStore(pathlib.Path({str(tmp_path)!r})).save(Order(7))
print(saved.serializer, data.hex())
"""
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    again = store.load(Saved(output[0]), bytes.fromhex(output[1]))
    assert output[0] == "cloudpickle"
    assert again.number == 7


def test_polars(store: FileResultStore) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "t": ["a", "Zoë \N{OWL}", None],
            "when": [datetime.datetime(2026, 1, 1), None, datetime.datetime(2026, 1, 2)],
            "lists": [[1, 2], [], None],
            "f": [0.1, float("nan"), None],
        }
    ).with_columns(pl.col("t").cast(pl.Categorical).alias("c"))
    saved, data = store.save(frame)
    assert saved.serializer == "arrow.polars"
    again = store.load(saved, data)
    assert type(again) is pl.DataFrame
    assert again.schema == frame.schema
    assert again.equals(frame)
    for other in (frame.lazy(), frame["n"]):
        saved, data = store.save(other)
        assert type(store.load(saved, data)) is type(other)


def test_pandas(store: FileResultStore) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {"n": [1, 2], "t": ["a", None], "c": pd.Categorical(["x", "y"])},
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "m"]),
    )
    saved, data = store.save(frame)
    assert saved.serializer == "arrow.pandas"
    pd.testing.assert_frame_equal(store.load(saved, data), frame)
    objects = pd.DataFrame({"o": [{1, 2}, (3,)]})
    saved, data = store.save(objects)
    assert saved.serializer == "pickle"
    pd.testing.assert_frame_equal(store.load(saved, data), objects)


def test_pyarrow(store: FileResultStore) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"n": pa.array([1, None], pa.int8()), "s": [{"x": 1}, None]}).replace_schema_metadata({"a": "b"})
    saved, data = store.save(table)
    assert saved.serializer == "arrow.table"
    again = store.load(saved, data)
    assert again.equals(table, check_metadata=True)


def test_cycles_come_back_as_cycles(store: FileResultStore) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    node: dict[str, Any] = {"me": None}
    node["me"] = [node, node]
    for value in (loop, node):
        saved, data = store.save(value)
        assert saved.serializer == "pickle"
        again = store.load(saved, data)
        inside = again[1] if isinstance(again, list) else again["me"][0]
        assert inside is again


def test_depth(store: FileResultStore) -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    saved, data = store.save(deep)
    assert saved.serializer == "pickle"
    assert store.load(saved, data) == deep
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ResultNotSaved, match="deep recursion"):
        store.save(deep)
    while deep:  # freeing it in one go would overflow the C stack of older interpreters
        deep = deep[0]


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("I stay")


@pytest.mark.parametrize(
    "value", [threading.Lock(), (number for number in [1]), sys._getframe(), Stubborn(), [1, {"a": Stubborn()}]]
)
def test_what_cannot_be_saved_says_so(store: FileResultStore, value: Any) -> None:
    with pytest.raises(ResultNotSaved, match="cannot be saved") as caught:
        store.save(value)
    assert "plain data" in str(caught.value.hint)


def test_large_values_go_by_reference(store: FileResultStore) -> None:
    small, large = b"x" * 1000, os.urandom(100_000_000)
    assert store.save(small)[0].ref is None
    assert not store.folder.exists()
    saved, data = store.save(large)
    assert data is None
    assert saved.size > 100_000_000
    assert saved.ref is not None
    path = store.folder / saved.ref[:2] / saved.ref[2:]
    assert hashlib.blake2b(path.read_bytes(), digest_size=20).hexdigest() == saved.ref
    assert store.load(saved, None) == large
    assert store.save(large)[0] == saved
    assert list(store.folder.glob("*/*")) == [path]


@pytest.mark.parametrize("sync", [False, True])
def test_files_are_shared_by_equal_content(tmp_path: pathlib.Path, sync: bool) -> None:
    store = FileResultStore(tmp_path, inline_bytes=10, sync=sync)
    one, two, three = (store.save(["a" * 100])[0], store.save(["a" * 100])[0], store.save(["b" * 100])[0])
    assert one == two != three
    assert len(list(tmp_path.glob("*/*"))) == 2
    assert store.load(three, None) == ["b" * 100]


def _path_of(store: FileResultStore, saved: Saved) -> pathlib.Path:
    assert saved.ref is not None
    return store.folder / saved.ref[:2] / saved.ref[2:]


def test_missing_and_damaged_files(store: FileResultStore) -> None:
    saved, _ = store.save("x" * 100_000)
    path = _path_of(store, saved)
    content = path.read_bytes()
    for damaged in (content[:-1], b"", content[:-1] + b"y", content + b"z"):
        path.write_bytes(damaged)
        with pytest.raises(ResultUnavailable, match="damaged"):
            store.load(saved, None)
        assert not path.exists(), "it is out of the way"
    store.save("x" * 100_000)
    assert store.load(saved, None) == "x" * 100_000
    path.unlink()
    with pytest.raises(ResultUnavailable, match="is not in"):
        store.load(saved, None)


def test_a_truncated_file_is_written_anew(store: FileResultStore) -> None:
    saved, _ = store.save("x" * 100_000)
    _path_of(store, saved).write_bytes(b"x")
    assert store.save("x" * 100_000)[0] == saved
    assert store.load(saved, None) == "x" * 100_000


def test_records_without_a_value(store: FileResultStore) -> None:
    with pytest.raises(ResultUnavailable, match="could not be saved"):
        store.load(Saved("none"), None)
    with pytest.raises(ResultUnavailable, match="no bytes"):
        store.load(Saved("json", 4), None)
    with pytest.raises(ResultUnavailable, match="does not know"):
        store.load(Saved("yaml", 4), b"a: 1")


@pytest.mark.parametrize(
    ("serializer", "data"),
    [
        ("json", b'{"a":'),
        ("json", b""),
        ("pickle", b"\x80\x05garbage"),
        ("pickle", b"cno.such.module\nThing\n."),
        ("arrow.table", b"ARROW1 but not really"),
        ("arrow.polars", b""),
    ],
)
def test_bytes_that_cannot_be_read(store: FileResultStore, serializer: str, data: bytes) -> None:
    with pytest.raises(ResultUnavailable, match="cannot be read back"):
        store.load(Saved(serializer, len(data)), data)


def _save_often(folder: str, count: int, answers: Any) -> None:
    store = FileResultStore(pathlib.Path(folder), inline_bytes=10)
    answers.put([store.save([number, "x" * 50_000])[0].ref for number in range(count)])


def test_many_processes_save_the_same_content(tmp_path: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=_save_often, args=(str(tmp_path), 30, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    refs = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert refs[1:] == refs[:-1]
    store = FileResultStore(tmp_path)
    assert {path.parent.name + path.name for path in tmp_path.glob("*/*")} == set(refs[0])
    for number, ref in enumerate(refs[0]):
        assert store.load(Saved("json", 0, ref), None) == [number, "x" * 50_000]


def test_a_full_disk(small_disk: pathlib.Path) -> None:
    store = FileResultStore(small_disk / "results")
    kept, _ = store.save("x" * 100_000)
    with pytest.raises(JournalFull, match="not saved"):
        store.save(os.urandom(8_000_000))
    assert store.load(kept, None) == "x" * 100_000
    assert list(store.folder.glob("*/*.part")) == []
    again, _ = store.save("y" * 100_000)
    assert store.load(again, None) == "y" * 100_000


def test_a_read_only_folder(read_only_folder: pathlib.Path) -> None:
    store = FileResultStore(read_only_folder / "results")
    with pytest.raises(JournalReadOnly, match="cannot be written"):
        store.save("x" * 100_000)
    saved, data = store.save("small")
    assert store.load(saved, data) == "small"


def test_a_file_where_the_folder_should_be(tmp_path: pathlib.Path) -> None:
    (tmp_path / "results").write_text("mine")
    with pytest.raises(JournalReadOnly):
        FileResultStore(tmp_path / "results").save("x" * 100_000)
    assert (tmp_path / "results").read_text() == "mine"


def test_other_failures_of_the_disk(store: FileResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(JournalFull):
        store.save("x" * 100_000)
    assert list(store.folder.glob("*/*")) == []


def test_sweeping_takes_what_nobody_uses(store: FileResultStore) -> None:
    used, unused, fresh, renewed = (store.save(letter * 100_000)[0] for letter in "abcd")
    old = os.stat(_path_of(store, used)).st_mtime - 7200
    for saved in (used, unused, renewed):
        os.utime(_path_of(store, saved), (old, old))
    part = _path_of(store, used).with_name("0123.99-abcdef.part")
    part.write_bytes(b"left by a crash")
    os.utime(part, (old, old))
    store.save("d" * 100_000)
    assert store.sweep(lambda refs: set(refs) - {str(used.ref)}) == 2
    assert not part.exists()
    with pytest.raises(ResultUnavailable):
        store.load(unused, None)
    for kept in (used, fresh, renewed):
        store.load(kept, None)
    shutil.rmtree(store.folder)
    assert store.sweep(set) == 0
