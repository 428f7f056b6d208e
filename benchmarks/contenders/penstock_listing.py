"""Penstock: pages of a journal with very many runs, as `penstock runs list` asks for them."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from time import perf_counter
from typing import Any

from common import home, number, report
from plant import percentile

from penstock.core.model import RunFilter
from penstock.journal import SqliteJournal
from penstock.testing.bulk import BEGIN, SECOND, fill

POSTGRES = os.environ.get("BENCH_POSTGRES", "")
TIMES = 60
PAGE = 50


def filled(runs: int) -> Path:
    """Fill a journal, once for all contenders and rounds of this measurement: a million runs take minutes."""
    path = Path(home()).parent / f"filled-{runs}" / "journal.db"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        begun = path.with_name("begun.db")
        begun.unlink(missing_ok=True)
        journal = SqliteJournal(begun)
        fill(journal, runs)
        journal.close()
        begun.rename(path)
    return path


def opened(runs: int) -> Any:
    """Open a journal that is full. To PostgreSQL it is copied: making the runs there takes an hour."""
    path = filled(runs)
    if not POSTGRES:
        own = Path(home()) / "journal.db"
        copyfile(path, own)
        return SqliteJournal(own)
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "integration"))
    from copying import copy_to_postgres

    from penstock.journal.postgres import PostgresJournal

    copy_to_postgres(path, POSTGRES)
    return PostgresJournal(POSTGRES)


def questions(runs: int) -> dict[str, Callable[[int], dict[str, Any]]]:
    """What is asked, by kind: each time (0, 1, 2, ...) for something else, common and rare in turn."""

    def when(place: int) -> int:
        return BEGIN + runs * SECOND * (place % TIMES) // TIMES

    def parameters(place: int) -> dict[str, str]:
        return ({"rare": "yes"}, {"customer": str(97 * place)}, {"limit": "10", "day": "2026-03-04"})[place % 3]

    states = ("Completed", "Failed", "Crashed", "Running")
    words = ("api 50", "memory clean", "flow_3", "rar", "no such user", "deployment 7", "amber", "orders")
    return {
        "first": lambda _: {},
        "state": lambda place: {"states": (states[place % 4],)},
        "flow": lambda place: {"flow": "rare" if place % 5 == 0 else f"flow_{place % 20}"},
        "tag": lambda place: {"tags": (("rare",), ("prod",), (f"team-{place % 10}", "test"))[place % 3]},
        "parameter": lambda place: {"parameters": parameters(place)},
        "text": lambda place: {"text": words[place % len(words)]},
        "time": lambda place: {"since": when(place), "until": when(place) + 3_600 * SECOND},
        "mixed": lambda place: {
            "states": ("Failed",), "tags": ("prod",), "deployment": f"deployment {place % 50}", "since": when(place),
        },
    }  # fmt: skip


def timed(journal: Any, asked: Iterator[dict[str, Any]]) -> tuple[list[float], list[Any]]:
    """How long each page took (seconds), and the pages."""
    times, pages = [], []
    for where in asked:
        started = perf_counter()
        page = journal.runs(RunFilter(limit=PAGE, **where))
        times.append(perf_counter() - started)
        pages.append(page)
    return times, pages


def listing(runs: int) -> None:
    journal = opened(runs)
    journal.runs(RunFilter(limit=PAGE))
    found: dict[str, list[float]] = {}
    for kind, question in questions(runs).items():
        found[kind], pages = timed(journal, (question(place) for place in range(TIMES)))
        if not any(pages):
            raise SystemExit(f"no run was found by {kind}")
    before = [page[-1].id for page in pages if page]
    found["next"], _ = timed(journal, ({"tags": ("prod",), "before": before[i % len(before)]} for i in range(TIMES)))
    worst = max(found, key=lambda kind: percentile(found[kind], 95))
    told = {f"{kind}_p{rank}": percentile(times, rank) for kind, times in found.items() for rank in (50, 95)}
    report(p95=percentile(found[worst], 95), worst=worst, pages=TIMES * len(found), **told)
    journal.close()


if __name__ == "__main__":
    listing(number(2))
