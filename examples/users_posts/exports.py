"""Rows to CSV files. A file appears whole or not at all, and the same rows always make the same bytes."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from shapes import EnrichedPost, Metric, TopAuthor, User, UserStats

from penstock import get_run_logger, runtime, task

COLUMNS = {
    name: list(get_type_hints(shape))
    for name, shape in {
        "users.csv": User,
        "posts_enriched.csv": EnrichedPost,
        "user_stats.csv": UserStats,
        "top_authors.csv": TopAuthor,
        "summary.csv": Metric,
    }.items()
}

# A spreadsheet runs a cell that begins like this as a formula. A phone number (+49 30 1234) is none.
FORMULA = re.compile(r"[=@\uff0b\uff0d\uff1d\uff20]|[+-](?![\d\s().-]*$)")


class NotWritable(Exception):
    """The files cannot be written there."""


@task(tags=["exports"])
def prepare_folder(output_dir: Path) -> str:
    """Make the folder, before anything is fetched; its full path, so that a resume from elsewhere writes there too."""
    folder = output_dir.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError as error:
        raise NotWritable(
            f"{folder} cannot be written: {error.strerror}. Make it writable, or give another output_dir."
        ) from None


@task(tags=["exports"], task_run_name="write {name}")
def write_csv(folder: str, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write one of the files, and give its path.

    It is written aside under a name of this run's own, then moved into place. So runs that share a folder do not mix,
    and a run that was killed here tidies up when it is resumed.
    """
    path = Path(folder, name)
    aside = path.with_name(f".{name}.{runtime.flow_run.id}.part")
    try:
        aside.unlink(missing_ok=True)
        with open(aside, "x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS[name])
            writer.writerows([safe(row[column]) for column in COLUMNS[name]] for row in rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        aside.unlink(missing_ok=True)
    get_run_logger().info("wrote %d rows to %s", len(rows), path)
    return str(path)


def safe(cell: Any) -> Any:
    """The cell, with an apostrophe before text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell
