"""A time series database as a sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Place, Rejected, Sink
from penstock.core.rows.casting import json_text
from penstock.core.secrets import Secret, masked_url
from penstock.core.words import mistakes_told
from penstock.stores.timeseries.ledger import Ledger, default_file
from penstock.stores.timeseries.line_protocol import UNITS, encode
from penstock.stores.timeseries.server import Server

if TYPE_CHECKING:
    from penstock.engine.connections.influx import InfluxConnection


class TimeSeries(Sink):
    """Writes rows as points to a server that takes writes as InfluxDB 2 does: InfluxDB, VictoriaMetrics, QuestDB.

    Such a server has no transactions. Points are written first, then the position is kept in a file of Penstock's: a
    process that is killed in between writes the batch a second time. A point is known by its measurement, its tags and
    its time; the second writing replaces the first, and each record is there once. Two records that agree in all of
    that are one point for the server: have a tag that tells them apart, or a finer `precision`.

    Args:
        url: the server, such as `http://localhost:8086`; or a saved connection of the type `influx`, which knows the
            bucket, the organization and the token too.
        measurement: of all points; or of those of the source's main table, when it has several: the others have their
            table's name.
        measurement_from: a column with the measurement of each point, instead.
        time: the column with the time: a moment, text that reads as one, or a whole number in `precision`.
        tags: columns that tell series apart.
        fields: columns with values; all others when left out.
        precision: of the times that are written; finer parts are cut off.
        bucket: InfluxDB's.
        org: InfluxDB's.
        token: for servers that ask for one.
        compress: send gzip.
        points: how many points a request has at most.
        timeout_seconds: how long an answer may take.
        patience_seconds: how long to try again when the server is away or asks to wait.
        positions: the file that keeps how far pipes have come, and what was rejected. Default: `pipes.db` in
            Penstock's home folder.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        url: str | InfluxConnection,
        *,
        time: str,
        measurement: str | None = None,
        measurement_from: str | None = None,
        tags: Sequence[str] = (),
        fields: Sequence[str] | None = None,
        precision: Literal["s", "ms", "us", "ns"] = "ms",
        bucket: str = "",
        org: str = "",
        token: str | Secret | None = None,
        compress: bool = True,
        points: int = 10_000,
        timeout_seconds: float = 30.0,
        patience_seconds: float = 60.0,
        positions: str | Path | None = None,
    ) -> None:
        tls: Any = True
        if not isinstance(url, str):
            tls, token = url.tls(), token if token is not None else url.token
            bucket, org = bucket or url.bucket or "", org or url.org or ""
            timeout_seconds = min(timeout_seconds, url.timeout_seconds)
            url = url.url
        self._measurement, self._named_by = measurement, measurement_from
        self._time, self._tags, self._precision = time, list(tags), precision
        self._fields = None if fields is None else list(fields)
        self._url, self._bucket = url.rstrip("/"), bucket
        mistakes = list(self._mistakes(points, min(timeout_seconds, patience_seconds)))
        if mistakes:
            raise ConfigurationError(mistakes_told("TimeSeries", mistakes))
        query = {"bucket": bucket, "org": org, "precision": precision}
        self._server = Server(
            self._url,
            token=None if token is None else Secret(token),
            query={name: value for name, value in query.items() if value},
            compress=compress,
            points=points,
            timeout_seconds=timeout_seconds,
            patience_seconds=patience_seconds,
            tls=tls,
        )
        self._ledger = Ledger(Path(positions) if positions else default_file())

    def _mistakes(self, points: int, shortest: float) -> Iterator[tuple[str, str]]:
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield "url", f"{masked_url(self._url)!r} is no address such as http://localhost:8086"
        elif parts.username or parts.query or parts.fragment:
            yield "url", "is the address alone: give bucket=, org= and token= by name"
        if (self._measurement is None) == (self._named_by is None):
            yield "measurement, measurement_from", "give one of the two"
        if self._measurement is not None and (not self._measurement or self._measurement[0] in "_#"):
            yield "measurement", f"{self._measurement!r} is no name: it is not empty, and begins with neither _ nor #"
        if self._measurement and ("\n" in self._measurement or self._measurement.endswith("\\")):
            yield "measurement", "has a line break in it, or ends with a backslash"
        if self._precision not in UNITS:
            yield "precision", f"{self._precision!r} is none of {', '.join(UNITS)}"
        for name in sorted({one for one in self._tags if one == self._time or one in (self._fields or ())}):
            yield "tags", f"{name!r} is the time or a field as well"
        if self._fields == []:
            yield "fields", "names none: a point needs a value"
        if points < 1 or shortest <= 0:
            yield "points, timeout_seconds, patience_seconds", "are greater than 0"

    def __repr__(self) -> str:
        return f"TimeSeries({self._url!r}, measurement={self._measurement or self._named_by!r})"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        name = self._measurement if self._measurement is not None else f"by {self._named_by}"
        return Place(self._url, f"{self._bucket}/{name}" if self._bucket else name)

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        return _TimeSeriesLanding(self, pipe)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        self._ledger.forget(str(self.place), pipe)

    def rejected(self, table: str = "") -> list[Rejected]:
        """The records in quarantine, oldest first."""
        return self._ledger.rejected(str(self.place), table)


class _TimeSeriesLanding(Landing):
    """See `Landing`."""

    def __init__(self, sink: TimeSeries, pipe: str) -> None:
        self._sink, self._pipe, self._place = sink, pipe, str(sink.place)
        self._epoch, self.position, self.counts = sink._ledger.open(self._place, pipe)

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`. The points are there before the position is."""
        ledger = self._sink._ledger
        ledger.check(self._place, self._pipe, self._epoch)
        refused: list[Rejected] = []
        landed = written = 0
        for part in batch.parts:
            size, without = self._write(part)
            refused += without
            landed += part.rows.num_rows - len(without)
            written += size
        counts = Counts(batch.read, landed, batch.superseded, len(batch.rejected) + len(refused))
        ledger.commit(
            self._place, self._pipe, self._epoch, batch.position, self.counts + counts, (*batch.rejected, *refused)
        )
        self.counts += counts
        self.position = batch.position
        return Landed(counts, written=written)

    def close(self) -> None:
        """See `Landing.close`."""
        self._sink._server.close()

    def _write(self, part: Part) -> tuple[int, list[Rejected]]:
        """Write the points of a part; those that cannot be are told."""
        sink, rows = self._sink, part.rows
        if part.how in ("delete", "truncate"):
            raise SchemaRefused(
                f"{self._place}: the source has deleted rows, and points stay as they are.",
                hint="write changes to a sink that has tables",
            )
        if not rows.num_rows:
            return 0, []
        found = encode(
            rows,
            measurement=part.table or sink._measurement or "",
            time=sink._time,
            unit=sink._precision,
            tags=sink._tags,
            fields=sink._fields,
            named_by=sink._named_by,
        )
        done = sink._server.write(found.lines)
        wrong = [(one.row, one.reason) for one in found.misfits]
        wrong += [(found.places[place], why) for place, why in done.refused.items()]
        shown = rows.take([row for row, _ in wrong]).to_pylist() if wrong else []
        refused = [
            Rejected(why, f"{self._place}:row", json_text(raw), part.table)
            for (_, why), raw in zip(wrong, shown, strict=True)
        ]
        return done.size, refused
