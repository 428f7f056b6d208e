"""A folder as a source: every file once, from the oldest to the newest, told from a position that does not grow."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import patience

from penstock.connectors.files import Files
from penstock.connectors.files.scanning import Known, Queue, Scan
from penstock.connectors.files.seen import Summary
from penstock.connectors.files.storage import Entry, Folder, pattern_of
from penstock.core.errors import BadData, ConfigurationError, SourceChanged, SourceUnavailable
from penstock.core.ports.data import Batch, Counts, Place, Position, Source
from penstock.data.ingest import ingest
from penstock.testing.data_memory import Memory, MemorySink
from penstock.testing.data_sources import Row, SourceConformance

until = partial(patience.until, seconds=20.0)


class Lab:
    """A folder, and how far it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.position: Position | None = None
        self.rejected: list[tuple[str, str]] = []
        self._times = itertools.count(1_700_000_000_000_000_123, 1_000_000_007)

    def put(self, name: str, text: str | bytes, *, at: int | None = None) -> Path:
        """Write a file whose time is later than those before, or a given one (nanoseconds)."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.new")  # whoever looks meanwhile sees it whole, or not at all
        hidden.write_bytes(text if isinstance(text, bytes) else text.encode())
        moment = next(self._times) if at is None else at
        os.utime(hidden, ns=(moment, moment))
        return hidden.replace(path)

    def ids(self, *, pattern: str = "", **options: Any) -> list[Any]:
        """What is new."""
        found: list[Any] = []
        for batch in Files(self.folder / pattern if pattern else self.folder, **options).batches(self.position):
            found += [row["id"] for part in batch.parts for row in part.rows.to_pylist()]
            self.rejected += [(os.path.basename(one.where), one.reason) for one in batch.rejected]
            self.position = json.loads(json.dumps(batch.position))
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "in").mkdir()
    return Lab(tmp_path / "in")


class _FilesConformance(SourceConformance):
    suffix = "ndjson"

    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> None:
        self.lab = Lab(tmp_path / "in")
        self.lab.folder.mkdir()
        self.number = 0

    def make_source(self, records: Sequence[Row]) -> Source:
        for start in range(0, len(records), 30):
            self.add(records[start : start + 30])
        return Files(self.lab.folder, batch_bytes=1024)

    def add(self, records: Sequence[Row]) -> None:
        self.number += 1
        self.lab.put(f"{self.number}.{self.suffix}", self.encoded(records))

    def encoded(self, records: Sequence[Row]) -> bytes:
        return "".join(json.dumps(record) + "\n" for record in records).encode()


class TestNdjson(_FilesConformance):
    pass


class TestJson(_FilesConformance):
    suffix = "json"

    def encoded(self, records: Sequence[Row]) -> bytes:
        return json.dumps(list(records)).encode()


class TestPackedNdjson(_FilesConformance):
    suffix = "ndjson.gz"

    def encoded(self, records: Sequence[Row]) -> bytes:
        return gzip.compress(super().encoded(records))


class TestZstdNdjson(_FilesConformance):
    suffix = "ndjson.zst"

    def encoded(self, records: Sequence[Row]) -> bytes:
        return bytes(pa.compress(super().encoded(records), "zstd", asbytes=True))


class TestCsv(_FilesConformance):
    suffix = "csv"
    count = 300

    def encoded(self, records: Sequence[Row]) -> bytes:
        quoted = [f'{row["id"]},"{row["name"].replace(chr(34), chr(34) * 2)}",{row["amount"]}' for row in records]
        return "\n".join(["id,name,amount", *quoted, ""]).encode()


class TestUtf16Csv(TestCsv):
    def encoded(self, records: Sequence[Row]) -> bytes:
        return super().encoded(records).decode().encode("utf-16")


class TestParquet(_FilesConformance):
    suffix = "parquet"

    def encoded(self, records: Sequence[Row]) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(records)), sink, row_group_size=10)
        return bytes(sink.getvalue())


def test_the_oldest_file_is_read_first_and_each_once(lab: Lab) -> None:
    lab.put("z.csv", "id\n1\n")
    lab.put("a.csv", "id\n2\n")
    lab.put("deep/er/m.ndjson", '{"id":3}\n')
    lab.put(".hidden.csv", "id\n9\n")
    assert lab.ids() == [1, 2, 3]
    lab.put("b.csv", "id\n4\n")
    assert lab.ids() == [4]
    assert lab.ids() == []


def test_files_that_came_late_with_an_old_time_are_read(lab: Lab) -> None:
    for number in range(200):
        lab.put(f"{number}.csv", f"id\n{number}\n")
    assert len(lab.ids()) == 200
    for number in range(30):
        lab.put(f"late{number}.csv", f"id\n{1000 + number}\n", at=10**9 * (number + 1) + 7)
    assert lab.ids() == list(range(1000, 1030))
    assert lab.ids() == []


def test_a_file_that_was_renamed_is_not_read_again(lab: Lab) -> None:
    lab.put("a.csv", "id\n1\n")
    lab.put("b.csv", "id\n2\n")
    assert lab.ids() == [1, 2]
    (lab.folder / "a.csv").rename(lab.folder / "done-a.csv")
    assert lab.ids() == []
    lab.put("a.csv", "id\n3\n")
    assert lab.ids() == [3]
    assert lab.ids() == []


def test_two_files_with_the_same_content_are_two_files(lab: Lab) -> None:
    first = lab.put("a.csv", "id\n1\n")
    assert lab.ids() == [1]
    moment = first.stat().st_mtime_ns
    lab.put("b.csv", "id\n1\n", at=moment)
    assert lab.ids() == [1]


def test_a_time_in_whole_seconds_makes_no_file_a_renamed_one(lab: Lab) -> None:
    lab.put("a.csv", "id\n1\n", at=1_700_000_000_000_000_000)
    assert lab.ids() == [1]
    (lab.folder / "a.csv").unlink()
    lab.put("b.csv", "id\n2\n", at=1_700_000_000_000_000_000)
    assert lab.ids() == [2]


def test_a_file_that_has_changed(lab: Lab) -> None:
    lab.put("a.csv", "id\n1\n")
    lab.put("b.csv", "id\n2\n")
    assert lab.ids() == [1, 2]
    lab.put("a.csv", "id\n1\n3\n")
    with pytest.raises(SourceChanged, match=r"a\.csv was read, and has other content now") as told:
        lab.ids()
    assert "changed='again'" in str(told.value)
    before = lab.position
    assert lab.ids(changed="ignore") == []
    assert lab.ids() == []
    lab.position = before
    assert lab.ids(changed="again") == [1, 3]
    assert lab.ids() == []


def test_files_may_leave(lab: Lab) -> None:
    for number in range(300):
        lab.put(f"{number}.csv", f"id\n{number}\n")
    assert len(lab.ids()) == 300
    for number in range(0, 250):
        (lab.folder / f"{number}.csv").unlink()
    lab.put("new.csv", "id\n1000\n")
    time.sleep(0)
    back = {path: path.stat().st_ctime_ns for path in lab.folder.iterdir()}
    known = json.loads(json.dumps(lab.position))
    known["looked"] = max(back.values()) + 3 * 10**9  # those that are still there had been there for a while
    lab.position = known
    assert lab.ids() == [1000]
    assert lab.ids() == []


def test_what_cannot_be_told_is_refused(lab: Lab) -> None:
    for number in range(300):
        lab.put(f"{number}.csv", f"id\n{number}\n")
    assert len(lab.ids()) == 300
    for number in range(0, 250):
        (lab.folder / f"{number}.csv").unlink()
    lab.put("old.csv", "id\n1000\n", at=1_000_000_007)
    with pytest.raises(SourceChanged, match="cannot be told which") as told:
        lab.ids()
    assert "touch" in str(told.value)


def test_the_position_does_not_grow_with_the_number_of_files(lab: Lab) -> None:
    sizes = []
    for number in range(600):
        lab.put(f"{number % 20}/{number}.csv", f"id\n{number}\n")
        if number % 100 == 99:
            lab.ids()
            sizes.append(len(json.dumps(lab.position)))
    assert max(sizes) < 5000
    assert abs(sizes[-1] - sizes[1]) < 200


def test_any_history_of_a_folder_is_read_once(tmp_path: Path) -> None:
    """Files come (now or late), are renamed and removed, and reading is cut short anywhere."""
    for seed in range(25):
        rng = random.Random(seed)
        lab = Lab(tmp_path / str(seed))
        lab.folder.mkdir()
        fresh, wanted, got = itertools.count(), set(), []
        for _ in range(12):
            for _ in range(rng.randrange(8)):
                number = next(fresh)
                late = rng.random() < 0.3
                moment = rng.randrange(10**18, 17 * 10**17) * 1 + 1 if late else None
                lab.put(f"{number}.csv", f"id\n{number}\n", at=moment)
                wanted.add(number)
            names = [path for path in lab.folder.iterdir() if int(path.stem.partition("-")[0]) in got]
            for path in rng.sample(names, min(len(names), rng.randrange(4))):
                if rng.random() < 0.5:
                    path.unlink()
                else:
                    path.rename(path.with_name(f"{path.stem}-{rng.randrange(10**6)}.csv"))
            batches = Files(lab.folder, batch_bytes=1024).batches(lab.position)
            for batch in itertools.islice(batches, rng.randrange(1, 4)):
                got += [row["id"] for part in batch.parts for row in part.rows.to_pylist()]
                lab.position = json.loads(json.dumps(batch.position))
        got += lab.ids()
        assert sorted(got) == sorted(wanted), f"seed {seed}"


def test_a_file_is_resumed_in_the_middle(lab: Lab) -> None:
    lines = [f'{number},"n {number}"' for number in range(5000)]
    lab.put("a.csv", "id,name\n" + "\n".join(lines))
    got: list[int] = []
    while True:
        batch = next(iter(Files(lab.folder, batch_bytes=4096).batches(lab.position)))
        got += [row["id"] for part in batch.parts for row in part.rows.to_pylist()]
        lab.position = json.loads(json.dumps(batch.position))
        if batch.last:
            break
    assert got == list(range(5000))


def test_a_file_that_changes_or_leaves_while_it_is_read_in_part(lab: Lab) -> None:
    path = lab.put("a.csv", "id\n" + "\n".join(map(str, range(5000))))
    reading = Files(lab.folder, batch_bytes=1024).batches(None)
    first = next(iter(reading))
    lab.position = first.position
    path.rename(path.with_name("b.csv"))
    rest = lab.ids()
    assert len(rest) + sum(part.rows.num_rows for part in first.parts) == 5000
    lab.position = first.position
    lab.put("a.csv", "id\n7\n")
    (lab.folder / "b.csv").unlink()
    with pytest.raises(SourceChanged, match="read in part, and has other content"):
        lab.ids()
    assert lab.ids(changed="again") == [7]
    lab.position = first.position
    (lab.folder / "a.csv").unlink()
    with pytest.raises(SourceChanged, match="read in part, and is gone"):
        lab.ids()


def test_a_file_that_grows_while_it_is_read_is_told(lab: Lab) -> None:
    path = lab.put("a.csv", "id\n" + "\n".join(map(str, range(5000))))
    reading = iter(Files(lab.folder, batch_bytes=1024).batches(None))
    next(reading)
    with path.open("a") as file:
        file.write("\n9999\n")
    with pytest.raises(SourceChanged, match="changed while it was read"):
        list(reading)


def test_a_file_that_is_not_what_it_says(lab: Lab) -> None:
    packed = gzip.compress(b"id\n" + b"7\n" * 1000)
    lab.put("a.csv.gz", packed[:-20])
    lab.put("b.parquet", b"PAR1 and then nothing")
    lab.put("c.json", '[{"id":1},\n{"id":}]')
    lab.put("d.docx", "?")
    lab.put("e.csv", "id\n5\n")
    assert lab.ids() == [1, 5]
    told = dict(lab.rejected)
    assert set(told) == {"a.csv.gz", "b.parquet", "c.json:2@17", "d.docx"}
    assert "ends in the middle" in told["a.csv.gz"]
    assert "no Parquet file" in told["b.parquet"]
    assert "give the format" in told["d.docx"]
    lab.position = None
    with pytest.raises(BadData, match=r"a\.csv\.gz: the gzip stream ends in the middle") as error:
        lab.ids(broken="raise")
    assert "broken='reject'" in str(error.value)


def test_a_file_is_read_when_its_marker_is_there(lab: Lab) -> None:
    lab.put("day1/a.csv", "id\n1\n")
    assert lab.ids(ready="_SUCCESS") == []
    lab.put("day2/b.csv", "id\n2\n")
    lab.put("day2/_SUCCESS", "")
    assert lab.ids(ready="_SUCCESS") == [2]
    lab.put("day1/_SUCCESS", "")
    assert lab.ids(ready="_SUCCESS") == [1]
    lab.put("c.csv", "id\n3\n")
    lab.put("c.csv.done", "")
    lab.put("d.csv", "id\n4\n")
    assert lab.ids(pattern="*.csv", ready="{name}.done") == [3]
    assert lab.rejected == []


@pytest.mark.parametrize(
    "manifest",
    ["a.csv\nsub/b.csv\n", '["a.csv", "sub/b.csv"]', '{"files": [{"name": "a.csv", "size": 5}, "sub/b.csv"]}'],
)
def test_what_a_manifest_does_not_name_is_not_there(lab: Lab, manifest: str) -> None:
    for name, number in (("a.csv", 1), ("sub/b.csv", 2), ("half.csv", 3)):
        lab.put(name, f"id\n{number}\n")
    assert lab.ids(manifest="files.txt") == []
    lab.put("files.txt", manifest)
    assert lab.ids(manifest="files.txt") == [1, 2]
    assert lab.rejected == []
    lab.put("files.txt", '{"files": [{"name": "half.csv", "size": 99}]}')
    with pytest.raises(SourceUnavailable, match="has 5 bytes and not 99"):
        lab.ids(manifest="files.txt")
    lab.put("files.txt", '{"what": 1}')
    with pytest.raises(BadData, match="is no manifest"):
        lab.ids(manifest="files.txt")


def test_a_file_that_is_still_written_waits_until_it_is_not(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines, look = lab.folder / "a.csv", iter(range(2, 6)), os.scandir
    path.write_text("id\n1\n")

    def written_meanwhile(*args: Any) -> Any:
        for number in itertools.islice(lines, 2):
            with path.open("a") as file:
                file.write(f"{number}\n")
        return look(*args)

    monkeypatch.setattr(os, "scandir", written_meanwhile)
    assert lab.ids(settle_seconds=0.2) == [1, 2, 3, 4, 5]


def test_a_source_that_follows_hands_out_what_comes_and_ends_when_it_is_closed(lab: Lab) -> None:
    source = Files(lab.folder, follow=True, poll_seconds=0.05, settle_seconds=0)
    memory, stop, landed = Memory(), threading.Event(), threading.Semaphore(0)
    lab.put("a.csv", "id\n1\n")

    def follow() -> None:
        ingest(source, MemorySink(memory), name="pipe", stop=stop, on_progress=lambda _: landed.release())

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for number in (2, 3):
            until(lambda number=number: len(memory.tables.get("rows", ())) == number - 1)
            lab.put(f"{number}.csv", f"id\n{number}\n")
        until(lambda: len(memory.tables.get("rows", ())) == 3)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert memory.tables["rows"] == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_closing_ends_a_source_that_follows(lab: Lab) -> None:
    source = Files(lab.folder, follow=True, poll_seconds=60)
    seen = 0
    for batch in source.batches(None):
        assert not batch.last
        seen += 1
        source.close()
    assert seen <= 2


def test_many_small_files_are_few_batches(lab: Lab) -> None:
    for number in range(500):
        lab.put(f"{number}.csv", f"id\n{number}\n")
    batches = list(Files(lab.folder).batches(None))
    assert len(batches) == 1
    assert [len(batch.parts) for batch in batches] == [1]
    assert batches[0].size == Files(lab.folder).size(None).bytes


def test_the_online_retail_data_is_read_whole(test_data: Path) -> None:
    memory = _Counting()
    done = ingest(Files(test_data / "retail" / "online_retail.csv.gz"), memory, name="pipe")
    assert done.counts.read == 541_909
    assert done.counts.balanced
    assert done.counts.rejected == 0
    assert memory.rows == 541_909


class _Counting(MemorySink):
    """Keeps the number of rows instead of the rows."""

    rows = 0

    def open(self, pipe: str) -> Any:
        landing = super().open(pipe)
        real = landing.land

        def land(batch: Batch) -> Any:
            counts = Counts(batch.read, batch.read - len(batch.rejected), 0, len(batch.rejected))
            self.rows += counts.landed
            told = real(Batch((), batch.position, last=batch.last))
            return type(told)(counts)

        landing.land = land
        return landing


# ---- the parts


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.csv", ["a.csv"], ["a/b.csv", ".a.csv", "a.csv.gz"]),
        ("**/*.csv", ["a.csv", "x/y/a.csv"], [".git/a.csv", "x/.a.csv"]),
        ("**", ["a", "x/y"], [".a", "x/.a", ".x/a"]),
        ("day=*/part-[0-9]?.pq", ["day=1/part-1a.pq"], ["day=1/part-aa.pq", "day=1/2/part-11.pq"]),
        ("[!a]*.csv", ["b.csv"], ["a.csv", "/.csv"]),
        (".*.csv", [".a.csv"], ["a.csv"]),
        ("a+(b).csv", ["a+(b).csv"], ["aab.csv"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = pattern_of(pattern)
    assert [name for name in yes + no if compiled.fullmatch(name)] == yes


def test_places(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert Files(f"file://{tmp_path}/in/*.csv").place == Place("file", f"{tmp_path}/in/*.csv")
    assert Files(tmp_path / "in").place == Files(f"{tmp_path}/in/").place
    assert list(Files(tmp_path / "none" / "x.csv").batches(None))[-1].last


def test_a_summary_tells_differences_or_that_it_cannot() -> None:
    rng = random.Random(7)
    told = 0
    for size in (0, 1, 5, 20, 40, 60, 150, 1000):
        one, other = Summary(), Summary()
        for _ in range(500):
            both = rng.randbytes(16)
            one.add(both)
            other.add(both)
        here, there = {rng.randbytes(16) for _ in range(size)}, {rng.randbytes(16) for _ in range(size // 3)}
        for identity in here:
            one.add(identity)
        for identity in there:
            other.add(identity)
        found = Summary.unpacked(one.packed(), one.count).differences(other)
        assert found in (None, (here, there))
        told += found is not None
        assert found is not None or size > 30
    assert told >= 5


def test_many_files_wait_in_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.connectors.files.scanning._IN_MEMORY", 10)
    queue, rng = Queue(), random.Random(1)
    entries = [Entry(f"ä\udcff{number}", 1, rng.randrange(50)) for number in range(95)]
    for entry in entries:
        queue.add(entry)
    assert list(queue) == sorted(entries, key=lambda entry: (entry.modified, os.fsencode(entry.name)))
    assert (queue.count, queue.bytes) == (95, 95)
    queue.close()


class _Listed(Folder):
    """A listing that was made up."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__("nowhere")
        self.listed = entries

    def entries(self) -> Iterator[Entry]:
        yield from self.listed


