"""pandas: the lines in chunks, a regular expression, the counts of each chunk added up; and the same on Dask."""

import csv
import os
from typing import Any

import pandas as pd
from common import peak_mb
from log_answer import FIRST, NAMES, NO_DATE, PATTERN, save
from meter import Watch, cpu_seconds, source

LINES: dict[str, Any] = {
    "sep": "\x1e",
    "header": None,
    "names": ["line"],
    "quoting": csv.QUOTE_NONE,
    "encoding_errors": "replace",
    "dtype": {"line": "str"},
}
CHUNK = 500_000
BLOCK = "64MB"


def requests_of(frame: Any) -> Any:
    """The fields of each line that is one of an access log."""
    lines = frame["line"]
    found = lines[lines.str.endswith('"')].str.extract(PATTERN)
    found.columns = list(NAMES)
    found = found[found["status"].notna()]
    found = found[~found["minute"].str.startswith(NO_DATE)]
    return found.assign(bytes=found["bytes"].replace("-", "0").astype("int64"))


def with_pandas() -> None:
    groups, paths = [], []
    watch = Watch()
    for chunk in pd.read_csv(source(), chunksize=CHUNK, **LINES):
        found = requests_of(chunk)
        groups.append(found.groupby(["minute", "status"])["bytes"].agg(["size", "sum"]))
        paths.append(found["path"].value_counts())
    by_status = pd.concat(groups).groupby(level=[0, 1]).sum()
    first = pd.concat(paths).groupby(level=0).sum().nlargest(FIRST, keep="all")
    watch.tell()
    save(((*key, *row) for key, row in zip(by_status.index, by_status.to_numpy().tolist(), strict=True)), first.items())


def with_dask() -> None:
    import dask
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    cores = os.cpu_count() or 1
    # Python's regular expressions hold the lock of the interpreter, so that threads would wait for each other.
    with (
        LocalCluster(n_workers=cores, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        before = sum(client.run(cpu_seconds).values())
        watch = Watch()
        lines = dd.read_csv(source(), blocksize=BLOCK, **LINES)
        meta = {"minute": "str", "path": "str", "status": "str", "bytes": "int64"}
        found = lines.map_partitions(requests_of, meta=meta)
        groups = found.groupby(["minute", "status"])["bytes"].agg(["count", "sum"], split_out=1)
        by_status, paths = dask.compute(groups, found["path"].value_counts(split_out=1))
        first = paths.nlargest(FIRST, keep="all")
        used = sum(client.run(cpu_seconds).values()) - before + watch.cpu
        watch.tell(cpu_seconds=used, peak_mb=peak_mb() + sum(client.run(peak_mb).values()))
    save(((*key, *row) for key, row in zip(by_status.index, by_status.to_numpy().tolist(), strict=True)), first.items())


if __name__ == "__main__":
    if os.environ.get("BENCH_WITH") == "dask":
        with_dask()
    else:
        with_pandas()
