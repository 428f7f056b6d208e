"""Penstock: the log analyser, the validator and the profile, with their defaults."""

import os
import sys
from datetime import datetime
from threading import Event

import numpy  # noqa: F401 (it is imported when it is needed; nobody's imports are timed here)
import polars  # noqa: F401
import pyarrow  # noqa: F401
from common import number
from log_answer import save
from meter import Arrivals, Watch, inside, source
from order_rules import PENSTOCK, micros


def logs() -> None:
    from penstock.processing.logs import LogAnalyzer

    analyzer = LogAnalyzer()
    watch = Watch()
    report = analyzer.analyze(source())
    watch.tell()
    if report.parsed + report.malformed + report.skipped != report.lines:
        sys.exit("error: lines are not accounted for")
    groups = report.by_status.select("time", "status", "requests", "bytes").iter_rows()
    save(groups, ((row["path"], row["n"]) for row in report.paths.rows))


def validator() -> None:
    from penstock.quality import DataValidator

    rules = DataValidator([{**rule, "name": name} for name, rule in PENSTOCK.items()])
    watch = Watch()
    report = rules.validate_dataset(source(), statistics=os.environ["BENCH_STATISTICS"] == "yes")
    watch.tell(
        broken={one.rule.name: int(not one.good) if one.failed is None else one.failed for one in report.results}
    )


def profile() -> None:
    from penstock.quality import profile as profile_of

    watch = Watch()
    found = profile_of(source())
    columns = {}
    for one in found.columns:
        lowest, highest = one.minimum, one.maximum
        if isinstance(lowest, datetime):
            lowest, highest = (micros(each) for each in (lowest, highest))
        known = {"rows": one.rows, "nulls": one.nulls, "distinct": one.distinct, "min": lowest, "max": highest}
        columns[one.name] = known
    watch.tell(columns=columns)


def follow() -> None:
    """Until all lines are counted; they are written while this runs."""
    from penstock.processing.logs import LogAnalyzer

    wanted, every, stop = number(2), float(os.environ["BENCH_EVERY"]), Event()
    arrivals, watch = Arrivals(), Watch()
    with open(inside("ready"), "w", encoding="ascii"):
        pass
    for interval in LogAnalyzer().follow(source(), every=every, stop=stop):
        if interval.lines:
            arrivals.add(interval.lines)
        if arrivals.count >= wanted:
            stop.set()
    arrivals.save()
    watch.tell(counted=arrivals.count, how=f"the whole analysis, told every {every:g} s, and kept in a journal")


def main() -> None:
    topics = {"logs": logs, "follow": follow, "validator": validator, "profile": profile}
    topics[sys.argv[1]]()


if __name__ == "__main__":
    main()
