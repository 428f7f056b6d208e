"""A whole pipeline: fetch with retries, clean, reduce, write, report."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from facts import fact
from prefect import flow, get_run_logger, tags, task
from prefect.futures import wait
from prefect.runtime import task_run

LEDGER = {
    1: '[{"id": 1, "shop": "north", "sum": "4.50"}, {"id": 2, "shop": "south", "sum": "x"}]',
    2: '[{"id": 3, "shop": "north", "sum": "1.25"}]',
    3: "[]",
}
asked: Counter[int] = Counter()


@task(retries=3, retry_delay_seconds=[0.01, 0.02], tags=["ledger"], task_run_name="page-{number}")
def fetch_page(number: int) -> list[dict]:
    """Every second request fails."""
    asked[number] += 1
    if asked[number] % 2:
        raise ConnectionError(f"page {number}, try {task_run.run_count}")
    return json.loads(LEDGER[number])


@task
def clean(rows: list[dict]) -> list[dict]:
    """Drop what is no number."""
    kept = []
    for row in rows:
        try:
            kept.append({**row, "sum": float(row["sum"])})
        except ValueError:
            get_run_logger().warning("dropped row %s", row["id"])
    return kept


@task
def totals(batches: list[list[dict]]) -> dict[str, float]:
    """Add up by shop."""
    found: dict[str, float] = {}
    for row in (row for batch in batches for row in batch):
        found[row["shop"]] = found.get(row["shop"], 0.0) + row["sum"]
    return found


@task
def write(found: dict[str, float], path: Path) -> int:
    """Write a CSV file; say how many lines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["shop", "total"])
    writer.writerows(sorted(found.items()))
    path.write_text(text.getvalue())
    return len(found) + 1


@flow(name="shop-totals", log_prints=True)
def shop_totals(pages: int, folder: Path) -> dict:
    """The pipeline."""
    fetched = fetch_page.map(range(1, pages + 1))
    cleaned = clean.map(fetched)
    found = totals(cleaned)
    written = write.submit(found, folder / "totals.csv")
    wait([written])
    print(f"wrote {written.result()} lines")
    return {"lines": written.result(), "totals": found}


if __name__ == "__main__":
    with TemporaryDirectory() as folder, tags("test"):
        fact("result", shop_totals(3, folder))
        fact("file", (Path(folder) / "totals.csv").read_text())
    fact("requests", {str(page): count for page, count in sorted(asked.items())})
