"""The warehouse in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pytest
from tests.integration.proxy import Mode, Proxy
from tests.unit.warehouse_duties import EvolutionDuties, HistoryDuties, ModeDuties, TypeDuties
from tests.unit.warehouse_helpers import EventDuties, ModelDuties, ReadingDuties, RecordDuties
from tests.unit.warehouses import SeveralTables, WarehouseTables

from penstock.core.errors import ConfigurationError, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Part
from penstock.stores.warehouse import Warehouse, postgres
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance

pytestmark = pytest.mark.integration


class OnPostgres:
    @pytest.fixture(autouse=True)
    def system(self, postgres_url: str) -> Iterator[None]:
        with Warehouse(postgres_url) as self.warehouse:
            yield


class TestPostgres(OnPostgres, WarehouseTables, SinkConformance):
    pass


class TestMergeInPostgres(OnPostgres, WarehouseTables, MergeConformance):
    pass


class TestReplaceInPostgres(OnPostgres, WarehouseTables, ReplaceConformance):
    pass


class TestChangesInPostgres(OnPostgres, WarehouseTables, ChangesConformance):
    pass


class TestTablesOfPostgres(OnPostgres, SeveralTables, ChangesConformance):
    pass


class TestEvolutionInPostgres(OnPostgres, EvolutionDuties):
    def depend_on_n(self) -> None:
        self.warehouse.execute("CREATE VIEW raw_data.seen AS SELECT n FROM raw_data.rows")


class TestTypeInPostgres(OnPostgres, TypeDuties):
    pass


class TestModeInPostgres(OnPostgres, ModeDuties):
    pass


class TestHistoryInPostgres(OnPostgres, HistoryDuties):
    pass


class TestEventInPostgres(OnPostgres, EventDuties):
    pass


class TestModelInPostgres(OnPostgres, ModelDuties):
    pass


class TestReadingInPostgres(OnPostgres, ReadingDuties):
    pass


class TestRecordInPostgres(OnPostgres, RecordDuties):
    pass


def batch(number: int, **more: Any) -> Batch:
    return Batch((Part(pa.table({"id": [number]})),), {"next": number}, **more)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    parts = urlsplit(postgres_url)
    made = Proxy(str(parts.hostname), int(parts.port or 5432))
    yield made
    made.close()


@pytest.mark.parametrize(("mode", "position"), [("lose request", {"next": 1}), ("lose answer", {"next": 2})])
def test_the_next_open_knows_what_became_of_a_commit(
    postgres_url: str, proxy: Proxy, mode: Mode, position: dict[str, int]
) -> None:
    through = urlsplit(postgres_url)
    login = through.netloc.rpartition("@")[0]
    url = through._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()
    with Warehouse(url) as warehouse:
        sink = warehouse.table("raw_data.rows")
        landing = sink.open("pipe")
        landing.land(batch(1))
        proxy.only, proxy.mode = b"COMMIT", mode
        with pytest.raises(SinkUnavailable):
            landing.land(batch(2))
        with pytest.raises(SinkUnavailable, match="opened again"):
            landing.land(batch(2))
        with sink.open("pipe") as again:
            assert again.position == position
            assert again.counts.landed == warehouse.read("SELECT count(*) AS n FROM raw_data.rows")["n"][0].as_py()


class TestPostgresItself(OnPostgres):
    def test_a_process_that_stands_still_in_its_commit_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sink = self.warehouse.table("raw_data.rows")
        with sink.open("pipe") as landing:
            landing.land(batch(1))
        monkeypatch.setattr(postgres, "_FROZEN", "300ms")
        frozen = self.warehouse._database._connect()  # type: ignore[attr-defined]
        frozen.execute("BEGIN; SELECT * FROM raw_data.penstock_pipes FOR UPDATE")  # at once: it stands still after that
        with sink.open("pipe") as again:
            assert again.position == {"next": 1}
        with pytest.raises(psycopg.Error):
            frozen.execute("COMMIT")

    def test_a_lock_is_not_waited_for_for_ever(self, postgres_url: str) -> None:
        self.warehouse.table("raw_data.rows").open("pipe").close()
        with psycopg.connect(postgres_url) as other, Warehouse(postgres_url, timeout_seconds=0.2) as impatient:
            other.execute("SELECT * FROM raw_data.penstock_pipes FOR UPDATE")
            with pytest.raises(SinkUnavailable, match="lock timeout"):
                impatient.table("raw_data.rows").open("pipe")

    def test_connections_that_the_server_has_ended_are_not_used(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.warehouse.read("SELECT 1 AS n").num_rows == 1
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            ours = "application_name = 'penstock' AND datname = current_database()"
            admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        monkeypatch.setattr(postgres, "_STALE_SECONDS", 0.0)
        assert self.warehouse.read("SELECT 1 AS n").num_rows == 1

    def test_a_replacement_is_seen_at_once_and_keeps_grants(self, postgres_url: str) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        with sink.open("pipe") as landing:
            landing.land(batch(1, last=True))
        self.warehouse.execute("GRANT SELECT ON raw_data.rows TO PUBLIC")
        with psycopg.connect(postgres_url) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            before = reader.execute("SELECT id FROM raw_data.rows").fetchall()
            with sink.open("pipe") as landing:
                landing.land(batch(2, last=True))
            assert reader.execute("SELECT id FROM raw_data.rows").fetchall() == before == [(1,)]
            reader.rollback()
            assert reader.execute("SELECT id FROM raw_data.rows").fetchall() == [(2,)]
            granted = "SELECT has_table_privilege('public', 'raw_data.rows', 'SELECT')"
            assert reader.execute(granted).fetchall() == [(True,)]

    def test_two_pipes_merge_into_one_table(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="merge", keys=["id"])
        with sink.open("one") as one, sink.open("two") as two:
            for number in (1, 2):
                assert one.land(batch(number)).counts == two.land(batch(number)).counts == Counts(1, 1)
        assert len(self.warehouse.records("raw_data.rows").read()) == 2

    def test_keys_that_are_not_unique_are_refused(self) -> None:
        with self.warehouse.table("raw_data.rows").open("adding") as landing:
            landing.land(batch(1))
            landing.land(batch(1))
        merging = self.warehouse.table("raw_data.rows", mode="merge", keys=["id"])
        with merging.open("merging") as landing, pytest.raises(SchemaRefused, match="several rows with the same id"):
            landing.land(batch(2))

    def test_types_of_the_database_itself(self) -> None:
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TYPE raw_data.mood AS ENUM ('glad', 'sad')")
        self.warehouse.execute(
            "CREATE TABLE raw_data.rows (id bigint, mood raw_data.mood, net inet, n numeric, short varchar(3), "
            "twice bigint GENERATED ALWAYS AS (id * 2) STORED, made text DEFAULT 'by default')"
        )
        rows = [
            {"id": 1, "mood": "glad", "net": "10.0.0.0/8", "n": "1.500", "short": "abc"},
            {"id": 2, "mood": "angry", "net": "10.0.0.0/8", "n": "1", "short": "abc"},
            {"id": 3, "mood": "sad", "net": "x", "n": "1", "short": "abc"},
            {"id": 4, "mood": None, "net": None, "n": None, "short": "abcd"},
        ]
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            part = Part(pa.Table.from_pylist(rows))
            assert landing.land(Batch((part,), {})).counts == Counts(4, 1, 0, 3)
        (found,) = self.warehouse.read("SELECT *, n::text AS n_text FROM raw_data.rows").to_pylist()
        assert (found["mood"], found["net"], found["n_text"], found["twice"]) == ("glad", "10.0.0.0/8", "1.500", 2)
        assert found["made"] == "by default"


@pytest.mark.parametrize("change", [{"path": "/nowhere"}, {"netloc": "nobody:wrong@{host}"}])
def test_a_wrong_url_is_told(postgres_url: str, change: dict[str, str]) -> None:
    parts = urlsplit(postgres_url)
    host = parts.netloc.rpartition("@")[2]
    url = parts._replace(**{name: value.format(host=host) for name, value in change.items()}).geturl()
    with pytest.raises(ConfigurationError, match="does not let this user in") as told:
        Warehouse(url).read("SELECT 1")
    assert "wrong" not in str(told.value)


def test_no_server_and_no_url() -> None:
    with pytest.raises(SinkUnavailable, match="cannot be used"):
        Warehouse("postgresql://127.0.0.1:1/x").table("rows").open("pipe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Warehouse("postgresql://[broken")
