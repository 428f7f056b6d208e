"""Other databases: any that SQLAlchemy knows, and two warehouses in the cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from penstock.core.connections import Connection, Range, Seconds, Secret, SecretUrl, Unfit
from penstock.core.extras import require
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

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `snowflake://user:password@account/database/schema?warehouse=...&role=...`."""
        parts = url_parts(url, ("warehouse", "role", "authenticator"))
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


class BigQueryConnection(Connection):
    """A BigQuery project.

    Attributes:
        project: its id.
        dataset: what is meant where none is named.
        location: where jobs run, such as EU.
        credentials_file: a file with the key of a service account.
        credentials_json: that key itself; without either, what the machine is allowed is used.
        timeout_seconds: how long a request may take.
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

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `bigquery://project/dataset`."""
        parts = url_parts(url)
        if parts.user is not None:
            raise Unfit("must be bigquery://project/dataset")
        project, _, dataset = parts.place.strip("/").partition("/")
        return {"project": project} | ({"dataset": dataset} if dataset else {})

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if self.credentials_file is not None and self.credentials_json is not None:
            yield "credentials_json", "and credentials_file say the same: give one of them"
