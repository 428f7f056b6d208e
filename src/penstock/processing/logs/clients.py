"""Who asks: people, robots that say so, and scanners that look for a way in."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.anomalies import Anomaly, moment
from penstock.processing.logs.extras import Frame, pl

_ROBOTS = (
    r"(?i)bot\b|bot/|crawl|spider|slurp|archiver|monitor|feed|fetch|scrap|curl/|wget/|python|java/|go-http|okhttp|"
    r"libwww|headless|httpclient|facebookexternal|preview|scan"
)
_FEWEST, _SHARE = 50, 0.5


def robots(agents: Frame) -> Frame:
    """The agents that say they are robots."""
    return agents.filter(pl.col("agent").str.contains(_ROBOTS))


def scanners(clients: Frame) -> Frame:
    """Clients most of whose many requests were refused (4xx)."""
    many = (pl.col("n") >= _FEWEST) & (pl.col("refused") >= _SHARE * pl.col("n"))
    return clients.filter(many).sort("refused", "client", descending=[True, False])


def scans(found: Frame) -> list[Anomaly]:
    """The visits of scanners, as anomalies."""
    return [_scan(row) for row in found.iter_rows(named=True)]


def _scan(row: dict[str, Any]) -> Anomaly:
    share = row["refused"] / row["n"]
    return Anomaly(
        "scanner",
        moment(row["first"] // 60),
        moment(row["last"] // 60 + 1),
        round(row["refused"] / max(row["n"] - row["refused"], 1), 1),
        share,
        0.0,
        f"{row['client']} sent {row['n']:,} requests, and {row['refused']:,} of them were refused (4xx)",
    )


def unexplained(anomalies: list[Anomaly], found: Frame) -> list[Anomaly]:
    """Anomalies without the spikes that are mostly the requests of scanners, which are told by themselves."""
    visits = [(_scan(row), row["n"]) for row in found.iter_rows(named=True)]
    kept = []
    for each in anomalies:
        more = (each.value - each.usual) * (each.end - each.start).total_seconds() / 60
        asked = sum(count for visit, count in visits if visit.start < each.end and each.start < visit.end)
        if each.kind != "spike" or asked < more / 2:
            kept.append(each)
    return kept
