"""The topics of logs, rules and profiles: what each tool answers has to be what there is, or it was not measured."""

import math
import threading
from typing import Any

from harness.contenders import Contender
from harness.feeds import Feed, compare
from harness.pipes import EVENLY, Sample, lags, marks_of, percentile, sample_of
from harness.places import Answer, Failed, Place, end_group
from harness.session import Session

READING_SECONDS = 1_800.0
LINES_PER_SECOND = 50_000
LINES_PER_MB = 4_000
"""There are more of them: so much of a log is enough."""

SKETCHED = 0.10
"""How far an estimated number of different values may be off."""

NEARLY = 1e-9
PARTLY = ("wc", "grep", "goaccess")
"""Contenders that cannot answer the whole question. They say what they count, and that has to be right."""

SURPLUS, REPEATED = "id_repeated_surplus", "id_repeated_rows"


def logs(session: Session, contender: Contender, megabytes: int) -> tuple[Sample, str]:
    """Time the reading of a log: requests and bytes of each minute and status, and the first paths."""
    feed = session.feeds.log(megabytes)
    with session.place(contender) as place:
        place.variables["BENCH_SOURCE"] = feed.source
        answer = place.run("logs", str(megabytes), limit=READING_SECONDS)
        check_log(session, place, answer, feed)
    return {**sample_of(answer, megabytes), "lines": feed.facts["lines"]}, str(answer.said.get("how", ""))


def check_log(session: Session, place: Place, answer: Answer, feed: Feed) -> None:
    """See that an answer is right, and that whoever can answers the whole question."""
    counted = answer.said.get("counted")
    if place.contender.name.removesuffix("-logs") in PARTLY and counted:
        compare({name: feed.facts.get(name, 0) for name in counted}, counted)
        return
    found = session.feeds.program("log_judge.py", "look", str(place.home / "answer.json"))
    compare({name: feed.facts[name] for name in found}, found)


def follow(session: Session, contender: Contender, lines: int) -> tuple[Sample, str]:
    """Measure how long after it was written each line is counted, while lines come evenly."""
    feed = session.feeds.log(max(lines // LINES_PER_MB, 20))
    with session.place(contender) as place:
        path, ready, written = (str(place.home / name) for name in ("access.log", "ready", "written"))
        place.variables["BENCH_SOURCE"] = path
        (place.home / "access.log").touch()
        arguments = ("write", feed.source, path, str(lines), str(LINES_PER_SECOND), ready, written)
        writer = session.feeds.beside("log_judge.py", *arguments)
        threading.Thread(target=lambda: writer.wait() and place.clean(), daemon=True).start()
        try:
            answer = place.run("follow", str(lines), limit=120 + 5 * lines / LINES_PER_SECOND)
            writer.wait()
        except Failed as failure:
            raise (Failed("the program that writes the log has failed") if writer.poll() else failure) from None
        finally:
            end_group(writer)
        compare({"lines": lines}, {"lines": int(answer.said["counted"])})
        pieces = marks_of(place.home / "written")
        waits = lags(pieces, marks_of(place.home / "arrivals"))
    rate = (pieces[-1][0] - pieces[0][0]) / (pieces[-1][1] - pieces[0][1])
    if rate < EVENLY * LINES_PER_SECOND:
        raise Failed(f"the lines came too slowly: {rate:,.0f} a second")
    numbers = {f"p{rank}": percentile(waits, rank) for rank in (50, 99)}
    sample = {**sample_of(answer, lines), **numbers, "worst": max(waits)[0], "per_second": rate}
    return sample, str(answer.said.get("how", ""))


def validator(session: Session, contender: Contender, rows: int) -> tuple[Sample, str]:
    """Time the checking of twelve rules."""
    feed = session.feeds.checked(rows)
    with session.place(contender) as place:
        place.variables["BENCH_SOURCE"] = feed.source
        answer = place.run("validator", str(rows), limit=READING_SECONDS)
    broken = answer.said["broken"]
    compare(expected_of(feed.facts, broken), broken)
    return sample_of(answer, rows), str(answer.said.get("how", ""))


def expected_of(facts: dict[str, int], broken: dict[str, int]) -> dict[str, int]:
    """What each rule has to find. Values that are there twice are counted in one way or in the other."""
    other = REPEATED if SURPLUS in broken else SURPLUS
    return {name: count for name, count in facts.items() if name != other}


def profile(session: Session, contender: Contender, rows: int) -> tuple[Sample, str]:
    """Time the making of a profile."""
    feed = session.feeds.checked(rows)
    with session.place(contender) as place:
        place.variables["BENCH_SOURCE"] = feed.source
        answer = place.run("profile", str(rows), limit=READING_SECONDS)
    check_columns(feed.columns, answer.said["columns"])
    return sample_of(answer, rows), str(answer.said.get("how", ""))


def check_columns(expected: dict[str, dict[str, Any]], told: dict[str, dict[str, Any]]) -> None:
    """See that what is told of each column is so.

    Raises:
        Failed: it is not, or too little is told.
    """
    wrong = [f"nothing of {name}" for name in expected if not told.get(name)]
    for name, facts in expected.items():
        found = {key: value for key, value in told.get(name, {}).items() if value is not None}
        if found and "distinct" not in found:
            wrong.append(f"{name}: no number of different values")
        for key, value in found.items():
            if not _is_so(key, facts[key], value):
                wrong.append(f"{name}.{key}: {value} instead of {facts[key]}")
    if wrong:
        raise Failed(f"a wrong profile: {', '.join(wrong)}")


def _is_so(key: str, expected: Any, found: Any) -> bool:
    if key == "distinct":
        return math.isclose(expected, found, rel_tol=SKETCHED)
    return math.isclose(expected, found, rel_tol=NEARLY) if isinstance(expected, float) else expected == found
