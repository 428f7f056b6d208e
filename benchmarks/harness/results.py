"""The results as they are kept: one JSON file for each topic and day."""

import json
import statistics
from pathlib import Path
from typing import Any

from harness.contenders import BENCHMARKS
from harness.rounds import Table
from harness.session import Session
from harness.topics import TOPICS

FOLDER = BENCHMARKS / "results"
Result = dict[str, Any]


def result_of(table: Table, session: Session, about: dict[str, Any]) -> Result:
    """Return a topic's table with all that is needed to judge it."""
    found: Result = {
        "topic": table.topic.name,
        "primary": table.topic.primary,
        **about,
        "rounds": min(session.rounds, table.topic.most_rounds),
        "quick": session.quick,
        "rows": [_with_ratio(row.as_json(), table) for row in table.rows],
        "notes": {row.contender.label: row.contender.note(table.topic.name) for row in table.rows},
        "exceptions": table.exceptions,
    }
    if table.topic.name == "hello":
        found["preparing_seconds"] = {row.contender.name: session.prepared[row.contender.name] for row in table.rows}
    if "postgres" in table.topic.needs or any(row.contender.uses_postgres for row in table.rows):
        found["postgres"] = session.postgres_server
    return found


def _with_ratio(row: Result, table: Table) -> Result:
    primary = table.topic.primary
    own = [r for r in table.rows if r.contender.name == table.topic.reference]
    own = [r for r in own if r.size == row["size"]] or (own if table.topic.rated else [])
    base = own[0].median(primary) if own else 0
    return {**row, "ratio_to_penstock": row["metrics"][primary]["median"] / base if base else None}


def base_row(result: Result, size: int) -> Result | None:
    """Return the row that those of a size are compared with."""
    topic = TOPICS[result["topic"]]
    return row_of(result, topic.reference, size) or (row_of(result, topic.reference) if topic.rated else None)


def save(result: Result, folder: Path = FOLDER) -> Path:
    """Write a result, over one of the same topic and day."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['date']}-{result['topic']}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def newest(folder: Path = FOLDER) -> dict[str, Result]:
    """Return the newest result of each topic."""
    found: dict[str, Result] = {}
    for path in sorted(folder.glob("*.json")):
        result: Result = json.loads(path.read_text(encoding="utf-8"))
        found[result["topic"]] = result
    return found


def row_of(result: Result | None, contender: str, size: int | None = None) -> Result | None:
    """Return a contender's row, or None where there is none."""
    rows = result["rows"] if result else []
    matching = [row for row in rows if row["contender"] == contender and size in (None, row["size"])]
    return matching[0] if matching else None


def middle_half(row: Result | None, metric: str) -> tuple[float, float] | None:
    """Return the quartiles that half of the values of a metric lie between."""
    if row is None or metric not in row["metrics"]:
        return None
    values = row["metrics"][metric]["values"]
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def median(row: Result | None, metric: str) -> float | None:
    """Return the median of a metric, or None where it was not measured."""
    if row is None or metric not in row["metrics"]:
        return None
    return float(row["metrics"][metric]["median"])
