"""PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlencode

from penstock.core.connections import Connection, Port, Range, Seconds, Secret, Unfit
from penstock.core.extras import require
from penstock.engine.connections.urls import url_parts

_PARAMETERS = {
    "host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database",
    "sslmode": "sslmode", "sslrootcert": "sslrootcert", "sslcert": "sslcert", "sslkey": "sslkey",
    "connect_timeout": "connect_timeout_seconds", "application_name": "application_name",
    "target_session_attrs": "target_session_attrs",
}  # fmt: skip
"""libpq's names for what the fields say."""

_ABOUT = (
    "SELECT current_setting('server_version'), current_user, current_database(), "
    "coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
)
_HINTS = {
    "password authentication failed": "check user and password",
    "no password supplied": "it wants a password: save the connection anew with one",
    "does not exist": "check the name of the database and of the user",
    "no pg_hba.conf entry": "the server lets nobody in this way: check user, database, sslmode and its pg_hba.conf",
    "certificate": "check sslmode and sslrootcert",
    "SSL": "check sslmode and sslrootcert",
    "root.crt": "name the authority that signed the server's certificate: --sslrootcert FILE",
}
_UNREACHABLE = "check host and port, and that the server is up"


class PostgresConnection(Connection):
    """A PostgreSQL database, or one that speaks its protocol.

    Attributes:
        host: where it is; a folder that begins with / for a Unix socket, several with commas between them.
        port: its port.
        user: who we are; as libpq has it where nothing is said.
        password: of the user; without one, what libpq finds (.pgpass, certificates) is used.
        database: its name; the user's where nothing is said.
        sslmode: whether TLS is used, and what is checked, as libpq has it.
        sslrootcert: a file with the authorities that may sign the server's certificate, or `system`.
        sslcert: a file with a certificate of our own.
        sslkey: a file with its key.
        connect_timeout_seconds: how long connecting may take.
        statement_timeout_seconds: how long a statement may take; without one, as long as the server lets it.
        application_name: what we call ourselves.
        target_session_attrs: which of several hosts will do, as libpq has it.
        pool_min: where connections are kept for reuse: at least so many.
        pool_max: at most so many.
    """

    kind = "postgres"
    schemes = ("postgresql", "postgres")

    host: str = "localhost"
    port: Port = 5432
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    connect_timeout_seconds: Seconds = 10.0
    statement_timeout_seconds: Seconds | None = None
    application_name: str = "penstock"
    target_session_attrs: str | None = None
    pool_min: Annotated[int, Range(0, 1000)] = 0
    pool_max: Annotated[int, Range(1, 1000)] = 10

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `postgresql://user:password@host:port/database?sslmode=...`."""
        parts = url_parts(url, _PARAMETERS)
        hosts, _, database = parts.place.partition("/")
        found = _hosts(hosts) | ({"database": unquote(database)} if database else {})
        given: dict[str, Any] = {_PARAMETERS[name]: value for name, value in parts.query.items() if value}
        if "password" in given:
            given["password"] = Secret(given["password"])
        return found | parts.named("user", "password") | given

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the password, which may be left empty."""
        return [] if "url" in given else ["password"]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if self.pool_min > self.pool_max:
            yield "pool_min", "must not be more than pool_max"
        if self.sslmode.startswith("verify") and self.host.startswith("/"):
            yield "sslmode", "has no meaning for a Unix socket"
        if self.sslkey is not None and self.sslcert is None:
            yield "sslkey", "is the key of a certificate: give sslcert too"

    def parameters(self) -> dict[str, Any]:
        """What libpq (`psycopg.connect(**...)`) takes. The password is in it."""
        found: dict[str, Any] = {}
        for name, field in _PARAMETERS.items():
            value = getattr(self, field)
            if value is not None:
                found[name] = value.reveal() if isinstance(value, Secret) else value
        found["connect_timeout"] = max(2, math.ceil(self.connect_timeout_seconds))  # libpq: whole seconds, at least 2
        if self.statement_timeout_seconds is not None:
            found["options"] = f"-c statement_timeout={math.ceil(self.statement_timeout_seconds * 1000)}"
        return found

    def url(self, driver: str = "") -> str:
        """A URL for libpq, or for SQLAlchemy with the driver it is to use. The password is in it.

        Args:
            driver: such as psycopg, for `postgresql+psycopg://`.
        """
        given = self.parameters()
        host, port, database = (given.pop(name, "") for name in ("host", "port", "dbname"))
        user, password = given.pop("user", None), given.pop("password", None)
        if host.startswith("/") or "," in host:
            given["host"], host = host, ""
        userinfo = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
        bracketed = f"[{host}]" if ":" in host else host
        place = f"{bracketed}:{port}" if bracketed else ""
        if not bracketed:
            given["port"] = port
        query = urlencode(given, quote_via=quote)
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{userinfo and userinfo + '@'}{place}/{quote(database, safe='')}?{query}"

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        psycopg = require("psycopg", "postgres")
        given = self.parameters()
        given["connect_timeout"] = min(given["connect_timeout"], max(2, math.ceil(seconds)))
        given["options"] = f"-c statement_timeout={max(1, math.ceil(seconds * 1000))}"
        with psycopg.connect(**given, autocommit=True) as connection:
            version, user, database, tls = connection.execute(_ABOUT).fetchone()
        return f"PostgreSQL {version.split()[0]}, {user} in {database}, {'TLS' if tls else 'no TLS'}"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if "failed" in line or "FATAL" in line), lines[0] if lines else "")
        hint = next((hint for sign, hint in _HINTS.items() if sign in str(error)), _UNREACHABLE)
        return told.removeprefix("connection failed: ") or type(error).__name__, hint


def _hosts(text: str) -> dict[str, Any]:
    """`host:port`, `[::1]:port`, or several with commas between them and one port for all."""
    hosts, ports = [], set()
    for part in text.split(","):
        host, bracket, rest = part.partition("]")
        if bracket:
            host, port = host.removeprefix("["), rest.removeprefix(":")
        else:
            host, _, port = part.partition(":")
        hosts.append(unquote(host))
        ports.add(port)
    if len(ports) > 1:
        raise Unfit("several hosts must have the same port")
    port = ports.pop()
    found: dict[str, Any] = {"host": ",".join(hosts)} if any(hosts) else {}
    return found | ({"port": port} if port else {})
