"""`make demo`: three days of a web shop, from its systems to tables that people read, offline."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from api import ShopApi
from places import Places
from systems import Shop
from world import World, date_of

from penstock import PenstockError
from penstock.app import current
from penstock.core.events import RunCompleted
from penstock.core.model import RunFilter

EXAMPLE = Path(__file__).resolve().parent
PROJECT = EXAMPLE.parent.parent
STARTED_IN = Path.cwd()
STYLED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> None:
    """Tell the story from the shop's systems to the tables."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    os.chdir(PROJECT)
    os.environ["no_proxy"] = "127.0.0.1"
    folder = current().home / "shop"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    world = World()
    shop = Shop(world, folder / "systems")
    with ShopApi(world) as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        places = Places.in_folder(folder, api=api.url, logs=str(shop.logs), database=shop.database)
        show_systems(places)
        for day in range(world.days):
            shop.open(day)
            run_day(day, places, folder)
        api.shutdown()
    show_balance()
    show_revenue(world, places)
    show_next_steps(places, api)


def show_systems(places: Places) -> None:
    """What the pipeline reads."""
    heading("A web shop, with the data of a real one: late, twice, cancelled, cut off")
    print(f"  {places.api}/products, /customers   an API that is busy now and then")
    print(f"  {shown(places.database)}   its orders")
    print(f"  {shown(places.logs)}   its click logs")


def run_day(day: int, places: Places, folder: Path) -> None:
    """Run the flow as anybody would, from the command line."""
    parameters = folder / "places.json"
    parameters.write_text(json.dumps({"places": asdict(places)}, indent=2))
    arguments = ["run", f"{shown(EXAMPLE / 'flow.py')}:shop", "--params-file", shown(parameters)]
    heading(f"{date_of(day):%A, %d %B}")
    print(f"  $ {penstock()} {shlex.join(arguments)}\n", flush=True)
    done = subprocess.run([sys.executable, "-m", "penstock", *arguments], check=False)
    if done.returncode:
        stop(f"The pipeline ended with exit code {done.returncode}; what it said stands above.")


def show_balance() -> None:
    """Where every record went: read = landed + rejected."""
    heading("Where every record went")
    runs = [run for run in current().journal.runs(RunFilter(flow="shop", limit=3)) if run.state == "Completed"]
    if len(runs) != 3:
        stop("The journal does not show three completed runs.")
    for run in reversed(runs):
        collected = result_of(run.id)["collected"]
        for name, counts in collected.items():
            if counts["read"] != counts["landed"] + counts["rejected"]:
                stop(f"The {name} do not add up.")
        told = ", ".join(f"{counts['read']:,} {name}" for name, counts in collected.items())
        aside = sum(counts["rejected"] for counts in collected.values())
        print(f"  {told}; {aside} of them set aside, with the reason")


def result_of(run_id: str) -> dict[str, Any]:
    """What the flow returned."""
    app = current()
    for stored in app.journal.load(run_id):
        if isinstance(stored.event, RunCompleted) and stored.event.result is not None:
            found: dict[str, Any] = app.results.load(stored.event.result, stored.data)
            return found
    stop(f"The run {run_id} has no result.")


def show_revenue(world: World, places: Places) -> None:
    """Revenue as the tables have it, beside what really happened."""
    heading("Revenue, and what really happened")
    truth = world.truth()
    rows = rows_of(places, "daily_revenue")
    for row in rows:
        print(f"  {row['day']}   {row['orders']:>4} orders   {Decimal(row['revenue']):>12,.2f} €")
    found = {row["day"]: (int(row["orders"]), Decimal(row["revenue"])) for row in rows}
    expected = {str(day): (truth.orders[day], amount) for day, amount in truth.revenue.items()}
    if found != expected:
        stop(f"That is not what happened: {expected}")
    print("  The shop of this demo is made up, so the true figures are known: these are they, to the cent.")
    best = rows_of(places, "category_revenue")[0]
    print(f"  Most was made with {best['category']}: {Decimal(best['revenue']):,.2f} € for {best['pieces']} pieces.")


def rows_of(places: Places, name: str) -> list[dict[str, str]]:
    """The rows of one of the exports."""
    with open(Path(places.exports) / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def show_next_steps(places: Places, api: ShopApi) -> None:
    """Commands that work when they are copied."""
    heading("What to try next" if STARTED_IN == PROJECT else f"What to try next, in {PROJECT}")
    command = penstock()
    database = places.database.replace(f"{Path.cwd()}{os.sep}", "")
    for text, line in [
        ("every step of the last run", f"{command} runs show last"),
        ("what it logged", f"{command} runs logs last"),
        (
            "the logs into a file; lines that are cut off are set aside",
            f"{command} ingest '{shown(places.logs)}/*.gz' clicks.parquet",
        ),
        ("a table of the shop's database into a file", f"{command} ingest '{database}#orders' orders.parquet"),
        ("the first pipeline there was, on one screen", f"{python()} examples/users_posts/demo.py"),
    ]:
        print(f"  {dim('# ' + text)}\n  {line}\n")
    print(f"  The code is in {shown(EXAMPLE)}: flow.py first. The tables are in {shown(places.exports)}.")


def heading(text: str) -> None:
    """Begin a part."""
    print(f"\n\x1b[1m{text}\x1b[0m" if STYLED else f"\n{text}", flush=True)


def dim(text: str) -> str:
    """What explains."""
    return f"\x1b[2m{text}\x1b[0m" if STYLED else text


def shown(path: Path | str) -> str:
    """A path as it is shortest from here."""
    text = str(path).removeprefix("sqlite:///")
    return os.path.relpath(text) if Path(text).is_relative_to(Path.cwd()) else text


def penstock() -> str:
    """The `penstock` command that belongs to this interpreter, as people would type it here."""
    beside = Path(sys.executable).absolute().with_name("penstock")
    if shutil.which("penstock") == str(beside):
        return "penstock"
    return shown(beside) if beside.is_file() else f"{python()} -m penstock"


def python() -> str:
    """The interpreter that runs this, as people would type it here."""
    return shown(Path(sys.executable).absolute())


def stop(reason: str) -> NoReturn:
    """Something is not as it has to be."""
    sys.exit(f"demo: {reason}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, PenstockError) as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        stop("stopped.")
