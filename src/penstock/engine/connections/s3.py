"""S3, and what speaks its protocol."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.connections import Connection, ConnectionFailed, Seconds, Secret, Unfit
from penstock.core.extras import require
from penstock.engine.connections.probing import url_mistakes
from penstock.engine.connections.urls import url_parts

_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_QUERY = ("endpoint", "region", "allow_http", "path_style")


class S3Connection(Connection):
    """S3, or an object store that speaks its protocol (Ceph, MinIO, R2).

    Attributes:
        endpoint: where it is; AWS where nothing is said.
        region: its region.
        access_key: who we are; without one, what the machine itself is allowed (roles, ~/.aws) is used.
        secret_key: of the access key.
        session_token: of temporary keys.
        bucket: the bucket that is meant where none is named; the health test needs it.
        allow_http: the endpoint may be http, without TLS.
        path_style: the bucket is named in the path (nearly everywhere but at AWS), and not in the host.
        connect_timeout_seconds: how long connecting may take.
        timeout_seconds: how long a request may take.
    """

    kind = "s3"
    schemes = ("s3",)

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    bucket: str | None = None
    allow_http: bool = False
    path_style: bool = True
    connect_timeout_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 60.0

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `s3://access_key:secret_key@bucket?endpoint=...&region=...`."""
        parts = url_parts(url, _QUERY)
        bucket = parts.place.rstrip("/")
        if bucket and not _BUCKET.fullmatch(bucket):
            raise Unfit("must be s3://bucket; what is in a bucket is for each use to say")
        given: dict[str, Any] = {**parts.query, **parts.named("access_key", "secret_key")}
        return given | ({"bucket": bucket} if bucket else {})

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the secret of an access key."""
        return ["secret_key"] if "access_key" in given else []

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if (self.access_key is None) != (self.secret_key is None):
            missing = "secret_key" if self.secret_key is None else "access_key"
            yield missing, "is missing: access_key and secret_key go together"
        if self.session_token is not None and self.access_key is None:
            yield "session_token", "belongs to an access_key, which is missing"
        yield from url_mistakes("endpoint", self.endpoint)
        if (self.endpoint or "").startswith("http:") and not self.allow_http:
            yield "endpoint", "has no TLS: whoever listens could read along. If that is meant, set allow_http"

    def storage_options(self) -> dict[str, str]:
        """What delta-rs, Polars and obstore take. The secrets are in it."""
        given = {
            "aws_endpoint_url": self.endpoint,
            "aws_region": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key.reveal() if self.secret_key else None,
            "aws_session_token": self.session_token.reveal() if self.session_token else None,
            "aws_virtual_hosted_style_request": "false" if self.path_style else "true",
            "allow_http": "true" if self.allow_http else None,
            "connect_timeout": f"{self.connect_timeout_seconds:g}s",
            "timeout": f"{self.timeout_seconds:g}s",
        }
        return {name: value for name, value in given.items() if value is not None}

    def check(self, seconds: float) -> str:
        """See `Connection.check`: a signed request that lists one object."""
        if self.bucket is None:
            raise ConnectionFailed("the health test needs to know a bucket", hint="give it one: --bucket NAME")
        stores = require("obstore.store", "data")
        options = self.storage_options()
        allowed = {name: options.pop(name) for name in ("connect_timeout", "timeout", "allow_http") if name in options}
        client = {**allowed, "timeout": f"{seconds:g}s"}
        retry = {"max_retries": 0, "retry_timeout": datetime.timedelta(seconds=seconds)}
        store = stores.S3Store(self.bucket, config=options, client_options=client, retry_config=retry)
        found = next(iter(store.list(chunk_size=1)), None)
        return f"the bucket {self.bucket} {'has objects' if found else 'is empty'}"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        text = str(error)
        if any(sign in text for sign in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "AccessDenied")):
            return "it does not let us in (403)", "check access_key, secret_key and region"
        if "NoSuchBucket" in text or "404" in text:
            return f"there is no bucket {self.bucket}", "check bucket and region"
        return super().explain(error)[0], "check endpoint, and that it is up"
