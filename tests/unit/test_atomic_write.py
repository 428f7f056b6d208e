"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import IO, Any

import pytest

from penstock.utilities.files import atomic_write


def test_a_file_appears_when_all_of_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    with atomic_write(path) as file:
        file.write("zoë\n")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "zoë\n"
    with atomic_write(str(path), "wb", sync=False) as file:
        file.write(b"\0")
    assert path.read_bytes() == b"\0"
    assert os.listdir(tmp_path) == ["report.txt"]


def half(file: IO[Any]) -> None:
    file.write("half")
    raise ZeroDivisionError


def test_what_was_there_stays_where_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        half(file)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["report.txt"]


def fill(file: IO[Any]) -> None:
    """Let there be no space left for it."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file.fileno())
    os.close(full)
    file.write("x")


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "x", tmp_path / "folder"):
        with pytest.raises(OSError), atomic_write(path) as file:  # noqa: PT011 - several kinds of it
            file.write("x")
    with pytest.raises(OSError, match="No space"), atomic_write(tmp_path / "x") as file:
        fill(file)
    assert sorted(os.listdir(tmp_path)) == ["folder"]


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_text("1")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write("2")
    assert link.is_symlink()
    assert path.read_text() == "2"
    assert path.stat().st_mode & 0o777 == 0o640
    with atomic_write(tmp_path / "new") as file:
        file.write("3")
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode


def test_many_at_once_each_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def write(letter: str) -> None:
        for _ in range(20):
            with atomic_write(path, sync=False) as file:
                file.write(letter * 10_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(path.read_text())) == 1
    assert os.listdir(tmp_path) == ["x"]
