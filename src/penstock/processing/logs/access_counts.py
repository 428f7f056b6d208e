"""What is counted of an access log: each block by itself, and then all of them together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from penstock.processing.logs import access
from penstock.processing.logs.access_blocks import Parsed, Reader, Rows
from penstock.processing.logs.access_words import words_of
from penstock.processing.logs.addresses import numbers_of_texts
from penstock.processing.logs.blocks import Block
from penstock.processing.logs.extras import Array, Frame, np, pl
from penstock.processing.logs.latency import Latency
from penstock.processing.logs.tally import MOST_KEYS, Tally, compact
from penstock.processing.logs.views import column_of, views_of
from penstock.processing.logs.visits import Clients, Visits, visits_of

_SHIFT = 21
_LOW = (1 << _SHIFT) - 1
_MOST_BINS = 1 << 22
_TEXTS = ("path", "referrer", "agent")


@dataclass
class Part:
    """What was counted of a block; compact tables."""

    lines: int
    blank: int
    malformed: list[tuple[int, bytes]]
    good: int
    tables: dict[str, Any] = field(default_factory=dict)
    methods: Counter[str] = field(default_factory=Counter)
    protocols: Counter[str] = field(default_factory=Counter)
    latency: Latency = field(default_factory=Latency)
    first: int | None = None
    last: int | None = None


def count_block(block: Block, reader: Reader) -> Part:
    """Read a block, and count what is in it."""
    part = _counted(block, reader.read(block))
    return part if part is not None else _sure(_counted(block, reader.read(block, careful=True)))


def _sure(part: Part | None) -> Part:
    assert part is not None
    return part


def _counted(block: Block, parsed: Parsed) -> Part | None:
    """None where a client has a blank in it, so that the block is to be read with more care."""
    part = Part(parsed.lines, parsed.blank, parsed.malformed, parsed.good)
    if not parsed.good:
        return part
    numbers = _numbers_of(parsed)
    shares = _shares(numbers)
    visits = _visits(block, parsed, shares.with_columns(at=numbers["at"]))
    if "names" in visits and visits["names"]["client"].bin.contains(b" ").any():
        return None
    frame = _frame_of(block, parsed, shares, numbers["taken"])
    paths, agents, referrers = pl.collect_all(_queries(frame, numbers["taken"] is not None))
    part.first, part.last = int(numbers["at"].min()), int(numbers["at"].max())
    part.tables = {
        **{name: compact(_unpacked(table)) for name, table in visits.items()},
        "paths": compact(_unpacked(paths)),
        "agents": compact(_unpacked(agents.drop_nulls("agent"))),
        "referrers": compact(_unpacked(referrers.drop_nulls("referrer"))),
        "minutes": compact(_minutes(numbers)),
    }
    for code, count in enumerate(np.bincount(numbers["method"]).tolist()):
        if count:
            part.methods[access.METHODS[code].decode() or "other"] += count
    for version, count in enumerate(np.bincount(numbers["protocol"]).tolist()):
        if count:
            part.protocols[f"HTTP/{version / 10:.1f}" if version else "none"] += count
    if numbers["taken"] is not None:
        part.latency.add(numbers["taken"])
    return part


def _numbers_of(parsed: Parsed) -> dict[str, Array]:
    """The columns of numbers, of lines that were read at once and of those that were read alone."""
    alone = [entry for _, entry in parsed.entries]
    found: dict[str, list[Array]] = {name: [] for name in ("at", "status", "size", "method", "protocol", "taken")}
    for rows in parsed.rows:
        found["at"].append(rows.minute * 60 + rows.second)
        found["status"].append(rows.status)
        found["size"].append(rows.size)
        found["method"].append(rows.method)
        found["protocol"].append(rows.protocol)
    if alone:
        found["at"].append(np.array([entry.at for entry in alone], np.int64))
        found["status"].append(np.array([entry.status for entry in alone], np.int16))
        found["size"].append(np.array([entry.size for entry in alone], np.int64))
        found["method"].append(np.array([entry.method for entry in alone], np.uint8))
        found["protocol"].append(np.array([entry.protocol for entry in alone], np.int16))
    numbers = {name: each[0] if len(each) == 1 else np.concatenate(each) for name, each in found.items() if each}
    numbers["taken"] = _taken(parsed.rows, alone)
    return numbers


def _taken(rows: list[Rows], alone: list[access.Entry]) -> Array | None:
    if all(each.taken is None for each in rows) and all(entry.taken is None for entry in alone):
        return None
    parts = [each.taken if each.taken is not None else np.full(len(each.line), np.nan) for each in rows]
    parts.append(np.array([np.nan if entry.taken is None else entry.taken for entry in alone], np.float64))
    return np.concatenate(parts)


def _shares(numbers: dict[str, Array]) -> Frame:
    """Of each request what is added up: itself, and whether it was refused or failed, as one number; and bytes."""
    shares = np.ones(1000, np.int64)
    shares[400:500] += 1 << _SHIFT
    shares[500:] += 1 << (2 * _SHIFT)
    return pl.DataFrame({"packed": shares[numbers["status"]], "bytes": np.maximum(numbers["size"], 0)})


def _visits(block: Block, parsed: Parsed, requests: Frame) -> dict[str, Frame]:
    """Visits of clients with a number, and of those with another name, where there are any."""
    found = [(rows.number, rows.numbered) for rows in parsed.rows]
    alone = [entry.client for _, entry in parsed.entries]
    if alone:
        found.append(numbers_of_texts(alone))
    numbers, there = (np.concatenate(each) for each in zip(*found, strict=True))
    addressed = requests.with_columns(number=numbers)
    if there.all():
        return {"addresses": visits_of(addressed, "number")}
    words = words_of(block.data)
    views = [views_of(words, rows.bounds[0], rows.bounds[1]) for rows in parsed.rows]
    clients = [column_of(block, each, len(each)).alias("client") for each in views]
    texts = pl.concat([*clients, pl.Series("client", alone, dtype=pl.Binary)])
    named = visits_of(requests.with_columns(client=texts).filter(~there), "client")
    return (
        {"addresses": visits_of(addressed.filter(there), "number"), "names": named} if there.any() else {"names": named}
    )


def _frame_of(block: Block, parsed: Parsed, shares: Frame, taken: Array | None) -> Frame:
    texts = [
        pl.DataFrame({name: column_of(block, getattr(rows, name), len(rows.line)) for name in _TEXTS})
        for rows in parsed.rows
    ]
    if parsed.entries:
        columns = {name: [getattr(entry, name) for _, entry in parsed.entries] for name in _TEXTS}
        texts.append(pl.DataFrame(columns, schema=dict.fromkeys(_TEXTS, pl.Binary)))
    frame = (pl.concat(texts) if len(texts) > 1 else texts[0]).hstack(shares)
    if taken is None:
        return frame
    return frame.with_columns(taken=micros(taken), timed=(~np.isnan(taken)).astype(np.int64))


def _queries(frame: Frame, timed: bool) -> list[Any]:
    lazy = frame.lazy()
    long = [pl.col("taken", "timed").sum(), pl.col("taken").max().alias("longest")] if timed else []
    none = [pl.lit(0, pl.Int64).alias(name) for name in ("taken", "timed", "longest")]
    paths = lazy.group_by("path").agg(pl.col("packed", "bytes").sum(), *long)
    return [
        paths if timed else paths.with_columns(none),
        lazy.group_by("agent").agg(pl.col("packed").sum()),
        lazy.group_by("referrer").agg(pl.col("packed").sum()),
    ]


def _unpacked(frame: Frame) -> Frame:
    """`packed` as the three numbers that are in it."""
    packed = pl.Series(frame["packed"]).to_numpy()
    low = np.int64(_LOW)
    return frame.drop("packed").with_columns(
        n=pl.Series(packed & low),
        refused=pl.Series((packed >> _SHIFT) & low),
        failed=pl.Series(packed >> (2 * _SHIFT)),
    )


def micros(seconds: Array) -> Array:
    """Whole microseconds, whose sum is the same in any order; 0 for what is not a number."""
    whole = np.rint(np.nan_to_num(seconds) * 1e6)
    return whole.astype(np.int64)


def _minutes(numbers: dict[str, Array]) -> Frame:
    """Requests, bytes and microseconds by minute and status."""
    minute = numbers["at"] // 60
    codes, minutes = _coded(minute)
    there = np.flatnonzero(np.bincount(numbers["status"], minlength=1000))
    place = np.zeros(1000, np.int64)
    place[there] = np.arange(len(there))
    key, bins = codes * len(there) + place[numbers["status"]], len(minutes) * len(there)
    if bins > _MOST_BINS:
        values, key = np.unique(key, return_inverse=True)
        bins = len(values)
    else:
        values = np.arange(bins)
    counts = np.bincount(key, minlength=bins)
    sent = np.bincount(key, np.maximum(numbers["size"], 0), minlength=bins)
    taken = numbers["taken"]
    known = np.zeros(bins) if taken is None else np.bincount(key, micros(taken), minlength=bins)
    timed = np.zeros(bins) if taken is None else np.bincount(key, ~np.isnan(taken), minlength=bins)
    used = np.flatnonzero(counts)
    values = values[used]
    return pl.DataFrame(
        {
            "minute": minutes[values // len(there)],
            "status": there[values % len(there)],
            "n": counts[used],
            "bytes": sent[used].astype(np.int64),
            "taken": known[used].astype(np.int64),
            "timed": timed[used].astype(np.int64),
        }
    )


def _coded(values: Array) -> tuple[Array, Array]:
    """A small number for each value, and the values; quick where few of them change from row to row."""
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = np.concatenate([np.zeros(1, np.int64), edges])
    found, places = np.unique(values[edges], return_inverse=True)
    return np.repeat(places, np.diff(edges, append=len(values))), found


class Totals:
    """Everything that was counted of the blocks so far."""

    def __init__(self) -> None:
        shares = {"n": "sum", "refused": "sum", "failed": "sum"}
        self.addresses = Visits({**shares, "bytes": "sum"}, key="number", most=MOST_KEYS)
        self.names = Visits({**shares, "bytes": "sum"}, most=MOST_KEYS)
        self.clients = Clients(self.addresses, self.names)
        timing = {"taken": "sum", "timed": "sum", "longest": "max"}
        self.paths = Tally(["path"], {**shares, "bytes": "sum", **timing}, most=MOST_KEYS)
        self.agents = Tally(["agent"], shares, most=MOST_KEYS)
        self.referrers = Tally(["referrer"], shares, most=MOST_KEYS)
        sums = dict.fromkeys(("n", "bytes", "taken", "timed"), "sum")
        self.minutes = Tally(["minute", "status"], sums, most=None)
        self.methods: Counter[str] = Counter()
        self.protocols: Counter[str] = Counter()
        self.latency = Latency()
        self.first: int | None = None
        self.last: int | None = None

    def add(self, part: Part) -> None:
        """Take a block in."""
        for name, table in part.tables.items():
            getattr(self, name).add(table)
        self.methods += part.methods
        self.protocols += part.protocols
        self.latency.merge(part.latency)
        if part.first is not None and part.last is not None:
            self.first = part.first if self.first is None else min(self.first, part.first)
            self.last = part.last if self.last is None else max(self.last, part.last)
