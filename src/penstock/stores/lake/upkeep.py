"""Keeping tables quick to read: fewer and larger files, in a good order, and none that nobody needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from penstock.core.errors import ConfigurationError
from penstock.stores.lake.delta import Table
from penstock.stores.lake.pipes import tries
from penstock.stores.lake.rewriting import TARGET_BYTES, Compacted, rewrite

_LOG = re.compile(r"/(\d{20})\.(json|checkpoint\.parquet)$")
_SMALL = 32 * 1024 * 1024


def compact_small(table: Table) -> None:
    """Make one file of small ones; the work is bounded, and left undone where somebody else changes the table."""
    rewrite(table, _SMALL)


def compact(table: Table, target_bytes: int | None, z_order: Sequence[str]) -> Compacted:
    """Make files of about `target_bytes`; with `z_order`, rows that are near in these columns lie together."""
    unknown = [name for name in z_order if name not in table.schema.names]
    if unknown:
        raise ConfigurationError(
            f"{table.path} has no column {', '.join(map(repr, unknown))} to put its rows in order by.",
            hint=f"it has {', '.join(map(repr, table.schema.names))}",
        )
    for _ in tries(f"The table {table.path}"):
        done = rewrite(table, target_bytes or TARGET_BYTES, z_order)
        if done is not None:
            return done
    raise AssertionError  # `tries` ends with an error


def trim(table: Table, keep: int) -> int:
    """Delete the logs of old versions, so that looking for the latest one costs the same however many there were.

    A checkpoint says all that the logs before it say; those after the chosen one stay, and can be read as they were.

    Returns:
        How many files of the log were deleted.
    """
    logs = [(found, path) for path in table.storage.names(f"{table.path}/_delta_log") if (found := _LOG.search(path))]
    checkpoints = [int(found[1]) for found, _ in logs if found[2] == "checkpoint.parquet"]
    needed = max((version for version in checkpoints if version <= table.version - keep), default=0)
    old = sorted(path for found, path in logs if int(found[1]) < needed)
    table.storage.remove(old)
    return len(old)


def vacuum(table: Table, keep: timedelta, dry_run: bool, force: bool) -> list[str]:
    """Delete files that no version younger than `keep` needs."""
    least = table.kept_for
    if keep < least and not force:
        raise ConfigurationError(
            f"Files of {table.path} that were given up less than {least} ago may still be read by somebody, or belong "
            f"to a commit that is under way; keep={keep} would delete them.",
            hint="keep them longer; or, where nobody reads or writes the table now, say force=True",
        )
    hours = int(keep.total_seconds() // 3600)
    with table.storage.failing(table.path):
        found: list[str] = table.delta.vacuum(
            retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True
        )
    return sorted(found)
