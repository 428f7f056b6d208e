"""The topics of data: from a source into a store. What was written is counted, and a wrong result is a failure."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.contenders import Contender
from harness.feeds import STARTING_SECONDS, Feed, Feeds, compare
from harness.places import Answer, Failed, Place, end_group
from harness.session import Session

Sample = dict[str, float]
Measure = Callable[[Session, Contender, int], tuple[Sample, str]]
LOADING_SECONDS = 900.0
STREAM_PER_SECOND = 5_000
EVENLY = 0.98
"""The share of the changes of a second that have to come in it."""


def loading(topic: str, feed_of: Callable[[Feeds, int], Feed]) -> Measure:
    """Time the reading of a feed into a table that is not there yet."""

    def measure(session: Session, contender: Contender, rows: int) -> tuple[Sample, str]:
        feed = feed_of(session.feeds, rows)
        with session.place(contender) as place:
            place.variables["BENCH_SOURCE"] = feed.source
            answer = place.run(topic, str(rows), limit=LOADING_SECONDS)
            if "counted" in answer.said:  # a floor writes nothing: it says what it has seen
                compare({"rows": feed.facts["rows"]}, {"rows": int(answer.said["counted"])})
            else:
                compare(feed.facts, _found(session, place, answer, feed.kind))
        return sample_of(answer, rows), str(answer.said.get("how", ""))

    return measure


def sample_of(answer: Answer, rows: int) -> Sample:
    numbers = {key: float(value) for key, value in answer.said.items() if isinstance(value, int | float)}
    return {**numbers, "row_seconds": numbers["seconds"] / rows, "wall_seconds": answer.seconds}


def _found(session: Session, place: Place, answer: Answer, kind: str) -> dict[str, int]:
    """What is in the table that a contender says it has written."""
    said = answer.said
    if "delta" in said:
        return session.feeds.judge("look", kind, "delta", str(place.home / said["delta"]))
    if "duckdb" in said:
        return session.feeds.judge("look", kind, "duckdb", str(place.home / said["duckdb"]), said["table"])
    return session.feeds.judge("look", kind, "postgres", said["table"], database=place.variables["BENCH_POSTGRES"])


def timeseries(session: Session, contender: Contender, points: int) -> tuple[Sample, str]:
    """Time the writing of points, each time into a measurement of its own."""
    feed, url = session.feeds.points(points), session.services["timeseries"]
    measurement = f"heat{time.time_ns()}"
    with session.place(contender) as place:
        place.variables |= {"BENCH_SOURCE": feed.source, "BENCH_SINK": url, "BENCH_MEASUREMENT": measurement}
        answer = place.run("timeseries", str(points), limit=LOADING_SECONDS)
    compare(feed.facts, session.feeds.judge("measured", url, measurement))
    return sample_of(answer, points), str(answer.said.get("how", ""))


def backlog(session: Session, contender: Contender, changes: int) -> tuple[Sample, str]:
    """Time the reading of changes that were made while nobody read them.

    The contender says when it had how many of them. The rate is that between the first time and the last one, so that
    nobody is charged for the start of a virtual machine; the whole time is told beside it.
    """
    with session.place(contender) as place:
        database = place.variables["BENCH_POSTGRES"]
        session.feeds.program("changes.py", "table", database=database)
        place.run("cdc", "prepare", limit=LOADING_SECONDS)
        session.feeds.program("changes.py", "backlog", str(changes), database=database)
        answer = place.run("cdc", "backlog", str(changes), limit=LOADING_SECONDS)
        _check_changes(session, place, answer, changes, database)
        marks = marks_of(place.home / "arrivals")
    sample = sample_of(answer, changes)
    (first, begun), (last, done) = marks[0], marks[-1]
    steady = (done - begun) / (last - first) if last > first else sample["row_seconds"]
    return {**sample, "change_seconds": steady}, str(answer.said.get("how", ""))


def lag(session: Session, contender: Contender, changes: int) -> tuple[Sample, str]:
    """Measure how long after its commit each change is where it belongs, while changes come evenly."""
    with session.place(contender) as place:
        database, commits = place.variables["BENCH_POSTGRES"], place.home / "commits"
        session.feeds.program("changes.py", "table", database=database)
        place.run("cdc", "prepare", limit=LOADING_SECONDS)
        writer = session.feeds.beside(
            "changes.py", "stream", str(changes), str(STREAM_PER_SECOND), str(commits), database=database
        )
        threading.Thread(target=lambda: writer.wait() and place.clean(), daemon=True).start()
        try:
            limit = 2 * STARTING_SECONDS + 5 * changes / STREAM_PER_SECOND
            answer = place.run("cdc", "stream", str(changes), limit=limit)
            writer.wait()  # all its changes have come: it ends
        except Failed as failure:
            raise (Failed("the program that makes changes has failed") if writer.poll() else failure) from None
        finally:
            end_group(writer)
        _check_changes(session, place, answer, changes, database)
        waits = lags(marks_of(commits), marks_of(place.home / "arrivals"))
        spent = marks_of(commits)
    rate = (spent[-1][0] - spent[0][0]) / (spent[-1][1] - spent[0][1])
    if rate < EVENLY * STREAM_PER_SECOND:
        raise Failed(f"the changes came too slowly: {rate:,.0f} a second")
    numbers = {f"p{rank}": percentile(waits, rank) for rank in (50, 99)}
    sample = {**sample_of(answer, changes), **numbers, "worst": max(waits)[0], "per_second": rate}
    return sample, str(answer.said.get("how", ""))


def _check_changes(session: Session, place: Place, answer: Answer, changes: int, database: str) -> None:
    """See that all changes have come, and that a table that they were carried out on is the table they are from."""
    compare({"changes": changes}, {"changes": int(answer.said["counted"])})
    if "delta" in answer.said or "duckdb" in answer.said:
        expected = session.feeds.judge("look", "changed", "postgres", "orders", database=database)
        compare(expected, _found(session, place, answer, "changed"))


def marks_of(path: Path) -> list[tuple[int, float]]:
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return [(int(count), float(moment)) for count, moment in lines]


def lags(commits: list[tuple[int, float]], arrivals: list[tuple[int, float]]) -> list[tuple[float, int]]:
    """How long the changes of each commit were under way, and how many changes that are.

    Both lists say how many changes there were by which moment; all are in the order of the commits.
    """
    found, before, arrived = [], 0, iter(arrivals)
    count, moment = next(arrived)
    for done, committed in commits:
        while count < done:
            count, moment = next(arrived)
        found.append((moment - committed, done - before))
        before = done
    return found


def percentile(weighted: list[tuple[float, int]], rank: float) -> float:
    """The nearest-rank percentile of values that each stand for several."""
    total, seen = sum(weight for _, weight in weighted), 0
    for value, weight in sorted(weighted):
        seen += weight
        if seen >= total * rank / 100:
            return value
    raise ValueError("there are no values")


def history(session: Session, contender: Contender, commits: int) -> tuple[Sample, str]:
    """Time small commits into one table, the longer its history is."""
    with session.place(contender) as place:
        answer = place.run("history", str(commits), limit=4 * LOADING_SECONDS)
        found = _found(session, place, answer, "changed")
        compare({"rows": int(answer.said["rows"])}, {"rows": found["rows"]})
    return sample_of(answer, commits), ""
