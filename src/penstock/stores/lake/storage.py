"""Where a lake is: a folder or a prefix of a bucket. Tables are opened by delta-rs, small files by obstore."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.extras import require
from penstock.core.ports.data import Place
from penstock.stores.lake.failures import translated

_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True)
class Access:
    """How to get into a bucket; what is left empty comes from the environment (AWS_*).

    Attributes:
        endpoint: of a store that is not Amazon's, such as `http://127.0.0.1:9000`.
        timeout_seconds: for each request.
    """

    endpoint: str = ""
    region: str = ""
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    timeout_seconds: float = 30.0

    def options(self) -> dict[str, str]:
        """What delta-rs and obstore are told, apart from the client's own options."""
        found = {
            "aws_endpoint": self.endpoint or _first("AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
            "aws_region": self.region
            or os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", "us-east-1")),
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (
            self.secret_access_key,
            self.session_token,
            _first("AWS_SECRET_ACCESS_KEY"),
            _first("AWS_SESSION_TOKEN"),
        )


def _first(*names: str) -> str:
    return next((found for name in names if (found := os.environ.get(name))), "")


class Storage:
    """A folder or a bucket.

    Args:
        address: a path, `file://...` or `s3://bucket/prefix`.
        access: of a bucket.
        single_writer: the bucket has no conditional writes, and its owner knows that only one process writes.
    """

    def __init__(self, address: str, access: Access, *, single_writer: bool = False) -> None:
        self.access = access
        self.single_writer = single_writer
        self.remote = address.startswith("s3://")
        if self.remote:
            self.root = address.rstrip("/")
            self.bucket, self.prefix = urlsplit(self.root).netloc, urlsplit(self.root).path.strip("/")
        else:
            plain = urlsplit(address).path if address.startswith("file://") else address
            self.root = str(Path(plain).expanduser().absolute())
        self._store: Any = None

    def uri(self, path: str) -> str:
        """The address of something in the lake, as delta-rs wants it."""
        return f"{self.root}/{path}" if path else self.root

    def place(self, path: str) -> Place:
        """The same, as lineage names it."""
        if self.remote:
            return Place(f"s3://{self.bucket}", f"{self.prefix}/{path}".strip("/"))
        return Place("file", self.uri(path))

    @property
    def delta_options(self) -> dict[str, str]:
        """What delta-rs is told about the storage."""
        if not self.remote:
            return {}
        rename = {"aws_s3_allow_unsafe_rename": "true"} if self.single_writer else {"aws_conditional_put": "etag"}
        return {**self.access.options(), **self._client, **rename, "max_retries": "4", "retry_timeout": "60s"}

    @property
    def _client(self) -> dict[str, str]:
        plain = self.access.options().get("aws_endpoint", "").startswith("http://")
        seconds = f"{self.access.timeout_seconds:g}s"
        return {"timeout": seconds, "connect_timeout": "5s"} | ({"allow_http": "true"} if plain else {})

    @property
    def store(self) -> Any:
        """The object store of obstore."""
        if self._store is None:
            stores = require("obstore.store", "data")
            with self.failing(""):
                self._store = self._bucket(stores) if self.remote else stores.LocalStore(self.root, mkdir=True)
        return self._store

    def _bucket(self, stores: Any) -> Any:
        from datetime import timedelta

        return stores.S3Store(
            self.bucket,
            prefix=self.prefix or None,
            config=self.access.options(),
            client_options=self._client,
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )

    def failing(self, path: str) -> Any:
        """Translates what goes wrong in the block."""
        return translated(self.uri(path), self.access.secrets)

    def put(self, path: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""
        with self.failing(path):
            require("obstore", "data").put(self.store, path, data)

    def get(self, path: str) -> bytes | None:
        """Read a file; None where there is none."""
        with self.failing(path):
            try:
                return bytes(require("obstore", "data").get(self.store, path).bytes())
            except FileNotFoundError:
                return None

    def read(self, path: str) -> bytes:
        """Read a file that has to be there.

        Raises:
            DatasetNotFound: it is gone.
        """
        data = self.get(path)
        if data is None:
            raise DatasetNotFound(f"{self.uri(path)} is gone.", hint="restore it from a backup")
        return data

    def rename(self, path: str, target: str) -> None:
        """Move a file within the storage."""
        with self.failing(path):
            require("obstore", "data").rename(self.store, path, target)

    def names(self, folder: str) -> list[str]:
        """The paths of all files below a folder."""
        with self.failing(folder):
            chunks = require("obstore", "data").list(self.store, folder)
            return [entry["path"] for chunk in chunks for entry in chunk]

    def folders(self, folder: str) -> list[str]:
        """The paths of the folders in a folder."""
        with self.failing(folder):
            found = require("obstore", "data").list_with_delimiter(self.store, folder or None)
            return sorted(str(name) for name in found["common_prefixes"])

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files that may be there."""
        for path in paths:
            with self.failing(path), suppress(FileNotFoundError):
                require("obstore", "data").delete(self.store, path)

    def copy(self, path: str, to: Storage, target: str) -> None:
        """Copy a file to another storage, some MB at a time."""
        obstore = require("obstore", "data")
        with self.failing(path):
            reader = obstore.open_reader(self.store, path)
            with to.failing(target), obstore.open_writer(to.store, target) as writer:
                while chunk := bytes(reader.read(_CHUNK)):
                    writer.write(chunk)

    def check_conditions(self) -> None:
        """Find out whether the bucket keeps two writers apart: it must refuse to write what is there already.

        Raises:
            ConfigurationError: it does not, so that two writers would overwrite each other's commits.
        """
        if not self.remote or self.single_writer:
            return
        obstore = require("obstore", "data")
        exceptions = require("obstore.exceptions", "data")
        path = f"_penstock/probe-{secrets.token_hex(8)}"
        with self.failing(path):
            obstore.put(self.store, path, b"1", mode="create")
            try:
                obstore.put(self.store, path, b"2", mode="create")
            except exceptions.AlreadyExistsError:
                return
            except (exceptions.NotSupportedError, NotImplementedError):
                pass
            finally:
                self.remove([path])
        raise ConfigurationError(
            f"The store behind {self.root} has no conditional writes (If-None-Match): two writers of one table would "
            "overwrite each other's commits.",
            hint="use a store that has them (Amazon S3, MinIO, Ceph); or, where only one process ever writes to "
            "this lake at a time, say so with Lake(..., single_writer=True)",
        )
