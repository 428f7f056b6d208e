"""Results that were never measured, for tests of what is made of results."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.topics import TOPICS

MACHINE = {
    "cores": 2,
    "processor": "P",
    "memory_gib": 8,
    "system": "Linux",
    "kernel": "6",
    "filesystem": "ext4",
    "python": "3.12.1",
    "load_at_start": 0.1,
}


def row(name: str, size: int = 1, **metrics: float) -> dict[str, Any]:
    values = {key: {"median": v, "min": v, "max": v, "values": [v]} for key, v in metrics.items()}
    about = {"contender": name, "label": name.title(), "floor": name.startswith("floor"), "bare": "floor"}
    return {**about, "size": size, "remark": "", "metrics": values, "ratio_to_penstock": None}


def result(topic: str, *rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    about = {"date": "2026-01-01", "machine": MACHINE, "versions": {}, "rounds": 1, "quick": False}
    kept = {
        "topic": topic,
        "primary": TOPICS[topic].primary,
        "rows": list(rows),
        "notes": {},
        "exceptions": [],
    }
    return {topic: {**about, **kept, "preparing_seconds": {}}}
