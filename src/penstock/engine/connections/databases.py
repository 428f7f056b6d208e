"""Other databases: any that SQLAlchemy knows, and two warehouses in the cloud."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from penstock.core.connections import Connection, ConnectionFailed, Range, Seconds, Secret, SecretUrl, Unfit
from penstock.core.extras import require
from penstock.engine.connections.probing import url_mistakes
from penstock.engine.connections.urls import url_parts


class SqlConnection(Connection):
    """A database by its SQLAlchemy URL.

    Attributes:
        url: such as mysql+pymysql://user:password@host/database. It is a secret, and is shown without its password.
        pool_min: where connections are kept for reuse: at least so many.
        pool_max: at most so many.
        pool_recycle_seconds: a connection is not used any more when it is older.
    """

    kind = "sql"

    url: SecretUrl
    pool_min: Annotated[int, Range(0, 1000)] = 0
    pool_max: Annotated[int, Range(1, 1000)] = 10
    pool_recycle_seconds: Seconds | None = None

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if not self.url.reveal().partition("://")[1]:
            yield "url", "must be a URL such as mysql+pymysql://user@host/database"
        if self.pool_min > self.pool_max:
            yield "pool_min", "must not be more than pool_max"

    def check(self, seconds: float) -> str:
        """See `Connection.check`. How long connecting may take, the driver decides."""
        sqlalchemy = require("sqlalchemy", "data")
        engine = sqlalchemy.create_engine(self.url.reveal(), poolclass=sqlalchemy.pool.NullPool)
        file = _file_of(engine)
        if file is not None and not os.path.exists(file):
            raise ConnectionFailed("there is no such file, and a test makes none", hint="check the path")
        try:
            with engine.connect() as connection:
                version = getattr(connection.dialect, "server_version_info", None) or ()
        finally:
            engine.dispose()
        return f"{engine.dialect.name} {'.'.join(map(str, version))}, driver {engine.driver}"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        cause = getattr(error, "orig", None)
        if type(error).__name__ == "NoSuchModuleError":
            return "SQLAlchemy has no such dialect", "install its package, or check what is before ://"
        if isinstance(error, ModuleNotFoundError):
            return f"the driver {error.name} is not installed", f"install it: pip install {error.name}"
        told, _ = super().explain(cause if isinstance(cause, Exception) else error)
        return told, "check the URL, and that the server is up"


def _file_of(engine: Any) -> str | None:
    """The file of a database that is one: connecting would make it."""
    if engine.dialect.name == "sqlite":
        (name,), options = engine.dialect.create_connect_args(engine.url)
        if options.get("uri") and name.startswith("file:"):
            parts = urlsplit(name)
            name = "" if parse_qs(parts.query).get("mode") == ["memory"] else unquote(parts.path)
    elif engine.dialect.name == "duckdb":
        name = (engine.url.database or "").partition("?")[0]
        name = "" if re.match(r"[a-z_]+:", name) else name
    else:
        return None
    return name if name not in ("", ":memory:") else None


class SnowflakeConnection(Connection):
    """A Snowflake warehouse.

    Attributes:
        account: its identifier, such as orgname-account.
        user: who we are.
        password: of the user, or a programmatic access token.
        private_key_file: a file with the key of the user, instead of a password.
        private_key_password: of that key.
        authenticator: how it knows us.
        warehouse: what computes.
        database: what is meant where none is named.
        schema: what is meant where none is named.
        role: what we act as.
        login_timeout_seconds: how long logging in may take.
        endpoint: another address of the service than the account's, such as that of a private link.
    """

    kind = "snowflake"
    schemes = ("snowflake",)
    untested = True

    account: str
    user: str
    password: Secret | None = None
    private_key_file: str | None = None
    private_key_password: Secret | None = None
    authenticator: Literal["snowflake", "snowflake_jwt", "programmatic_access_token", "externalbrowser"] = "snowflake"
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    role: str | None = None
    login_timeout_seconds: Seconds = 30.0
    endpoint: str | None = None

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `snowflake://user:password@account/database/schema?warehouse=...&role=...`."""
        parts = url_parts(url, ("warehouse", "role", "authenticator", "private_key_file", "endpoint"))
        account, _, path = parts.place.partition("/")
        database, _, schema = path.strip("/").partition("/")
        named = {"account": account, "database": unquote(database), "schema": unquote(schema), **parts.query}
        return {name: value for name, value in named.items() if value} | parts.named("user", "password")

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the password, unless there is a key or a browser."""
        if "url" in given or given.get("authenticator") == "externalbrowser":
            return []
        return ["private_key_password"] if "private_key_file" in given else ["password"]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if self.password is None and self.private_key_file is None and self.authenticator != "externalbrowser":
            yield "password", "is missing; or give private_key_file"
        yield from url_mistakes("endpoint", self.endpoint)

    def parameters(self, statement_seconds: float = 3600.0) -> dict[str, Any]:
        """What the connector (`snowflake.connector.connect(**...)`) takes. The password is in it.

        Args:
            statement_seconds: how long a statement may take. Without a limit, a connector that has lost its network
                would try for ever.
        """
        five = int(require("snowflake.connector", "snowflake").__version__.split(".")[0]) >= 5
        given: dict[str, Any] = {"account": self.account, "user": self.user, "authenticator": self.authenticator}
        of_key = "private_key_password" if five else "private_key_file_pwd"
        secrets = {"password": self.password, of_key: self.private_key_password}
        given |= {name: secret.reveal() for name, secret in secrets.items() if secret is not None}
        for name in ("private_key_file", "warehouse", "database", "schema", "role"):
            if (value := getattr(self, name)) is not None:
                given[name] = value
        if self.private_key_file is not None and self.authenticator == "snowflake":
            given["authenticator"] = "snowflake_jwt"
        if self.endpoint is not None:
            place = urlsplit(self.endpoint)
            given |= {"host": place.hostname, "protocol": place.scheme}
            given["port"] = place.port or (80 if place.scheme == "http" else 443)
        given["login_timeout"] = max(1, round(self.login_timeout_seconds))
        given["query_timeout" if five else "network_timeout"] = max(1, round(statement_seconds))
        if five:
            given["enable_server_session_keep_alive_auto_detection"] = False  # it always logs out when it is closed
        return given

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        connector = require("snowflake.connector", "snowflake")
        given = self.parameters(seconds)
        given["login_timeout"] = min(given["login_timeout"], max(1, round(seconds)))
        with connector.connect(**given) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_version(), current_user(), current_role(), current_warehouse()")
            version, user, role, warehouse = cursor.fetchone()
        return f"Snowflake {version}, {user} as {role}, {warehouse or 'no warehouse'}"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        told, _ = super().explain(error)
        number = abs(int(getattr(error, "errno", None) or 0))
        if 390_000 <= number < 391_000:
            return told, "check user, password, key and role"
        return told, "check the account (orgname-account), and that the network lets us out to it"


class BigQueryConnection(Connection):
    """A BigQuery project.

    Attributes:
        project: its id.
        dataset: what is meant where none is named.
        location: where jobs run, such as EU.
        credentials_file: a file with the key of a service account.
        credentials_json: that key itself; without either, what the machine is allowed is used.
        timeout_seconds: how long a request may take.
        endpoint: another address of the service than the usual one, such as that of a private network.
    """

    kind = "bigquery"
    schemes = ("bigquery",)
    untested = True

    project: str
    dataset: str | None = None
    location: str | None = None
    credentials_file: str | None = None
    credentials_json: Secret | None = None
    timeout_seconds: Seconds = 60.0
    endpoint: str | None = None

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `bigquery://project/dataset?location=EU`."""
        parts = url_parts(url, ("location", "credentials_file", "endpoint"))
        if parts.user is not None:
            raise Unfit("must be bigquery://project/dataset")
        project, _, dataset = parts.place.strip("/").partition("/")
        named = {"project": project, "dataset": dataset, **parts.query}
        return {name: value for name, value in named.items() if value}

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if self.credentials_file is not None and self.credentials_json is not None:
            yield "credentials_json", "and credentials_file say the same: give one of them"
        yield from url_mistakes("endpoint", self.endpoint)

    def client(self) -> Any:
        """A client of `google.cloud.bigquery`, which has the credentials. An `endpoint` without TLS gets none."""
        bigquery = require("google.cloud.bigquery", "bigquery")
        options = {"api_endpoint": self.endpoint} if self.endpoint else None
        return bigquery.Client(self.project, self._credentials(), client_options=options, location=self.location)

    def _credentials(self) -> Any:
        """What is sent with each request; None for what the machine is allowed."""
        if (self.endpoint or "").startswith("http://"):
            return require("google.auth.credentials", "bigquery").AnonymousCredentials()
        accounts = require("google.oauth2.service_account", "bigquery").Credentials
        if self.credentials_json is not None:
            return accounts.from_service_account_info(json.loads(self.credentials_json.reveal()))
        return accounts.from_service_account_file(self.credentials_file) if self.credentials_file else None

    def check(self, seconds: float) -> str:
        """See `Connection.check`; a query that is not executed costs nothing."""
        bigquery = require("google.cloud.bigquery", "bigquery")
        with self.client() as client:
            wait = bigquery.DEFAULT_RETRY.with_timeout(seconds)
            dry = bigquery.QueryJobConfig(dry_run=True)
            client.query("SELECT 1", dry, timeout=seconds, retry=wait, job_retry=None)
        return f"BigQuery, project {self.project}{f', in {self.location}' if self.location else ''}"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        if isinstance(error, (OSError, ValueError)) and not hasattr(error, "code"):  # its text may hold the key
            return "the credentials cannot be read, or the service not be reached", "check them, and the network"
        told, _ = super().explain(error)
        return told, "check the project, the credentials and what they are allowed (roles/bigquery.jobUser)"