def test_touching_everything_reads_nothing_again() -> None:
    """A new owner or mode is no new content."""
    before = [Entry(f"{number}", 10, 1000 + number, arrived=5) for number in range(500)]
    known = Known()
    for entry in before:
        known.done(entry)
    known.looked = 10**12
    touched = [replace(entry, arrived=2 * 10**12) for entry in before]
    late = [Entry(f"late{number}", 10, 3, arrived=2 * 10**12) for number in range(200)]
    for listed, wanted in ((touched + late[:20], late[:20]), (before[20:480] + touched[480:] + late, late)):
        scan = Scan(_Listed(listed), known)
        assert [candidate.entry.name for candidate in scan] == sorted(entry.name for entry in wanted)
    assert known.seen.count == 480


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        Files("", format="xls", delimiter="ab", encoding="utf-9", changed="maybe", poll_seconds=0)  # type: ignore[arg-type]
    assert "6 mistakes in Files" in told.value.message
    with pytest.raises(ConfigurationError, match=r"'intege' \(of id\) is no type"):
        Files("x.csv", schema={"id": "intege"})


def test_a_position_of_something_else_is_refused(lab: Lab) -> None:
    for position in ({"next": 3}, {"files": 1, "until": [1, "a"], "seen": "!", "count": 1}):
        lab.position = position
        with pytest.raises(SourceChanged, match="no position of a files source"):
            lab.ids()


def test_a_folder_that_may_not_be_read_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceUnavailable, match="Permission denied"):
        lab.ids()
