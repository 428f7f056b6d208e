"""Polars: the lines as a lazy frame of one column, a regular expression, and both groupings in one streaming pass."""

import polars as pl
from log_answer import FIRST, NAMES, NO_DATE, PATTERN, save
from meter import Watch, source


def main() -> None:
    watch = Watch()
    line = pl.col("line")
    lines = pl.scan_csv(
        source(),
        has_header=False,
        separator="\x1e",
        quote_char=None,
        new_columns=["line"],
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
    )
    fields = line.str.extract_groups(PATTERN).struct.rename_fields(list(NAMES)).alias("fields")
    requests = lines.filter(line.str.ends_with('"')).select(fields).unnest("fields")
    requests = requests.filter(pl.col("status").is_not_null() & ~pl.col("minute").str.starts_with(NO_DATE))
    sent = pl.col("bytes").cast(pl.Int64, strict=False).sum()
    groups = requests.group_by("minute", "status").agg(pl.len().alias("n"), sent)
    paths = requests.group_by("path").agg(pl.len().alias("n")).sort("n", "path", descending=[True, False]).head(FIRST)
    found = pl.collect_all([groups, paths], engine="streaming")
    watch.tell()
    save(found[0].iter_rows(), found[1].iter_rows())


if __name__ == "__main__":
    main()
