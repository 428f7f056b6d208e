"""Measure Penstock and its peers in one run, and write `docs/benchmarks.md`.

    python benchmarks/run.py                        everything, five rounds; results and page are written
    python benchmarks/run.py --quick                one short round of everything, to see that it works
    python benchmarks/run.py --topic import hello   some topics
    python benchmarks/run.py --only penstock dbos   some contenders
    python benchmarks/run.py --render               write the page again from the results that are there

The PostgreSQL topic takes its server from PENSTOCK_TEST_POSTGRES_URL. Quick and partial runs (--quick,
--only) are written to benchmarks/.work/draft instead: they are no basis for a published number.
"""

import argparse
import dataclasses
import datetime
import os
import sys
from pathlib import Path
from typing import Any

from harness import contenders, environments, machine, report, results
from harness.contenders import ROOT, Contender, Environment
from harness.places import harmless
from harness.rounds import measure
from harness.session import WORK, Session
from harness.topics import TOPICS

PAGE = ROOT / "docs" / "benchmarks.md"
DRAFT = WORK / "draft"
POSTGRES_VARIABLE = "PENSTOCK_TEST_POSTGRES_URL"


def main() -> int:
    """Run the command."""
    options = _options()
    if not options.render:
        known, every = contenders.load()
        _run(options, known, every)
    draft = options.quick or bool(options.only)
    found = results.newest(DRAFT if draft else results.FOLDER)
    page = DRAFT / "benchmarks.md" if draft else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.render(found), encoding="utf-8")
    print(f"written: {page.relative_to(ROOT)}")
    return 0


def _run(options: argparse.Namespace, known: dict[str, Environment], every: list[Contender]) -> None:
    names = {contender.name for contender in every}
    unknown = sorted(set(options.only) - names)
    if unknown:
        raise SystemExit(f"No contender is called {', '.join(unknown)}. There are: {', '.join(sorted(names))}.")
    wanted = [contender for contender in every if not options.only or contender.name in options.only]
    session = Session(
        known,
        rounds=1 if options.quick else options.rounds,
        quick=options.quick,
        postgres_url=os.environ.get(POSTGRES_VARIABLE, ""),
    )
    failed = _make_environments(known, wanted)
    absent = {one.name: failed[one.environment] for one in wanted if one.environment in failed}
    without_postgres = "" if session.postgres_url else f"no server was given ({POSTGRES_VARIABLE})"
    if without_postgres or "floor" in failed:
        reason = without_postgres or "the driver that makes its database cannot be installed"
        absent |= {one.name: reason for one in wanted if one.uses_postgres}
    taking_part = [contender for contender in wanted if contender.name not in absent]
    used = {contender.environment for contender in taking_part}
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.describe(Path(__file__).parent),
        "versions": {name: v for env in sorted(used) for name, v in environments.versions(known[env]).items()},
    }
    try:
        for name in options.topic or TOPICS:
            print(f"{name}:", flush=True)
            table = measure(session, TOPICS[name], _named(name, known, taking_part))
            for contender in _named(name, known, wanted):
                if contender.name in absent and name in contender.topics:
                    table.note(contender, f"left out: {absent[contender.name]}")
            draft = options.quick or bool(options.only)
            path = results.save(results.result_of(table, session, about), DRAFT if draft else results.FOLDER)
            print(f"written: {path.relative_to(ROOT)}", flush=True)
    finally:
        session.close()


def _named(topic: str, known: dict[str, Environment], those: list[Contender]) -> list[Contender]:
    """Return contenders under the names that suit a topic: an import is the package's, whatever it then runs."""
    if topic != "import":
        return those
    return [dataclasses.replace(one, label=known[one.environment].label, notes={}) for one in those]


def _make_environments(known: dict[str, Environment], wanted: list[Contender]) -> dict[str, str]:
    """Make what is needed; return the environments that cannot be made, and why."""
    failed: dict[str, str] = {}
    # The floor's environment holds the driver that creates and queries the PostgreSQL databases.
    for name in dict.fromkeys(["floor", *(contender.environment for contender in wanted)]):
        print(f"environment {name}", flush=True)
        try:
            environments.make(known[name])
        except environments.NotInstalled as reason:
            failed[name] = harmless(str(reason))
            print(f"  left out: {name}: {failed[name]}", flush=True)
    return failed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, written as a draft")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these contenders alone")
    parser.add_argument("--topic", nargs="+", default=[], choices=list(TOPICS), help="measure these topics alone")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of a full run (default: 5)")
    parser.add_argument("--render", action="store_true", help="measure nothing; write the page from the results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
