"""Reading a lake: as it was, some of it, and its files kept in order."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.test_lake import batch, ids, people, rows_of

from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Batch, Part
from penstock.stores.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def days(lake: Lake) -> Lake:
    """Two commits for each of four days."""
    with lake.table("raw/rows", partition_by="day").open("pipe") as landing:
        for number in range(8):
            day = datetime.date(2024, 1, 1 + number % 4)
            landing.land(batch(people(number, number + 100, day=day), number))
    return lake


def test_the_past(days: Lake) -> None:
    history = days.history("raw/rows")
    assert [commit.version for commit in history] == list(range(9, -1, -1))
    assert history[0].pipe == "pipe"
    assert history[0].details["penstock.landed"] == "16"
    assert ids(days, version=history[6].version) == [0, 1, 100, 101]
    assert ids(days, at=history[6].at) == [0, 1, 100, 101]
    assert ids(days, at=history[6].at.replace(tzinfo=None).isoformat()) == [0, 1, 100, 101]
    assert len(days.history("raw/rows", limit=2)) == 2
    for wrong in ({"version": 99}, {"at": "1999-01-01"}):
        with pytest.raises(DatasetNotFound, match="history"):
            days.read("raw/rows", **wrong)  # type: ignore[arg-type]
    for wrong in ({"version": 1, "at": "2024-01-01"}, {"at": "yesterday"}):
        with pytest.raises(ConfigurationError):
            days.read("raw/rows", **wrong)  # type: ignore[arg-type]


def test_some_columns_and_some_rows(days: Lake) -> None:
    found = days.read("raw/rows", columns=["name", "id"], where="day = '2024-01-02' AND id > 100").read_all()
    assert found.schema == pa.schema([("name", pa.string()), ("id", pa.int64())])
    assert sorted(found.column("id").to_pylist()) == [101, 105]
    with pytest.raises(ConfigurationError, match="'nix'"):
        days.read("raw/rows", columns=["nix"])
    for wrong in ("nix = 1", "day ="):
        with pytest.raises(ConfigurationError, match="where"):
            days.read("raw/rows", where=wrong)


def test_a_condition_reads_no_file_of_another_partition(days: Lake, tmp_path: Path) -> None:
    """Those of the other days are gone, and nobody misses them."""
    wanted = days.files("raw/rows", where="day = '2024-01-02'")
    assert len(wanted) == 2
    assert all("day=2024-01-02" in file for file in wanted)
    for file in set(days.files("raw/rows")) - set(wanted):
        Path(file).unlink()
    assert ids(days, where="day = '2024-01-02'") == [1, 5, 101, 105]


def test_rows_come_as_a_stream(days: Lake) -> None:
    reader = days.read("raw/rows")
    assert isinstance(reader, pa.RecordBatchReader)
    assert sum(found.num_rows for found in reader) == 16


def test_few_files_instead_of_many(days: Lake) -> None:
    assert len(days.files("raw/rows")) == 8
    before = rows_of(days)
    done = days.compact("raw/rows")
    assert (done.added, done.removed) == (4, 8)
    assert len(days.files("raw/rows")) == 4
    assert rows_of(days) == before


def test_small_files_are_put_together_now_and_then(lake: Lake) -> None:
    with lake.table("raw/rows", compact_every=5).open("pipe") as landing:
        for number in range(12):
            landing.land(batch(people(number), number))
            assert len(lake.files("raw/rows")) <= 5
    assert ids(lake) == list(range(12))


def test_z_order_lets_a_condition_read_fewer_files(lake: Lake) -> None:
    numbers = [number * 7919 % 20_000 for number in range(20_000)]
    rows = pa.table(
        {"id": range(20_000), "x": numbers, "text": [f"{number * 2654435761 % 2**32:x}" for number in numbers]}
    )
    with lake.table("raw/rows", compact_every=0).open("pipe") as landing:
        for part in range(4):
            landing.land(Batch(parts=(Part(rows.slice(part * 5_000, 5_000)),), position={"part": part}))
    assert len(lake.files("raw/rows", where="x < 100")) == 4
    lake.compact("raw/rows", z_order=["x"], target_bytes=60_000)
    assert len(lake.files("raw/rows", where="x < 100")) < len(lake.files("raw/rows"))
    assert lake.read("raw/rows", where="x < 100").read_all().num_rows == 100
    with pytest.raises(ConfigurationError, match="'nix'"):
        lake.compact("raw/rows", z_order="nix")


def test_vacuum_keeps_what_somebody_may_need(days: Lake, tmp_path: Path) -> None:
    days.compact("raw/rows")
    assert days.vacuum("raw/rows") == []
    with pytest.raises(ConfigurationError, match="force=True"):
        days.vacuum("raw/rows", keep=datetime.timedelta(hours=1))
    now = datetime.timedelta(0)
    assert len(days.vacuum("raw/rows", keep=now, dry_run=True, force=True)) == 8
    assert len(days.vacuum("raw/rows", keep=now, force=True)) == 8
    assert len(rows_of(days)) == 16
    with days.table("raw/rows").open("pipe") as landing:
        assert landing.position == {"next": 7}


def test_cold_partitions_leave_and_come_back(days: Lake, tmp_path: Path) -> None:
    before = rows_of(days)
    cold = tmp_path / "cold"
    made = days.archive("raw/rows", "day < '2024-01-03'", cold)
    assert (made.rows, len(made.files)) == (8, 4)
    assert ids(days) == [2, 3, 6, 7, 102, 103, 106, 107]
    assert [one.id for one in days.archives("raw/rows", cold)] == [made.id]
    days.vacuum("raw/rows", keep=datetime.timedelta(0), force=True)
    with days.table("raw/rows").open("other") as landing:
        landing.land(batch(people(500, day=datetime.date(2024, 1, 1), city="Ulm")))
    assert days.restore("raw/rows", made.id, cold) == 8
    restored = [row for row in rows_of(days) if row["id"] != 500]
    assert [{name: row[name] for name in before[0]} for row in restored] == before
    assert days.archives("raw/rows", cold)[0].restored
    with pytest.raises(ConfigurationError, match="already"):
        days.restore("raw/rows", made.id, cold)
    with pytest.raises(DatasetNotFound):
        days.restore("raw/rows", "nix", cold)


@pytest.mark.parametrize("where", ["id < 3", "day < '2024-01-03' AND name = 'x'", "day < '1999-01-01'", "nix = 1"])
def test_only_whole_partitions_are_moved(days: Lake, tmp_path: Path, where: str) -> None:
    with pytest.raises(ConfigurationError):
        days.archive("raw/rows", where, tmp_path / "cold")
    assert len(rows_of(days)) == 16


def test_an_archive_that_was_interrupted_is_none(days: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.stores.lake.delta import Table

    def dies(self: Table, *_: Any) -> None:
        raise KeyboardInterrupt

    cold = tmp_path / "cold"
    with monkeypatch.context() as patched:
        patched.setattr(Table, "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            days.archive("raw/rows", "day < '2024-01-03'", cold)
    assert list(cold.rglob("*.parquet"))
    assert days.archives("raw/rows", cold) == []
    assert len(rows_of(days)) == 16
    made = days.archive("raw/rows", "day < '2024-01-02'", cold)
    assert len(list(cold.rglob("*.parquet"))) == len(made.files) == 2


def test_the_log_does_not_grow_for_ever(lake: Lake, tmp_path: Path) -> None:
    with lake.table("raw/rows", keep_versions=100).open("pipe") as landing:
        for number in range(400):
            landing.land(Batch(parts=(), position={"next": number}, superseded=1))
    versions = [commit.version for commit in lake.history("raw/rows")]
    assert versions == list(range(max(versions), versions[-1] - 1, -1))
    assert 100 <= len(versions) < 310
    assert len(list((tmp_path / "lake/raw/rows/_delta_log").iterdir())) < 320
    for version in (versions[-1], versions[0]):
        assert lake.read("raw/rows", version=version).read_all().num_rows == 0
    with lake.table("raw/rows").open("pipe") as landing:
        assert (landing.position, landing.counts.read) == ({"next": 399}, 400)
        landing.land(batch(people(1), 400))
    assert ids(lake) == [1]


def test_tables_are_listed(days: Lake) -> None:
    with days.tables("processed/shop/").open("pipe") as landing:
        landing.land(Batch(parts=(Part(pa.table({"a": [1]}), "orders"),), position={}, order=1))
    assert days.names() == ["processed/shop/orders", "raw/rows"]
    assert days.schema("processed/shop/orders") == pa.schema([("a", pa.int64())])
