"""examples/shop from outside: its tables say what happened, in one folder and on servers, and whatever is killed."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import ROOT, Cli
from tests.conftest import service_url
from tests.integration.buckets import Bucket

pytestmark = pytest.mark.acceptance
EXAMPLE = ROOT / "examples" / "shop"


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


@pytest.fixture
def shop(tmp_path: Path, penstock_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop with small days, in one folder."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("api", "places", "records", "systems", "world"):
        monkeypatch.delitem(sys.modules, name, raising=False)
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
            "logs": str(systems.logs),
            "database": systems.database,
            "lake": str(folder / "lake"),
            "warehouse": f"duckdb:///{folder / 'warehouse.duckdb'}",
            "exports": str(folder / "exports"),
        }
        made = Shop(Cli(folder, penstock_home), places, systems.open, world.truth)
        made.moved = lambda database: Systems(world, folder / "systems", database)  # type: ignore[attr-defined]
        yield made
        api.shutdown()
    for name in ("api", "places", "records", "systems", "world"):
        sys.modules.pop(name, None)


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
        time.sleep(chance.uniform(0.8, 2.5))
        process.send_signal(signal.SIGKILL)
        killed = shop.cli.end(process).code != 0
        if (
            killed
            and shop.cli.json("runs", "list", "--flow", "shop", "--limit", "1")["runs"][0]["state"] != "Completed"
        ):
            shop.cli.run("runs", "resume", "last", "--quiet")
    shop.run()
    shop.check(3)


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
