"""Objects of a real S3 server as a source."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.conftest import service_url

from penstock.connectors.files import Files
from penstock.core.errors import SourceUnavailable
from penstock.core.ports.data import Source
from penstock.testing.data_sources import Row, SourceConformance

pytestmark = pytest.mark.integration


class TestS3(SourceConformance):
    @pytest.fixture(autouse=True)
    def system(self) -> Iterator[None]:
        boto3 = pytest.importorskip("boto3")
        found = urlsplit(service_url("s3"))
        endpoint = f"http://{found.hostname}:{found.port}"
        access = {"aws_access_key_id": found.username, "aws_secret_access_key": found.password}
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **access)
        self.bucket, self.number = f"files-{uuid4().hex}", 0
        self.client.create_bucket(Bucket=self.bucket)
        self.options: dict[str, Any] = {
            "endpoint": endpoint,
            "access_key_id": found.username,
            "secret_access_key": found.password,
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        yield
        for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.client.delete_object(Bucket=self.bucket, Key=one["Key"])
        self.client.delete_bucket(Bucket=self.bucket)
        self.client.close()

    def make_source(self, records: Sequence[Row]) -> Source:
        for start in range(0, len(records), 30):
            self.add(records[start : start + 30])
        return Files(f"s3://{self.bucket}/orders/*.ndjson", storage=self.options, batch_bytes=1024)

    def add(self, records: Sequence[Row]) -> None:
        self.number += 1
        body = "".join(json.dumps(record) + "\n" for record in records).encode()
        self.client.put_object(Bucket=self.bucket, Key=f"orders/{self.number}.ndjson", Body=body)

    def test_an_object_that_was_copied_and_removed_is_not_read_again(self) -> None:
        with self.make_source([{"id": 1, "name": "Ada", "amount": 0.5}]) as source:
            position = list(source.batches(None))[-1].position
            where = {"Bucket": self.bucket, "Key": "orders/1.ndjson"}
            self.client.copy_object(Bucket=self.bucket, Key="orders/new.ndjson", CopySource=where)
            self.client.delete_object(**where)
            assert [batch.read for batch in source.batches(position)] == [0]

    def test_a_wrong_key_is_told_without_showing_it(self) -> None:
        """The emulator takes any key, so one that refuses every key stands in for the server."""
        with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            endpoint = f"http://127.0.0.1:{server.server_port}"
            options = {**self.options, "endpoint": endpoint, "secret_access_key": "not-the-key"}
            with pytest.raises(SourceUnavailable) as told:
                list(Files(f"s3://{self.bucket}/x/", storage=options).batches(None))
            server.shutdown()
        assert "not-the-key" not in str(told.value)


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<Error><Code>SignatureDoesNotMatch</Code><Message>The key is wrong.</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
