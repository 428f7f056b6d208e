"""Stretches of a log: each line is in exactly one of them."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import BadData, SourceUnavailable
from penstock.processing.logs import LogAnalyzer, stretches
from penstock.processing.logs.blocks import LONGEST, PAD, Buffers, blocks_of

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=30)


def text_of(path: Path, start: int, end: int, size: int) -> bytes:
    file = stretches.Stretch(str(path), start, end)
    found = b""
    try:
        for block in blocks_of(file, size, Buffers(), LONGEST):
            assert block.start == PAD
            found += bytes(block.buffer[block.start : block.end])
    finally:
        file.close()
    return found


@given(lines=LINES, last=st.booleans(), cuts=st.lists(st.integers(0, 400), max_size=5), size=st.integers(1, 64))
def test_every_line_is_in_exactly_one_stretch(
    lines: list[bytes], last: bool, cuts: list[int], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "stretches.log"
    whole = b"\n".join(lines) + b"\n" * last
    path.write_bytes(whole)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    found = [text_of(path, start, end, size) for start, end in itertools.pairwise(places)]
    wanted = whole + b"\n" if whole and not whole.endswith(b"\n") else whole
    assert b"".join(found) == wanted
    starts = {0, *(place + 1 for place, byte in enumerate(whole) if byte == 10)}
    for (start, end), text in zip(itertools.pairwise(places), found, strict=True):
        begun = sum(start <= place < end for place in starts)
        assert text.count(b"\n") == begun


def test_a_long_line_over_several_stretches(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"a\n" + b"x" * 300_000 + b"\nb\n")
    size = path.stat().st_size
    found = [text_of(path, start, min(start + 70_000, size), 1000) for start in range(0, size, 70_000)]
    assert [len(each) for each in found] == [300_003, 0, 0, 0, 2]


def test_places_fall_between_chunks_and_packed_files_are_one(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"line\n" * 2000)
    assert stretches.places_of(str(path), 10_000, 1000, 2) == [(n, n + 2000) for n in range(0, 10_000, 2000)]
    assert stretches.places_of(str(path), 10_000, 10, 1)[0] == (0, 80)
    assert stretches.places_of(str(path), 10_000, 1 << 20, 8) == [(0, 10_000)]
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert stretches.places_of(str(packed), packed.stat().st_size, 10, 2) == [(0, packed.stat().st_size)]


def test_what_a_worker_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"A worker cannot read .*gone\.log: No such file") as raised:
        stretches.opened(str(tmp_path / "gone.log"), 10, 0, 10)
    assert "a folder that all machines share" in str(raised.value.hint)
    (tmp_path / "short.log").write_bytes(b"x\n")
    with pytest.raises(SourceUnavailable, match=r"Another file"):
        stretches.opened(str(tmp_path / "short.log"), 10, 0, 10)


@pytest.mark.parametrize(
    ("engine", "scheduler", "told"),
    [
        ("flink", None, "There is no engine 'flink'"),
        ("dask", None, "needs the address of a scheduler"),
        ("local", "tcp://127.0.0.1:1", "has no scheduler"),
    ],
)
def test_engines_that_cannot_be(engine: str, scheduler: str | None, told: str) -> None:
    with pytest.raises(BadData, match=told):
        LogAnalyzer(engine=engine, scheduler=scheduler)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_utf16_is_read_as_utf8(tmp_path: Path, encoding: str, chunk: int) -> None:
    lines = [f"2026-01-05T10:00:{second:02} ERROR shop: café 💶 {second} sold" for second in range(60)]
    plain, wide = tmp_path / "plain.log", tmp_path / "wide.log"
    plain.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wide.write_bytes(f"\ufeff{plain.read_text(encoding='utf-8')}".encode(encoding))
    told = [LogAnalyzer(chunk).analyze(path) for path in (plain, wide)]
    assert [(each.lines, each.parsed, each.levels) for each in told] == [(60, 60, {"ERROR": 60})] * 2
    assert told[0].messages == told[1].messages
    assert told[1].bytes_read == wide.stat().st_size
    wide.write_bytes(wide.read_bytes()[:-3] + b"\xd8")
    assert LogAnalyzer(chunk).analyze(wide).lines == 60, "what is no character does not end the reading"


def test_a_file_of_utf16_is_one_stretch(tmp_path: Path) -> None:
    path = tmp_path / "wide.log"
    path.write_bytes(("\ufeff" + "x\n" * 500).encode("utf-16-le"))
    assert stretches.places_of(str(path), 2002, 64, 2) == [(0, 2002)]
    path.write_bytes(b"\xff\xfe\0\0" + b"x\0\0\0\n\0\0\0" * 500)
    assert len(stretches.places_of(str(path), 4004, 64, 2)) > 1, "UTF-32 is something else"
