"""Files by address."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.connectors.files import at, sink_at, tail_at
from penstock.core.addresses import parsed
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Place
from penstock.data.ingest import ingest


def test_a_pipe_by_addresses(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("1;Ada#1;2024-01-31\n2;;NA\n")
    options = {
        "delimiter": ";",
        "header": "no",
        "names": "id,name,day",
        "nulls": ",NA",
        "schema": "day:date32,price:decimal(5,2)",
    }
    source = at(parsed(f"{tmp_path}/in.txt", options))
    done = ingest(source, sink_at(parsed(f"{tmp_path}/out.ndjson")), name="pipe")
    assert done.counts.landed == 2
    assert (tmp_path / "out.ndjson").read_text() == (
        '{"id":1,"name":"Ada#1","day":"2024-01-31"}\n{"id":2,"name":null,"day":null}\n'
    )


def test_places() -> None:
    assert at(parsed("s3://bucket/orders/", {"storage.region": "x"})).place == Place("s3://bucket", "orders/**")
    assert at(parsed("/data/orders/*.csv")).place == Place("file", "/data/orders/*.csv")
    assert at(parsed("file:///data/orders/*.csv")).place == Place("file", "/data/orders/*.csv")
    assert tail_at(parsed("tail:/var/app.log", {"follow": "false"})).place == Place("file", "/var/app.log")
    assert sink_at(parsed("/out/parts/")).mode == "append"
    assert sink_at(parsed("/out/x.csv")).mode == "replace"


@pytest.mark.parametrize(
    ("make", "address", "options", "told"),
    [
        (at, "x.csv", {"delimeter": ";"}, "did you mean delimiter"),
        (at, "x.csv", {"header": "maybe"}, "header is true or false"),
        (at, "x.csv", {"batch_bytes": "much"}, "batch_bytes is a number"),
        (at, "x.csv", {"schema": "id"}, "no column with a type"),
        (tail_at, "tail:x", {"poll_seconds": "0"}, "1 mistake in Tail"),
        (sink_at, "s3://bucket/x.csv", {}, "write to the lake"),
        (sink_at, "x.csv", {"mode": "merge"}, "is one of replace, append"),
    ],
)
def test_mistakes_are_told(make: object, address: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make(parsed(address, options))  # type: ignore[operator]
    assert told in str(error.value)
