"""What was counted so far, as bytes that are kept in a journal and read again."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import msgspec

from penstock.core.errors import SourceChanged
from penstock.processing.logs.access_counts import Totals
from penstock.processing.logs.extras import pa, pl
from penstock.processing.logs.latency import Latency
from penstock.processing.logs.report import LogReport, Malformed
from penstock.processing.logs.tally import Tally, compact
from penstock.processing.logs.templates import Templates
from penstock.processing.logs.text_counts import TextTotals

_VERSION = 2
_FACTS = (
    "files",
    "formats",
    "bytes_read",
    "seconds",
    "lines",
    "parsed",
    "malformed",
    "skipped",
    "problems",
    "lines_of",
)
_TALLIES = {
    True: ("addresses", "names", "paths", "agents", "referrers", "minutes"),
    False: ("minutes", "components"),
}


def packed(report: LogReport, totals: Totals | TextTotals | None, more: dict[str, Any]) -> bytes:
    """All of it.

    Args:
        report: its accounts of lines; the rest is told from the totals.
        totals: what was counted; None where nothing was.
        more: what else is to be kept; JSON.
    """
    told: dict[str, Any] = {"version": _VERSION, "more": more}
    told["report"] = {name: getattr(report, name) for name in _FACTS}
    told["samples"] = [asdict(each) for each in report.samples]
    if totals is not None:
        told["totals"] = _packed_totals(totals)
    return msgspec.msgpack.encode(told)


def unpacked(data: bytes) -> tuple[LogReport, Totals | TextTotals | None, dict[str, Any]]:
    """The reverse of `packed`.

    Raises:
        SourceChanged: another version of Penstock has written it.
    """
    told = msgspec.msgpack.decode(data)
    if told.get("version") != _VERSION:
        raise SourceChanged("What was counted so far was kept by another version.", hint="begin anew: --restart")
    report = LogReport(**told["report"])
    report.samples = [Malformed(**each) for each in told["samples"]]
    return report, _unpacked_totals(told["totals"]) if "totals" in told else None, told["more"]


def _packed_totals(totals: Totals | TextTotals) -> dict[str, Any]:
    is_access = isinstance(totals, Totals)
    told: dict[str, Any] = {
        "access": is_access,
        "first": totals.first,
        "last": totals.last,
        "tallies": {name: _packed_tally(getattr(totals, name)) for name in _TALLIES[is_access]},
    }
    if isinstance(totals, Totals):
        told |= {"methods": dict(totals.methods), "protocols": dict(totals.protocols)}
        told["latency"] = totals.latency.to_dict()
    else:
        told["templates"] = totals.templates.to_dict()
    return told


def _unpacked_totals(told: dict[str, Any]) -> Totals | TextTotals:
    totals: Totals | TextTotals = Totals() if told["access"] else TextTotals()
    totals.first, totals.last = told["first"], told["last"]
    for name, tally in told["tallies"].items():
        _fill(getattr(totals, name), tally)
    if isinstance(totals, Totals):
        totals.methods, totals.protocols = Counter(told["methods"]), Counter(told["protocols"])
        totals.latency = Latency.of(told["latency"])
    else:
        totals.templates = Templates.of(told["templates"])
    return totals


def _packed_tally(tally: Tally) -> dict[str, Any]:
    frame = tally.frame()
    told = {"forgotten": tally.forgotten, "lost": dict(tally.lost), "seen": tally.seen}
    if frame is None:
        return told
    sink, table = pa.BufferOutputStream(), compact(frame)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return {**told, "table": sink.getvalue().to_pybytes()}


def _fill(tally: Tally, told: dict[str, Any]) -> None:
    tally.forgotten, tally.lost, tally.seen = told["forgotten"], Counter(told["lost"]), told["seen"]
    if "table" in told:
        with pa.ipc.open_stream(told["table"]) as reader:
            tally.add(compact(pl.from_arrow(reader.read_all())))
