"""examples/shop from outside: its tables say what happened, in one folder and on servers, and whatever is killed."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import pytest
from tests.acceptance.cli_lab import ROOT, Cli
from tests.conftest import service_url
from tests.integration.buckets import Bucket
from tests.patience import until

from penstock.app import chosen_profile
from penstock.stores.lake import Lake
from penstock.stores.warehouse import Warehouse

pytestmark = pytest.mark.acceptance
EXAMPLE = ROOT / "examples" / "shop"
MODULES = ("api", "places", "records", "servers", "systems", "world")
SECRETS = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY")


@dataclass
class Shop:
    """A shop that is open, and where its pipeline brings everything."""

    cli: Cli
    places: dict[str, str]
    open: Callable[[int], None]
    truth: Callable[[int], Any]

    def command(self) -> list[str]:
        file = self.cli.folder / "places.json"
        file.write_text(json.dumps({"places": self.places}))
        return ["run", f"{EXAMPLE / 'flow.py'}:shop", "--params-file", str(file), "--quiet"]

    def run(self) -> None:
        self.cli.run(*self.command())

    def rows(self, name: str) -> list[dict[str, str]]:
        with open(Path(self.places["exports"]) / f"{name}.csv", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def check(self, days: int) -> None:
        """All figures are those of what happened."""
        truth = self.truth(days)
        daily = {row["day"]: (int(row["orders"]), Decimal(row["revenue"])) for row in self.rows("daily_revenue")}
        assert daily == {str(day): (truth.orders[day], amount) for day, amount in truth.revenue.items()}
        categories = {row["category"]: Decimal(row["revenue"]) for row in self.rows("category_revenue")}
        assert categories == truth.categories
        people = {int(row["customer_id"]): Decimal(row["revenue"]) for row in self.rows("customer_value")}
        assert people == truth.customers
        clicks: dict[str, int] = {}
        for row in self.rows("funnel"):
            clicks[row["action"]] = clicks.get(row["action"], 0) + int(row["clicks"])
        assert clicks == truth.actions


@contextmanager
def imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, the modules of the example in this folder can be imported."""
    monkeypatch.syspath_prepend(str(folder))
    for name in MODULES:
        sys.modules.pop(name, None)
    try:
        yield
    finally:
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def shop(tmp_path: Path, penstock_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop with small days, in one folder."""
    with imported(EXAMPLE, monkeypatch):
        from api import ShopApi
        from systems import Shop as Systems
        from world import World

        world = World(11, days=3, orders=60, customers=40)
        folder = tmp_path / "project"
        folder.mkdir()
        systems = Systems(world, folder / "systems")
        with ShopApi(world) as api:
            threading.Thread(target=api.serve_forever, daemon=True).start()
            places = {
                "api": api.url,
                "logs": systems.logs,
                "database": systems.database,
                "lake": str(folder / "lake"),
                "warehouse": f"duckdb:///{folder / 'warehouse.duckdb'}",
                "exports": str(folder / "exports"),
            }
            made = Shop(Cli(folder, penstock_home), places, systems.open, world.truth)
            made.moved = lambda database: Systems(world, folder / "systems", database)  # type: ignore[attr-defined]
            yield made
            api.shutdown()


def test_its_tables_say_what_happened_day_after_day(shop: Shop) -> None:
    for day in range(3):
        shop.open(day)
        shop.run()
        shop.check(day + 1)
    shop.run()
    shop.check(3)


def test_killed_and_resumed_no_row_lands_twice(shop: Shop) -> None:
    chance = random.Random(5)
    for day in range(3):
        shop.open(day)
        process: subprocess.Popen[str] = shop.cli.start(*shop.command())
        wanted = chance.randint(0, 10)
        until(lambda: process.poll() is not None or steps_done(shop.cli.home, day + 1) >= wanted, f"{wanted} steps")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        shop.cli.end(process)
        (run,) = shop.cli.json("runs", "list", "--flow", "shop", "--limit", "1")["runs"]
        if run["state"] != "Completed":
            shop.cli.run("runs", "resume", "last", "--quiet")
    shop.run()
    shop.check(3)


def steps_done(home: Path, runs: int) -> int:
    """How many steps of the run of this number have completed; -1 while there is no such run."""
    try:
        with closing(sqlite3.connect(f"file:{home / 'journal.db'}?mode=ro", uri=True)) as journal:
            ids = [row[0] for row in journal.execute("SELECT id FROM runs ORDER BY id")]
            sql = "SELECT count(*) FROM task_runs WHERE state = 'Completed' AND run_id = ?"
            return int(journal.execute(sql, ids[-1:]).fetchone()[0]) if len(ids) == runs else -1
    except sqlite3.OperationalError:  # there is no journal yet
        return -1


@pytest.mark.integration
def test_the_same_pipeline_on_servers(shop: Shop, postgres_url: str, tmp_path: Path) -> None:
    bucket = Bucket(service_url("s3"))
    systems = shop.moved(postgres_url)  # type: ignore[attr-defined]
    shop.cli.environ.update(
        AWS_ENDPOINT_URL=f"http://{bucket.host}:{bucket.port}",
        AWS_ACCESS_KEY_ID=bucket.access["access_key_id"],
        AWS_SECRET_ACCESS_KEY=bucket.access["secret_access_key"],
        AWS_REGION="us-east-1",
    )
    shop.places |= {"database": postgres_url, "warehouse": postgres_url, "lake": f"s3://{bucket.name}/lake"}
    try:
        for day in range(2):
            systems.open(day)
            shop.run()
            shop.check(day + 1)
    finally:
        bucket.remove()


@dataclass
class Both:
    """A copy of the example, with systems of its own kind for each of its two profiles, and one API for both."""

    cli: Cli
    journal: str
    warehouses: dict[str, str]
    lakes: dict[str, str]
    open: Callable[[int], None]
    truth: Callable[[int], Any]

    def tables(self, profile: str) -> dict[str, list[tuple[Any, ...]]]:
        """The tables of `analytics`, in any order of rows and notation of numbers."""
        with Warehouse(self.warehouses[profile]) as warehouse:
            listed = warehouse.read("SELECT table_name FROM information_schema.tables WHERE table_schema = 'analytics'")
            names = sorted(
                name
                for name in listed.column("table_name").to_pylist()
                if not name.startswith("penstock_") and "__" not in name
            )
            found = {name: warehouse.read(f"SELECT * FROM analytics.{name}") for name in names}
        return {name: sorted(map(_plain, rows.to_pylist()), key=str) for name, rows in found.items()}

    def run(self, profile: str) -> None:
        self.cli.run("run", "flow.py:shop", "--profile", profile, "--quiet")

    def kill_and_resume(self, runs: int, steps: int) -> None:
        """Begin the run of this number on servers, kill it when some of its steps have completed, and go on with it."""
        import psycopg

        process = self.cli.start("run", "flow.py:shop", "--profile", "services", "--quiet")
        with psycopg.connect(self.journal, autocommit=True) as journal:

            def begun() -> bool:
                if journal.execute("SELECT to_regclass('penstock.task_runs')").fetchone() == (None,):
                    return False
                done = journal.execute(
                    "SELECT count(*) FROM penstock.task_runs WHERE state = 'Completed' AND"
                    " run_id = (SELECT max(id) FROM penstock.runs) AND (SELECT count(*) FROM penstock.runs) = %s",
                    [runs],
                ).fetchone()
                return process.poll() is not None or (done is not None and done[0] >= steps)

            until(begun, f"{steps} steps of run {runs}")
        assert self.cli.end(process, signal.SIGKILL).code == -signal.SIGKILL
        listed = self.cli.json("runs", "list", "--profile", "services")["runs"]
        assert (len(listed), listed[0]["state"]) == (runs, "Crashed")
        self.cli.run("runs", "resume", "last", "--profile", "services", "--quiet")


def _plain(row: dict[str, Any]) -> tuple[Any, ...]:
    def plain(value: Any) -> Any:
        return Decimal(str(value)).normalize() if isinstance(value, (int, float, Decimal)) else str(value)

    return tuple((name, plain(value)) for name, value in sorted(row.items()))


@pytest.fixture
def both(tmp_path: Path, penstock_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    import psycopg
    from confluent_kafka.admin import AdminClient

    folder = tmp_path / "shop"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".penstock", "__pycache__"))
    postgres, brokers, name = service_url("postgres"), service_url("kafka"), f"penstock_demo_{uuid4().hex[:8]}"
    server = urlsplit(postgres)
    bucket = Bucket(service_url("s3"))
    with imported(folder, monkeypatch):
        import servers
        from api import ShopApi
        from places import Places
        from systems import Shop as Systems
        from world import World

        world = World(11, days=3, orders=60, customers=40)
        variables = {
            "SHOP_POSTGRES": f"{server.username}@{server.hostname}:{server.port}",
            "PGPASSWORD": unquote(server.password or ""),
            "SHOP_KAFKA": brokers,
            "SHOP_BUCKET": bucket.name,
            "SHOP_NAME": name,
            "AWS_ENDPOINT_URL": f"http://{bucket.host}:{bucket.port}",
            "AWS_ACCESS_KEY_ID": bucket.access["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": bucket.access["secret_access_key"],
        }
        cli = Cli(folder, penstock_home)
        del cli.environ["PENSTOCK_HOME"]
        with ShopApi(world) as api:
            threading.Thread(target=api.serve_forever, daemon=True).start()
            for variable, value in {**variables, "SHOP_API": api.url, "PENSTOCK_PROFILE": "services"}.items():
                monkeypatch.setenv(variable, value)
            cli.environ |= {**variables, "SHOP_API": api.url}
            profile = chosen_profile(start=folder)
            places = Places(**profile.parameters["shop"]["places"])  # type: ignore[union-attr]
            servers.prepare(places, str(profile.settings["database_url"]))
            monkeypatch.delenv("PENSTOCK_PROFILE")
            shops = [
                Systems(world, folder / ".penstock" / "systems"),
                Systems(world, folder, places.database.replace("cdc://", "postgresql://"), places.logs),
            ]
            yield Both(
                cli,
                str(profile.settings["database_url"]),
                {"embedded": f"duckdb:///{folder}/.penstock/warehouse.duckdb", "services": places.warehouse},
                {"embedded": str(folder / ".penstock" / "lake"), "services": places.lake},
                lambda day: [each.open(day) for each in shops] and None,
                world.truth,
            )
            api.shutdown()
    with psycopg.connect(postgres, autocommit=True) as connection:
        for database in ("journal", "shop", "warehouse"):
            connection.execute(f'DROP DATABASE IF EXISTS "{name}_{database}" WITH (FORCE)')
    admin, topic = AdminClient({"bootstrap.servers": brokers}), f"{name}_clicks"
    admin.delete_topics([topic])[topic].result()
    bucket.remove()


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_the_same_flow_by_settings_only_and_killed_midway(both: Both) -> None:
    for day, steps in enumerate((2, 6)):
        both.open(day)
        both.run("embedded")
        both.kill_and_resume(day + 1, steps)
        tables = both.tables("embedded")
        assert both.tables("services") == tables
        assert {"daily_revenue", "category_revenue", "customer_value", "funnel"} <= set(tables)
        assert all(tables.values())
        truth = both.truth(day + 1)
        assert {row["day"]: row["revenue"] for row in map(dict, tables["daily_revenue"])} == {
            str(each): amount.normalize() for each, amount in truth.revenue.items()
        }
    clicks = [Lake(both.lakes[profile]).read("raw/clicks").read_all().num_rows for profile in ("embedded", "services")]
    assert clicks[0] == clicks[1]


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_the_demo_on_servers_tells_the_truth(both: Both) -> None:
    both.cli.environ["SHOP_API"] = free_address()
    done = subprocess.run(
        [sys.executable, "demo.py", "--profile", "services"],
        cwd=both.cli.folder,
        env=both.cli.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓ shop completed") == 3
    assert "to the cent" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    recorded = both.cli.run("runs", "show", "last", "--json", "--profile", "services").out
    assert not [name for name in SECRETS if both.cli.environ[name] in done.stdout + recorded]


def free_address() -> str:
    """Of a port below those that the system hands out by itself."""
    for port in range(18280, 18380):
        with socket.socket() as place:
            if place.connect_ex(("127.0.0.1", port)):
                break
    return f"http://127.0.0.1:{port}"


def test_the_demo_tells_the_truth(penstock_home: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path, penstock_home)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py")],
        cwd=ROOT,
        env=cli.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓ shop completed") == 3
    assert "to the cent" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
