"""What a commit and an opening cost, the longer a table's history is; and what compression costs and saves.

    python benchmarks/lake/history.py FOLDER [commits]
    python benchmarks/lake/history.py FOLDER compression CSV.GZ

Small commits of ten rows, one after another, as a stream makes them; medians. No peers: it is about growth.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.csv

from penstock.core.ports.data import Batch, Part
from penstock.stores.lake import Lake

ROWS = 10
LOOKS = (100, 1_000, 3_000, 10_000)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def history(folder: str, commits: int) -> None:
    lake = Lake(folder)
    rows = pa.table({"id": list(range(ROWS)), "text": ["some text"] * ROWS})
    sink = lake.table("raw/rows")
    print(f"{'commits':>8} {'commit ms':>10} {'open ms':>9} {'count ms':>9} {'files':>6} {'log files':>9}")
    done = 0
    for look in [each for each in LOOKS if each <= commits]:
        times = []
        with sink.open("pipe") as landing:
            while done < look:
                done += 1
                batch = Batch(parts=(Part(rows),), position={"next": done})
                times.append(timed(lambda batch=batch: landing.land(batch)))  # type: ignore[misc]
        opened = statistics.median(timed(lambda: sink.open("pipe").close()) for _ in range(5))
        counted = statistics.median(
            timed(lambda: sum(found.num_rows for found in lake.read("raw/rows", columns=["id"]))) for _ in range(5)
        )
        log = len(list((Path(folder) / "raw/rows/_delta_log").iterdir()))
        median = statistics.median(times[-100:])
        print(f"{look:>8} {median:>10.1f} {opened:>9.1f} {counted:>9.1f} {len(lake.files('raw/rows')):>6} {log:>9}")


def compression(folder: str, source: str) -> None:
    rows = pyarrow.csv.read_csv(source)
    print(f"{rows.num_rows:,} rows, {rows.nbytes / 1e6:.0f} MB in memory")
    print(f"{'':>12} {'MB':>6} {'write ms':>9} {'read ms':>9}")
    for name, level in [("UNCOMPRESSED", None), ("SNAPPY", None), *(("ZSTD", level) for level in (1, 3, 6, 12))]:
        path = f"{folder}/{name}{level or ''}"
        writer = deltalake.WriterProperties(compression=name, compression_level=level)  # type: ignore[arg-type]

        def write(path: str = path, writer: Any = writer) -> None:
            deltalake.write_deltalake(path, rows, mode="overwrite", writer_properties=writer)

        wrote = statistics.median(timed(write) for _ in range(3))
        table = deltalake.DeltaTable(path)
        read = statistics.median(timed(lambda table=table: pa.table(table.scan())) for _ in range(3))  # type: ignore[misc]
        size = sum(Path(uri).stat().st_size for uri in table.file_uris())
        print(f"{name.lower() + (f' {level}' if level else ''):>12} {size / 1e6:>6.1f} {wrote:>9.0f} {read:>9.0f}")


if __name__ == "__main__":
    if sys.argv[2:3] == ["compression"]:
        compression(sys.argv[1], sys.argv[3])
    else:
        history(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
