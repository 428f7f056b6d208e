"""A fresh bucket of an S3 server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from penstock.stores.lake import Lake


class Bucket:
    """A fresh bucket of a server."""

    def __init__(self, url: str) -> None:
        import boto3

        found = urlsplit(url)
        self.host, self.port = str(found.hostname), int(found.port or 80)
        self.access: dict[str, Any] = {
            "access_key_id": str(found.username),
            "secret_access_key": str(found.password),
            "timeout_seconds": 10,
        }
        self.name = f"lake-{uuid4().hex}"
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://{self.host}:{self.port}",
            aws_access_key_id=found.username,
            aws_secret_access_key=found.password,
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=self.name)

    def lake(self, port: int | None = None, **options: Any) -> Lake:
        endpoint = f"http://{self.host}:{port or self.port}"
        return Lake(f"s3://{self.name}/some/where", endpoint=endpoint, **{**self.access, **options})

    def remove(self) -> None:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for entry in page.get("Contents", []):
                self.client.delete_object(Bucket=self.name, Key=entry["Key"])
        self.client.delete_bucket(Bucket=self.name)
