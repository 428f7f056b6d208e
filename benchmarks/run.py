"""Measure Penstock and its peers in one run, and write `docs/benchmarks.md`.

    python benchmarks/run.py                        everything, five rounds; results and page are written
    python benchmarks/run.py --quick                one short round of everything, to see that it works
    python benchmarks/run.py --topic import hello   some topics
    python benchmarks/run.py --only penstock dbos   some contenders
    python benchmarks/run.py --topic logs --size 500    a topic at another size than its own
    python benchmarks/run.py --render               write the page again from the results that are there
    python benchmarks/run.py --needs --topic cdc    say which servers that needs, and measure nothing

Servers are taken from PENSTOCK_TEST_POSTGRES_URL, PENSTOCK_TEST_KAFKA_URL and PENSTOCK_TEST_TIMESERIES_URL;
scripts/bench starts those that are needed. Quick and partial runs (--quick, --only, --size) are written to
benchmarks/.work/draft instead: they are no basis for a published number.
"""

import argparse
import dataclasses
import datetime
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from harness import contenders, environments, machine, report, results
from harness.contenders import ROOT, Contender, Environment
from harness.places import harmless
from harness.rounds import Table, measure
from harness.session import WORK, Session
from harness.topics import TOPICS

PAGE = ROOT / "docs" / "benchmarks.md"
DRAFT = WORK / "draft"
SERVICES = {name: f"PENSTOCK_TEST_{name.upper()}_URL" for name in ("postgres", "kafka", "timeseries")}
Absent = dict[str, str]


def main() -> int:
    """Run the command."""
    options = _options()
    known, every = contenders.load()
    if options.needs:
        print(*_needed(options, every))
        return 0
    if not options.render:
        _run(options, known, every)
    draft = _is_draft(options)
    found = results.newest(DRAFT if draft else results.FOLDER)
    page = DRAFT / "benchmarks.md" if draft else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.render(found), encoding="utf-8")
    print(f"written: {page.relative_to(ROOT)}")
    return 0


def _is_draft(options: argparse.Namespace) -> bool:
    return options.quick or bool(options.only or options.size)


def _asked(options: argparse.Namespace, every: list[Contender]) -> tuple[list[str], list[Contender]]:
    """Return the topics that are asked for, and who takes part in one of them or is said to be left out of it."""
    names = {contender.name for contender in every}
    unknown = sorted(set(options.only) - names)
    if unknown:
        raise SystemExit(f"No contender is called {', '.join(unknown)}. There are: {', '.join(sorted(names))}.")
    topics = options.topic or list(TOPICS)
    meant = [one for one in every if not options.only or one.name in options.only]
    return topics, [one for one in meant if not set(topics).isdisjoint({*one.topics, *one.without})]


def _needed(options: argparse.Namespace, every: list[Contender]) -> list[str]:
    """Return the servers that a run needs."""
    topics, wanted = _asked(options, every)
    if options.render:
        return []
    found = set()
    for topic in topics:
        taking_part = [one for one in wanted if topic in one.topics]
        found |= set(TOPICS[topic].needs) if taking_part else set()
        found |= {"postgres"} if any(one.uses_postgres for one in taking_part) else set()
    return [name for name in SERVICES if name in found]


def _run(options: argparse.Namespace, known: dict[str, Environment], every: list[Contender]) -> None:
    topics, wanted = _asked(options, every)
    services = {name: os.environ[variable] for name, variable in SERVICES.items() if os.environ.get(variable)}
    rounds = 1 if options.quick else options.rounds
    session = Session(known, rounds, options.quick, services=services, sizes=tuple(options.size or ()))
    helping = [one for topic in topics for one in TOPICS[topic].needs if one in known]
    # The floor's environment holds the driver that creates and queries the PostgreSQL databases.
    used = [one.environment for one in wanted if not set(topics).isdisjoint(one.topics)]
    failed = _make_environments(known, ["floor", *helping, *used])
    absent = {one.name: failed[one.environment] for one in wanted if one.environment in failed}
    absent |= {one.name: missing for one in wanted if (missing := _without_program(one))}
    if "postgres" not in services or "floor" in failed:
        reason = "the driver that makes its database cannot be installed" if "floor" in failed else _missing("postgres")
        absent |= {one.name: reason for one in wanted if one.uses_postgres}
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.describe(Path(__file__).parent),
    }
    draft = _is_draft(options)
    try:
        for name in topics:
            print(f"{name}:", flush=True)
            table = _table(session, name, _named(name, known, wanted), absent, failed)
            used = sorted({row.contender.environment for row in table.rows})
            found = {what: version for one in used for what, version in environments.versions(known[one]).items()}
            result = results.result_of(table, session, {**about, "versions": found})
            path = results.save(result, DRAFT if draft else results.FOLDER)
            print(f"written: {path.relative_to(ROOT)}", flush=True)
    finally:
        session.close()


def _table(session: Session, name: str, wanted: list[Contender], absent: Absent, failed: Absent) -> Table:
    """Measure a topic; note who cannot take part in it."""
    topic = TOPICS[name]
    missing = [_missing(one) for one in topic.needs if one in SERVICES and one not in session.services]
    missing += [f"what is read cannot be made, or looked at: {failed[one]}" for one in topic.needs if one in failed]
    without = {one.name: missing[0] for one in wanted} if missing else absent
    table = measure(session, topic, [one for one in wanted if one.name not in without])
    for contender in wanted:
        if contender.name in without and name in contender.topics:
            table.note(contender, f"left out: {without[contender.name]}")
    return table


def _without_program(contender: Contender) -> str:
    return "".join(f"{one} is not installed" for one in contender.programs if shutil.which(one) is None)


def _missing(service: str) -> str:
    return f"no server was given ({SERVICES[service]})"


def _named(topic: str, known: dict[str, Environment], those: list[Contender]) -> list[Contender]:
    """Return contenders under the names that suit a topic: an import is the package's, whatever it then runs."""
    if topic != "import":
        return those
    return [dataclasses.replace(one, label=known[one.environment].label, notes={}) for one in those]


def _make_environments(known: dict[str, Environment], wanted: list[str]) -> Absent:
    """Make what is needed; return the environments that cannot be made, and why."""
    failed: Absent = {}
    for name in dict.fromkeys(wanted):
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
    parser.add_argument("--size", nargs="+", type=int, metavar="N", help="how many of its things a topic is about")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of a full run (default: 5)")
    parser.add_argument("--render", action="store_true", help="measure nothing; write the page from the results")
    parser.add_argument("--needs", action="store_true", help="measure nothing; name the servers that are needed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
