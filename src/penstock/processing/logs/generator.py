"""Access logs that never were: seeded traffic as a shop has it, with anomalies and malformed lines that are known."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from penstock.core.errors import BadData
from penstock.processing.logs.extras import Array, np, pl
from penstock.processing.logs.generator_pools import BROKEN, LINE_BYTES, Pools

KINDS = ("spike", "drop", "errors", "scanner", "bytes", "slow")
_CHUNK = 200_000
_SLOT = 90
_EDGE = 60
_STATUSES = (200, 304, 301, 302, 404, 403, 500, 503)
_SHARES = (0.9, 0.03, 0.015, 0.01, 0.032, 0.008, 0.003, 0.002)


@dataclass(frozen=True)
class Traffic:
    """What a log is to hold.

    Attributes:
        lines: how many requests, about.
        days: over how long.
        seed: the same seed, the same log.
        start: its first minute (UTC).
        anomalies: how many are planted; one in 90 minutes at most.
        malformed: how many lines mean nothing.
        clients: how many there are.
        timed: each line says how long the request took.
    """

    lines: int = 100_000
    days: float = 1.0
    seed: int = 0
    start: datetime.datetime = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
    anomalies: int = 6
    malformed: int = 10
    clients: int = 20_000
    timed: bool = False

    @staticmethod
    def lines_in(size: int) -> int:
        """How many lines fit into so many bytes, about."""
        return max(size // LINE_BYTES, 1)


@dataclass(frozen=True)
class _Planted:
    """An anomaly, in minutes from the start of the log."""

    kind: str
    start: int
    end: int
    strength: float
    client: str = ""


def generate(
    path: str | Path, traffic: Traffic | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Write a log, and beside it (`.planted.json`) what was planted in it.

    Args:
        path: where the log goes.
        traffic: what it is to hold.
        on_progress: is told the lines that have been written, and how many there will be.

    Returns:
        What was planted.

    Raises:
        BadData: there is no room for so many anomalies.
    """
    traffic = traffic or Traffic()
    maker = _Maker(traffic)
    with open(path, "wb") as file:
        for written in maker.write(file):
            if on_progress is not None:
                on_progress(written, maker.total)
    told = {
        "traffic": {**asdict(traffic), "start": traffic.start.isoformat()},
        "lines": maker.total,
        "malformed": maker.malformed_lines,
        "anomalies": [maker.told(each) for each in maker.planted],
    }
    Path(f"{path}.planted.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


class _Maker:
    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._rng = np.random.default_rng([traffic.seed, 0])
        self._pools = Pools(self._rng, traffic.clients)
        self._minutes = max(int(traffic.days * 1440), 1)
        self._begin = int(traffic.start.timestamp()) // 60
        self.planted = self._plan()
        self._counts = self._rng.poisson(self._expected())
        self._probes = self._probing()
        good = int(self._counts.sum()) + sum(len(times) for times, _ in self._probes)
        self._broken = np.sort(self._rng.integers(0, good + 1, traffic.malformed))
        self.total = good + traffic.malformed
        self.malformed_lines: list[int] = []

    def _plan(self) -> list[_Planted]:
        """Anomalies, one in each of as many slots of time as there are anomalies."""
        wanted = self._traffic.anomalies
        if not wanted:
            return []
        room = self._minutes - 2 * _EDGE
        if room < wanted * _SLOT:
            raise BadData(
                f"{wanted} anomalies do not fit into {self._minutes} minutes.",
                hint=f"give each {_SLOT} minutes, and {2 * _EDGE} more: fewer anomalies, or more days",
            )
        kinds = KINDS if self._traffic.timed else KINDS[:-1]
        planted = []
        for number in range(wanted):
            kind = kinds[number % len(kinds)]
            lasts = int(self._rng.integers(5, 16))
            first = _EDGE + number * (room // wanted)
            start = int(self._rng.integers(first, first + room // wanted - lasts - 30))
            strength = float(self._rng.random())
            client = self._pools.scanner(number) if kind == "scanner" else ""
            planted.append(_Planted(kind, start, start + lasts, strength, client))
        return planted

    def told(self, each: _Planted) -> dict[str, Any]:
        """An anomaly, for the file."""
        start, end = (
            (self._traffic.start + datetime.timedelta(minutes=minute)).isoformat() for minute in (each.start, each.end)
        )
        return {"kind": each.kind, "start": start, "end": end, **({"client": each.client} if each.client else {})}

    def _expected(self) -> Array:
        """Requests in each minute: a wave a day long, with spikes and drops."""
        phase = (np.arange(self._minutes) + self._begin % 1440) / 1440.0
        wave = 1 + 0.5 * np.sin(2 * np.pi * (phase - 0.3))
        for each in self.planted:
            if each.kind == "spike":
                wave[each.start : each.end] *= 3 + 3 * each.strength
            elif each.kind == "drop":
                wave[each.start : each.end] *= 0.15 * each.strength
        return wave * (self._traffic.lines / wave.sum())

    def _probing(self) -> list[tuple[Array, str]]:
        """When scanners ask, in seconds from the start, and who they are."""
        found = []
        for each in self.planted:
            if each.kind == "scanner":
                usual = int(self._counts[each.start : each.end].sum())
                many = max(int(usual * (0.05 + 0.1 * each.strength)), 120)
                found.append((self._rng.integers(each.start * 60, each.end * 60, many), each.client))
        return found

    def write(self, file: BinaryIO) -> Iterator[int]:
        """Write the log; the lines written so far, after each chunk."""
        ends = np.cumsum(self._counts)
        first = written = good = number = 0
        while first < self._minutes:
            before = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, before + _CHUNK)), first + 1)
            last = min(last, self._minutes)
            number += 1
            frame = self._chunk(number, first, last)
            here = self._broken[(self._broken >= good) & (self._broken < good + len(frame))] - good
            if last == self._minutes:
                here = self._broken[self._broken >= good] - good
            self._put(file, frame, here.tolist(), written)
            good += len(frame)
            written += len(frame) + len(here)
            first = last
            yield written

    def _put(self, file: BinaryIO, frame: Any, places: list[int], written: int) -> None:
        """Lines, with malformed ones between them."""
        done = 0
        for count, place in enumerate(places):
            self._rows(file, frame.slice(done, place - done))
            file.write(BROKEN[(written + place) % len(BROKEN)] + b"\n")
            self.malformed_lines.append(written + place + count + 1)
            done = place
        self._rows(file, frame.slice(done))

    def _rows(self, file: BinaryIO, frame: Any) -> None:
        if len(frame):
            frame.write_csv(
                file, include_header=False, separator=" ", quote_style="never", null_value="-", float_precision=3
            )

    def _chunk(self, number: int, first: int, last: int) -> Any:
        """The lines of some minutes, as a frame whose columns are joined by blanks."""
        rng = np.random.default_rng([self._traffic.seed, number])
        minute = np.repeat(np.arange(first, last), self._counts[first:last])
        count = len(minute)
        at = np.sort(minute * 60 + rng.integers(0, 60, count))
        pools = self._pools
        client = pools.some_clients(rng, count)
        agent = pools.agent_of[client]
        request = pools.some_requests(rng, count)
        referrer = pools.some_referrers(rng, count)
        status = np.array(_STATUSES, np.int64)[np.searchsorted(np.cumsum(_SHARES)[:-1], rng.random(count))]
        size = pools.size_of[request] + rng.integers(0, 200, count)
        taken = rng.lognormal(-3.0, 0.6, count) if self._traffic.timed else None
        self._disturb(rng, at // 60, status, size, taken)
        columns = [at, client, agent, request, referrer, status, size, *([taken] if taken is not None else [])]
        for times, who in self._probes:
            here = times[(times >= first * 60) & (times < last * 60)]
            if len(here):
                probes = pools.probes(rng, len(here), who)
                added = [here, *probes, *([rng.lognormal(-3.0, 0.6, len(here))] if taken is not None else [])]
                columns = [np.concatenate(pair) for pair in zip(columns, added, strict=True)]
                order = np.argsort(columns[0], kind="stable")
                columns = [column[order] for column in columns]
        return self._framed(columns)

    def _disturb(self, rng: Any, minute: Array, status: Array, size: Array, taken: Array | None) -> None:
        for each in self.planted:
            rows = slice(*np.searchsorted(minute, [each.start, each.end]).tolist())
            count = rows.stop - rows.start
            if not count:
                continue
            if each.kind == "errors":
                hit = rng.random(count) < 0.3 + 0.4 * each.strength
                status[rows][hit] = np.where(rng.random(int(hit.sum())) < 0.5, 500, 503)
            elif each.kind == "bytes":
                size[rows] *= int(10 + 20 * each.strength)
            elif each.kind == "slow" and taken is not None:
                taken[rows] *= 5 + 5 * each.strength

    def _framed(self, columns: list[Array]) -> Any:
        at, client, agent, request, referrer, status, size, *taken = columns
        pools = self._pools
        first = int(at[0]) if len(at) else 0
        seconds = pl.Series(np.arange(first, int(at[-1]) + 1) if len(at) else np.zeros(0, np.int64))
        moments = seconds + self._begin * 60
        stamps = (moments * 1000).cast(pl.Datetime("ms")).dt.strftime("[%d/%b/%Y:%H:%M:%S +0000]")
        found = {
            "client": pools.clients.gather(client),
            "at": stamps.gather(at - first),
            "request": pools.requests.gather(request),
            "status": pl.Series(status),
            "size": pl.Series(size),
            "referrer": pools.referrers.gather(referrer),
            "agent": pools.agents.gather(agent),
        }
        if taken:
            found["taken"] = pl.Series(taken[0])
        return pl.DataFrame(found).with_columns(size=pl.when(pl.col("status") != 304).then(pl.col("size")))
