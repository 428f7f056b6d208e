"""Objects in a store as a source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from penstock.connectors.files import Files
from penstock.core.errors import SourceChanged, SourceUnavailable
from penstock.core.ports.data import Place, Position, Source
from penstock.testing.data_sources import Row, SourceConformance

obstore = pytest.importorskip("obstore")
from obstore.store import MemoryStore  # noqa: E402


class TestObjects(SourceConformance):
    @pytest.fixture(autouse=True)
    def system(self) -> None:
        self.store, self.number = MemoryStore(), 0

    def make_source(self, records: Sequence[Row]) -> Source:
        for start in range(0, len(records), 30):
            self.add(records[start : start + 30])
        return Files("memory://raw/orders/", store=self.store, batch_bytes=1024)

    def add(self, records: Sequence[Row]) -> None:
        self.number += 1
        lines = "".join(json.dumps(record) + "\n" for record in records)
        obstore.put(self.store, f"orders/{self.number}.ndjson", lines.encode())


class Bucket:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.position: Position | None = None

    def put(self, name: str, text: str) -> None:
        obstore.put(self.store, name, text.encode())

    def ids(self, path: str = "orders/*.csv", **options: Any) -> list[Any]:
        found: list[Any] = []
        for batch in Files(f"memory://raw/{path}", store=self.store, **options).batches(self.position):
            found += [row["id"] for part in batch.parts for row in part.rows.to_pylist()]
            assert not batch.rejected
            self.position = json.loads(json.dumps(batch.position))
        return found


def test_a_pattern_and_a_single_object() -> None:
    bucket = Bucket()
    for name, number in (("orders/a.csv", 1), ("orders/deep/b.csv", 2), ("orders/c.txt", 3), ("orders2/d.csv", 4)):
        bucket.put(name, f"id\n{number}\n")
    assert bucket.ids() == [1]
    bucket.position = None
    assert sorted(bucket.ids("orders/**/*.csv")) == [1, 2]
    bucket.position = None
    assert bucket.ids("orders/a.csv") == [1]


def test_an_object_that_was_renamed_or_changed() -> None:
    bucket = Bucket()
    bucket.put("orders/a.csv", "id\n1\n")
    assert bucket.ids() == [1]
    bucket.put("orders/a.csv", "id\n1\n2\n")
    with pytest.raises(SourceChanged, match="has other content now"):
        bucket.ids()
    assert bucket.ids(changed="again") == [1, 2]


def test_manifest_and_marker_below_a_prefix() -> None:
    bucket = Bucket()
    bucket.put("orders/a.csv", "id\n1\n")
    bucket.put("orders/b.csv", "id\n2\n")
    bucket.put("orders/manifest.json", '["b.csv"]')
    assert bucket.ids(manifest="manifest.json") == [2]
    bucket.position = None
    bucket.put("orders/a.csv.ok", "")
    assert bucket.ids(ready="{name}.ok") == [1]


def test_a_large_object_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.connectors.files.objects.WHOLE", 100)
    bucket = Bucket()
    bucket.put("orders/a.csv", "id\n" + "\n".join(map(str, range(5000))))
    assert bucket.ids(batch_bytes=1024) == list(range(5000))


def test_secrets_are_not_shown_and_a_store_that_is_away_is_told() -> None:
    options = {
        "access_key_id": "AKIA-secret-id",
        "secret_access_key": "secret-key",
        "endpoint": "http://127.0.0.1:9",
        "region": "us-east-1",
        "client_options": {"allow_http": True, "timeout": "1s"},
        "retry_config": {"max_retries": 0, "retry_timeout": __import__("datetime").timedelta(seconds=1)},
    }
    source = Files("s3://user:secret-key@bucket/orders/*.csv", storage=options)
    assert source.place == Place("s3://bucket", "orders/*.csv")
    assert "secret" not in repr(source) + str(source.place)
    with pytest.raises(SourceUnavailable, match="s3://bucket") as told:
        list(source.batches(None))
    assert "secret" not in str(told.value)
