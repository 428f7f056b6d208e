"""InfluxDB, and what takes its line protocol."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from penstock.core.connections import Connection, ConnectionFailed, Seconds, Secret
from penstock.engine.connections.probing import ask, tls_context, url_mistakes


class InfluxConnection(Connection):
    """An InfluxDB (v2 API), or a server that takes its line protocol.

    Attributes:
        url: where it is, such as https://influx.example.com:8086.
        token: what lets us in, if something is needed.
        org: the organization.
        bucket: the bucket that is meant where none is named.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a request may take.
    """

    kind = "influx"

    url: str
    token: Secret | None = None
    org: str | None = None
    bucket: str | None = None
    verify: bool = True
    ca_file: str | None = None
    timeout_seconds: Seconds = 30.0

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the token, which may be left empty."""
        return ["token"]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        yield from url_mistakes("url", self.url)

    def tls(self) -> ssl.SSLContext:
        """What TLS is done with.

        Raises:
            ConnectionFailed: a certificate cannot be read.
        """
        return tls_context(self.verify, self.ca_file)

    def check(self, seconds: float) -> str:
        """See `Connection.check`: it is well, and, where it can tell, the token counts."""
        seconds, base = min(seconds, self.timeout_seconds), self.url.rstrip("/")
        status = ask(f"{base}/health", seconds, tls=self.tls()).status
        if status != 200:
            raise ConnectionFailed(f"its /health answered {status}", hint="check url, and that it is well")
        headers = {"Authorization": f"Token {self.token.reveal()}"} if self.token is not None else {}
        query = f"limit=1&org={quote(self.org, safe='')}" if self.org else "limit=1"
        status = ask(f"{base}/api/v2/buckets?{query}", seconds, headers=headers, tls=self.tls()).status
        if status in (401, 403):
            raise ConnectionFailed(f"it answered {status}: it does not let us in", hint="check token and org")
        return "well" if status == 200 else "well; nothing tells whether it knows the token"
