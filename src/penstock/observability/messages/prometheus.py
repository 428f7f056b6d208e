"""Alerts for Prometheus' Alertmanager (API version 2)."""

from __future__ import annotations

from typing import Any

from penstock.core.model import Alert
from penstock.observability.messages.parts import line, message, rows, safe_link, title, when

HOLD_SECONDS = 86_400.0
_OF_GROUP = ("flow", "deployment", "task", "dataset", "about")


def alertmanager(alert: Alert, link: str | None = None, hold_seconds: float = HOLD_SECONDS) -> list[dict[str, Any]]:
    """The body of `POST /api/v2/alerts`. Its labels are the same whenever the same thing is told of the same flow.

    Args:
        alert: what is told; one that resolves others ends theirs.
        link: a page about it.
        hold_seconds: one that nothing ends is over after so long.
    """
    known = dict(rows(alert))
    name = line(alert.resolves, 200) if alert.resolves is not None else known["automation"]
    labels = {"alertname": name, "severity": alert.level, "service": "penstock"}
    labels |= {name: known[name] for name in _OF_GROUP if known.get(name)}
    annotations = {"summary": title(alert, 200), "description": message(alert, 5000)}
    annotations |= {name.replace(" ", "_"): known[name] for name in ("run", "run id", "state") if known.get(name)}
    ends = when(alert) if alert.resolves is not None else when(alert, hold_seconds)
    made: dict[str, Any] = {"labels": labels, "annotations": annotations, "startsAt": when(alert), "endsAt": ends}
    page = safe_link(link)
    return [{**made, "generatorURL": page}] if page else [made]
