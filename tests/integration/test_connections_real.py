"""Connections with real servers behind them: saved in PostgreSQL, and tested for their health."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from tests.acceptance.json_api import Reply, serving
from tests.conftest import service_url

from penstock.app import Penstock, Settings
from penstock.connections import (
    Connection,
    ConnectionFailed,
    InfluxConnection,
    KafkaConnection,
    PostgresConnection,
    S3Connection,
    SqlConnection,
    shelf,
)
from penstock.core.errors import ConnectionNotFound

pytestmark = pytest.mark.integration
SECRET = "open sesame ☃"


@pytest.fixture
def penstock(tmp_path: Path, postgres_url: str) -> Iterator[Penstock]:
    app = Penstock(Settings(home=str(tmp_path / "home"), database_url=postgres_url))
    with app.activate():
        yield app
    app.close()


def test_saved_in_postgres(penstock: Penstock, postgres_url: str, tmp_path: Path) -> None:
    first = PostgresConnection(host="db", password=SECRET)
    first.replace().save("warehouse")
    assert Connection.load("warehouse") == first
    first.replace(host="other").save("warehouse", overwrite=True)
    assert PostgresConnection.load("warehouse").host == "other"
    assert shelf().rotate().sealed == 1
    second = Penstock(Settings(home=str(tmp_path / "home"), database_url=postgres_url))
    with second.activate():
        assert PostgresConnection.load("warehouse").host == "other", "another process, with the same key file"
    second.close()
    with psycopg.connect(postgres_url) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM penstock.events WHERE data IS NOT NULL").fetchone() or (1,)
        assert rows == 0, "what is sealed is in no event"
        (text,) = connection.execute("SELECT string_agg(c::text, ' ') FROM penstock.connections c").fetchone() or ("",)
        assert "warehouse" in text
        assert SECRET.encode().hex() not in text
    shelf().delete("warehouse")
    with pytest.raises(ConnectionNotFound):
        Connection.load("warehouse")


def test_the_table_keeps_no_dead_row(penstock: Penstock, postgres_url: str) -> None:
    """What was overwritten or deleted has left the table's pages, not only the sight of queries."""
    saved = PostgresConnection(password=SECRET)
    for number in range(3):
        saved.replace(host=f"h{number}").save("warehouse", overwrite=True)
    shelf().delete("warehouse")
    with psycopg.connect(postgres_url) as connection:
        (size,) = connection.execute("SELECT pg_relation_size('penstock.connections')").fetchone() or (1,)
        assert size == 0, "VACUUM has cut the empty pages off"


def test_postgres_health(postgres_url: str) -> None:
    good = PostgresConnection.from_url(postgres_url)
    health = good.test()
    assert health.told.startswith("PostgreSQL ")
    assert health.told.endswith(f"in {good.database}, no TLS")
    assert health.seconds > 0
    with psycopg.connect(**good.parameters()) as first, psycopg.connect(good.url()) as second:
        assert first.info.dbname == second.info.dbname == good.database
    for wrong, says, hint in (
        (good.replace(database="nothing_of_this_name"), "does not exist", "check the name"),
        (good.replace(sslmode="require"), "SSL", "check sslmode"),
        (good.replace(port=1), "Connection refused", "check host and port"),
    ):
        with pytest.raises(ConnectionFailed, match=says) as caught:
            wrong.test(3)
        assert hint in (caught.value.hint or "")


def test_sqlalchemy_health(postgres_url: str) -> None:
    pytest.importorskip("sqlalchemy")
    url = PostgresConnection.from_url(postgres_url).url("psycopg")
    assert SqlConnection(url=url).test().told.startswith("postgresql 1")
    assert SqlConnection(url="sqlite://").test().told.startswith("sqlite 3")
    for wrong, says in (
        ("nodialect://h/d", "no such dialect"),
        (url.replace("/penstock_test_", "/x"), "does not exist"),
    ):
        with pytest.raises(ConnectionFailed, match=says):
            SqlConnection(url=wrong).test()


def test_kafka_health() -> None:
    kafka = pytest.importorskip("confluent_kafka")
    cluster = kafka.Producer({"test.mock.num.brokers": 2, "bootstrap.servers": "none"})
    brokers = [f"{each.host}:{each.port}" for each in cluster.list_topics(timeout=10).brokers.values()]
    assert KafkaConnection(bootstrap_servers=tuple(brokers)).test().told == "2 brokers, 0 topics"
    with pytest.raises(ConnectionFailed, match="Connection refused"):
        KafkaConnection(bootstrap_servers="127.0.0.1:1").test(2)


def make_bucket(endpoint: str, user: str, secret: str, bucket: str) -> None:
    """PUT /bucket, signed (AWS Signature Version 4)."""
    now = datetime.datetime.now(datetime.UTC)
    at, day, empty = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}", hashlib.sha256(b"").hexdigest()
    host, scope = urlsplit(endpoint).netloc, f"{day}/us-east-1/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    asked = f"PUT\n/{bucket}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{at}\n\n{names}\n{empty}"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed = f"Credential={user}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers = {"x-amz-date": at, "x-amz-content-sha256": empty, "Authorization": f"AWS4-HMAC-SHA256 {signed}"}
    request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def test_s3_health() -> None:
    pytest.importorskip("obstore")
    parts = urlsplit(service_url("s3"))
    endpoint, bucket = f"{parts.scheme}://{parts.hostname}:{parts.port}", f"penstock-{uuid4().hex}"
    user, secret = unquote(parts.username or ""), unquote(parts.password or "")
    make_bucket(endpoint, user, secret, bucket)
    good = S3Connection(endpoint=endpoint, allow_http=True, access_key=user, secret_key=secret, bucket=bucket)
    assert good.test().told.startswith(f"the bucket {good.bucket} ")
    for wrong, says in (
        (good.replace(bucket="nothing-of-this-name"), "there is no bucket"),
        (good.replace(endpoint="http://127.0.0.1:1"), "failed"),
        (good.replace(bucket=None), "needs to know a bucket"),
    ):
        with pytest.raises(ConnectionFailed, match=says):
            wrong.test(5)


class Closed(dict[str, list[Reply]]):
    """Every path answers 403."""

    def get(self, path: str, default: object = None) -> list[Reply]:  # type: ignore[override]
        return [Reply("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403)]


def test_s3_that_does_not_let_us_in() -> None:
    pytest.importorskip("obstore")
    with serving(Closed()) as api:
        closed = S3Connection(endpoint=api.url, allow_http=True, access_key="a", secret_key="b", bucket="raw")
        with pytest.raises(ConnectionFailed, match=r"does not let us in \(403\)"):
            closed.test(5)


def test_influx_health() -> None:
    parts = urlsplit(service_url("timeseries"))
    assert InfluxConnection(url=f"{parts.scheme}://{parts.netloc}").test().told.startswith("well")
