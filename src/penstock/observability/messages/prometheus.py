"""Alerts for Prometheus' Alertmanager (API version 2)."""

from __future__ import annotations

from typing import Any

from penstock.core.model import Alert
from penstock.observability.messages.parts import message, rows, safe_link, title, when

_OF_GROUP = ("flow", "deployment", "task", "dataset", "about")


def alertmanager(alert: Alert, link: str | None = None) -> list[dict[str, Any]]:
    """The body of `POST /api/v2/alerts`. Its labels are the same whenever the same thing is told of the same flow.

    Args:
        alert: what is told.
        link: a page about it.
    """
    known = dict(rows(alert))
    labels = {"alertname": known["automation"], "severity": alert.level, "service": "penstock"}
    labels |= {name: known[name] for name in _OF_GROUP if known.get(name)}
    annotations = {"summary": title(alert, 200), "description": message(alert, 5000)}
    annotations |= {name.replace(" ", "_"): known[name] for name in ("run", "run id", "state") if known.get(name)}
    made: dict[str, Any] = {"labels": labels, "annotations": annotations, "startsAt": when(alert)}
    page = safe_link(link)
    return [{**made, "generatorURL": page}] if page else [made]
