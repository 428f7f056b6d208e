"""What the tests of the HTTP source do with the server of `api_server`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.api_server import Api

from penstock.connectors.http import HttpApi, Retries
from penstock.core.errors import DataError
from penstock.core.ports.data import Batch


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]


def read(server: Api, reply: Any, **options: Any) -> list[Batch]:
    server.site = reply if callable(reply) else lambda request: reply
    server.asked.clear()
    with HttpApi(f"{server.url}/x", **{"retries": Retries(times=2), **options}) as source:
        return list(source.batches(None))


def error(server: Api, reply: Any, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(server, reply, **options)
    return caught.value
