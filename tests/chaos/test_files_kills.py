"""Processes that bring files into an export, killed before every step: each record is there once afterwards."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.chaos import files_worker
from tests.chaos.lab import Lab

from penstock.connectors.files import FileExport
from penstock.core.ports.data import Counts

pytestmark = pytest.mark.chaos
WORKERS = files_worker


def put(folder: Path) -> tuple[list[int], int]:
    """Files of several formats, some of them larger than a batch; the ids in them, and how many records are bad."""
    folder.mkdir()
    bad = 0
    for place, start in enumerate(range(0, 240, 80)):
        numbers = range(start, start + 80)
        lines = [f'{number},"n, {number}"' for number in numbers]
        lines.insert(50, "x,bad")
        raw = ("id,name\n" + "\n".join(lines) + "\n").encode()
        path = folder / (f"{place}.csv" if place % 2 else f"{place}.csv.gz")
        path.write_bytes(raw if place % 2 else gzip.compress(raw))
        os.utime(path, ns=(10**18 + place, 10**18 + place))
        bad += 1
    more = "".join(json.dumps({"id": number, "name": "json"}) + "\n" for number in range(240, 260))
    (folder / "last.ndjson").write_text(more + "no record\n")
    return list(range(260)), bad + 1


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_process_killed_before_each_of_its_steps(lab: Lab, tmp_path: Path, mode: str) -> None:
    """The first process is killed before its first step, the second before its third one, ..."""
    ids, bad = put(tmp_path / "in")
    killed = 0
    while True:
        ended = lab.run(files_worker.bring, folder=str(tmp_path), mode=mode, strike_at=2 * killed + 1)
        if not ended.killed:
            break
        killed += 1
    assert ended.value > 0
    assert killed >= 8
    out = tmp_path / ("parts" if mode == "append" else "rows.parquet")
    files = sorted(out.glob("part-*")) if mode == "append" else [out]
    assert sorted(number for file in files for number in pq.read_table(file)["id"].to_pylist()) == ids
    rejected = [line for file in Path(f"{out}.rejected").iterdir() for line in file.read_text().splitlines()]
    assert len(rejected) == bad
    with FileExport(out, mode=mode).open("pipe") as landing:  # type: ignore[arg-type]
        loads = landing.counts.read // (len(ids) + bad)  # whoever comes after a file was replaced replaces it again
        assert loads == 1 or mode == "replace"
        assert landing.counts == Counts(loads * (len(ids) + bad), loads * len(ids), 0, loads * bad)
