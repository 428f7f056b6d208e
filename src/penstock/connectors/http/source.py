"""The records of an HTTP API."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.connectors.http.auth import Auth
from penstock.connectors.http.connecting import Host, host_of
from penstock.connectors.http.fetching import Fetcher
from penstock.connectors.http.guards import Repeated
from penstock.connectors.http.incremental import Incremental
from penstock.connectors.http.json_pages import JsonPage
from penstock.connectors.http.messages import origin_of
from penstock.connectors.http.pace import Pace, Stopped
from penstock.connectors.http.pages import Pages, Single
from penstock.connectors.http.reading import Reading
from penstock.connectors.http.retries import Retries, Timeouts
from penstock.connectors.http.rules import Format, Rules
from penstock.connectors.http.shaping import Nested
from penstock.core.errors import ConfigurationError, DataError, SourceUnavailable
from penstock.core.ports.data import Batch, Place, Position, Size, Source
from penstock.core.rows.types import types_of
from penstock.core.secrets import Secret

if TYPE_CHECKING:
    from penstock.engine.connections.http import HttpConnection

_ENDINGS: dict[str, Format] = {"csv": "csv", "ndjson": "ndjson", "jsonl": "ndjson"}
_JSON_BYTES = 64 << 20
_STREAM_BYTES = 16 << 30
_PROBE_SECONDS = 60.0


class HttpApi(Source):
    """Reads the records that an HTTP API gives.

    Args:
        url: what to ask. With a connection, a path below its `base_url`.
        connection: a saved connection of the type `http`, or its name: host, credentials, certificates, timeouts.
        method: `GET` or `POST`. A POST is taken to read only.
        parameters: of the query; a list of several is read one after another.
        json: the body of a POST.
        form: the body of a POST, as a form.
        headers: sent to this host, and to no other.
        format: of the answers: `json`, `ndjson` (a JSON object in each line) or `csv` (names in the first line); by
            default what the path ends with, else JSON.
        records: where the records are in a JSON answer: a path such as `data.items`; by default the answer itself. With
            a question mark at the end it may be missing.
        encoding: the charset of answers that are not UTF-8 and do not say what they are.
        delimiter: of CSV.
        auth: `Basic`, `Bearer`, `ApiKey` or `OAuth2ClientCredentials`; sent to this host, and to no other.
        pages: `Page`, `Offset`, `Cursor`, `LinkHeader` or `NextUrl`; one answer is all when left out.
        since: read only what has changed since the last time.
        total: path to how many records there are in all.
        total_header: the header that says so.
        nested: what becomes of objects in records: `struct` keeps them, `json` makes them text, `flat` makes
            `address.city` the column `address_city`.
        types: types of columns, by name (`{"price": "text"}`) or Arrow's own; records that do not fit are rejected.
            Other columns have the type of their first values.
        per_second: how many requests are sent in a second; inside a run, by all runs that read this host so.
        retries: how often, and after how long.
        timeouts: how long to wait.
        repeatable: a POST may be sent again when nobody knows whether the first one was carried out.
        hosts: others that redirects and links to the next page may lead to.
        tls: certificates to trust and to show.
        max_bytes: of one answer, decompressed; 64 MiB of JSON, 16 GiB of what is read line by line.
        max_pages: of one list.
        repeated: what a page means that has the same records as the page before it: an `error`, the `end`, or nothing.
        ahead: how many pages are fetched ahead where the total is known.
        conditional: ask for an answer only if there is something new, where the server can tell.
        again: read everything again each time, also where nothing tells that it has changed. For sinks that merge by
            key, or replace.
        batch_rows: how many rows make a batch; fewer when they are large or come slowly.

    Raises:
        ConfigurationError: it cannot be so; it tells every mistake.

    Example:
        HttpApi("https://api.example/orders", records="data", pages=Cursor(path="meta.next"), auth=Bearer(token))
    """

    def __init__(
        self,
        url: str,
        *,
        connection: HttpConnection | str | None = None,
        method: str = "GET",
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        format: Format | None = None,
        records: str = "",
        encoding: str = "",
        delimiter: str = ",",
        auth: Auth | None = None,
        pages: Pages | None = None,
        since: Incremental | None = None,
        total: str = "",
        total_header: str = "",
        nested: Nested = "struct",
        types: Mapping[str, Any] | None = None,
        per_second: float | None = None,
        retries: Retries | None = None,
        timeouts: Timeouts | None = None,
        repeatable: bool = False,
        hosts: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        max_bytes: int | None = None,
        max_pages: int = 100_000,
        repeated: Repeated = "error",
        ahead: int = 4,
        conditional: bool = True,
        again: bool = False,
        batch_rows: int = 10_000,
    ) -> None:
        host = Host(url) if connection is None else host_of(connection, url)
        if auth is not None and host.auth is not None:
            raise ConfigurationError("auth is given twice: the connection has credentials too.", hint="leave one out")
        form_of = format or _ENDINGS.get(urlsplit(host.url).path.rpartition(".")[2].lower(), "json")
        self._rules = Rules(
            url=host.url, method=method.upper(), json=json, form=form, headers={**host.headers, **(headers or {})},
            parameters=(parameters,) if isinstance(parameters, (Mapping, str)) else tuple(parameters or ()),
            format=form_of, records=records, encoding=encoding, delimiter=delimiter, auth=auth or host.auth,
            pages=pages or Single(), since=since, total=total, total_header=total_header, nested=nested,
            types=types_of(types, "types"), per_second=per_second, retries=retries or Retries(),
            timeouts=timeouts or host.timeouts, repeatable=repeatable, hosts=tuple(hosts), tls=tls or host.tls,
            max_bytes=(_JSON_BYTES if form_of == "json" else _STREAM_BYTES) if max_bytes is None else max_bytes,
            max_pages=max_pages, repeated=repeated, ahead=min(ahead, host.connections - 1), conditional=conditional,
            again=again, batch_rows=batch_rows,
        )  # fmt: skip
        self._rules.check()
        self._pace = Pace(f"http:{origin_of(host.url).partition('://')[2]}", per_second)
        self._fetchers: list[Fetcher] = []
        self._probed: tuple[Position | None, float, JsonPage] | None = None

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return Place(origin_of(self._rules.url), urlsplit(self._rules.url).path or "/")

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`."""
        fetcher = self._fetcher()
        probed, self._probed = self._probed, None
        fresh = probed is not None and probed[0] == position and time.monotonic() - probed[1] < _PROBE_SECONDS
        page = probed[2] if probed is not None and fresh else None
        try:
            yield from Reading(self._rules, fetcher, position, str(self.place)).batches(page)
        except Stopped:
            raise SourceUnavailable(f"{self.place}: was closed while it was read.") from None
        finally:
            self._let_go(fetcher)

    def size(self, position: Position | None) -> Size:
        """See `Source.size`. Where the server tells a total, the first page is fetched for it, and kept."""
        rules = self._rules
        if not (rules.total or rules.total_header) or rules.format != "json" or len(rules.parameters) > 1:
            return Size()
        self._probed = None
        fetcher = self._fetcher(Retries(times=0))
        try:
            with suppress(DataError, Stopped):
                listing = Reading(rules, fetcher, position, str(self.place)).first()
                page = listing.first_page() if listing is not None else None
                if listing is not None and page is not None and not page.unchanged:
                    self._probed = (position, time.monotonic(), page)
                    return Size(rows=listing.seen(page).total)
        finally:
            self._let_go(fetcher)
        return Size()

    def interrupt(self) -> None:
        """See `Source.interrupt`."""
        self.close()

    def close(self) -> None:
        """See `Source.close`. What is under way, in whatever thread, comes to an end."""
        for fetcher in list(self._fetchers):
            fetcher.close()

    def _fetcher(self, retries: Retries | None = None) -> Fetcher:
        rules = self._rules
        given = {name: Secret(value).reveal() for name, value in rules.headers.items()}
        fetcher = Fetcher(
            replace(rules, retries=retries or rules.retries), given, self._pace.afresh(), connections=rules.ahead + 2
        )
        self._fetchers.append(fetcher)
        return fetcher

    def _let_go(self, fetcher: Fetcher) -> None:
        fetcher.close()
        self._fetchers.remove(fetcher)

    def __repr__(self) -> str:
        return f"HttpApi({str(self.place)!r})"
