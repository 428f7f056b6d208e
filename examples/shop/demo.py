"""`make demo`: three days of a web shop, from its systems to tables that people read, offline.

With servers (those of compose.yaml): `make demo ARGS="--profile services"`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import servers
from api import ShopApi
from places import CHANGES, Places
from systems import Shop
from world import World, date_of

from penstock import PenstockError
from penstock.app import chosen_profile, current, load_settings
from penstock.core.events import RunCompleted
from penstock.core.model import RunFilter

EXAMPLE = Path(__file__).resolve().parent
PROJECT = EXAMPLE.parent.parent
STARTED_IN = Path.cwd()
STYLED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


@dataclass
class Stage:
    """Where the story takes place.

    Attributes:
        shop: the shop's systems.
        api: one of them.
        places: where the pipeline finds and brings everything.
        options: what `penstock run` is told of that.
    """

    shop: Shop
    api: ShopApi
    places: Places
    options: list[str]


def main(arguments: list[str]) -> None:
    """Tell the story from the shop's systems to the tables."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    os.environ["no_proxy"] = "127.0.0.1"
    world = World()
    if arguments and (len(arguments) != 2 or arguments[0] != "--profile"):
        stop("it takes nothing but --profile NAME.")
    stage = on_servers(world, arguments[1]) if arguments else in_one_folder(world)
    with stage.api as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        show_systems(stage.places)
        for day in range(world.days):
            stage.shop.open(day)
            run_day(day, stage.options)
        api.shutdown()
    show_balance()
    show_revenue(world, stage.places)
    show_next_steps(stage.places, api, arguments)


def in_one_folder(world: World) -> Stage:
    """All of it in the project's home folder."""
    os.chdir(PROJECT)
    folder = current().home / "shop"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shop, api = Shop(world, folder / "systems"), ShopApi(world)
    places = Places.in_folder(folder, api=api.url, logs=shop.logs, database=shop.database)
    parameters = folder / "places.json"
    parameters.write_text(json.dumps({"places": asdict(places)}, indent=2))
    return Stage(shop, api, places, ["--params-file", shown(parameters)])


def on_servers(world: World, name: str) -> Stage:
    """Where a profile of `pyproject.toml` beside this file says."""
    os.chdir(EXAMPLE)
    os.environ["PENSTOCK_PROFILE"] = name
    settings, profile = load_settings(), chosen_profile()
    assert profile is not None
    places = Places(**profile.parameters["shop"]["places"])
    if not places.followed:
        stop("without servers it has a folder of its own: leave --profile out.")
    servers.prepare(places, settings.database_url)
    database = f"postgresql://{places.database.removeprefix(CHANGES)}"
    shop = Shop(world, Path(), database, places.logs)
    port = urlsplit(places.api).port or 80
    return Stage(shop, ShopApi(world, [port]), places, ["--profile", name])


def show_systems(places: Places) -> None:
    """What the pipeline reads."""
    heading("A web shop, with the data of a real one: late, twice, cancelled, cut off")
    print(f"  {places.api}/products, /customers   an API that is busy now and then")
    print(f"  {shown(places.database)}   its orders")
    print(f"  {shown(places.logs)}   its click logs")


def run_day(day: int, options: list[str]) -> None:
    """Run the flow as anybody would, from the command line."""
    arguments = ["run", f"{shown(EXAMPLE / 'flow.py')}:shop", *options]
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


def show_next_steps(places: Places, api: ShopApi, arguments: list[str]) -> None:
    """Commands that work when they are copied."""
    here = Path.cwd()
    heading("What to try next" if here == STARTED_IN else f"What to try next, in {here}")
    command = shlex.join([*shlex.split(penstock()), *arguments])
    logs = places.logs if places.followed else f"{shown(places.logs)}/*.gz"
    steps = [
        ("every step of the last run", f"{command} runs show last"),
        ("what it logged", f"{command} runs logs last"),
        ("the logs into a file; lines that are cut off are set aside", f"{command} ingest '{logs}' clicks.parquet"),
    ]
    if not places.followed:
        database = places.database.replace(f"{here}{os.sep}", "")
        steps += [
            ("a table of the shop's database into a file", f"{command} ingest '{database}#orders' orders.parquet"),
            ("the first pipeline there was, on one screen", f"{python()} examples/users_posts/demo.py"),
        ]
    for text, line in steps:
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
    text = re.sub(r"(?<=://)[^/@]*@", "", str(path).removeprefix("sqlite:///"))
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
        main(sys.argv[1:])
    except (OSError, PenstockError) as problem:
        stop(str(problem))
    except KeyboardInterrupt:
        stop("stopped.")
