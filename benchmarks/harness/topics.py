"""What is measured: each topic takes one sample of one contender at a time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import control, duty, pipes, trust
from harness.contenders import Contender
from harness.feeds import JUDGE, MAKER, Feed, Feeds
from harness.places import Failed, opened
from harness.records import Tally, count, settle
from harness.session import Session

Sample = dict[str, float]
MAPPED_SECONDS = 0.01
MAPPED_LIMIT = 50
STEPS = 10


@dataclass(frozen=True)
class Topic:
    """A question asked of every contender.

    `primary` is the metric that ratios are made of, and `unit` what it is in (nothing: a number); `sizes` are the
    task counts, `quick_sizes` those of a quick run (None: as the contender says); `passes` are the samples taken in
    a round; `most_rounds` caps the rounds where repeating tells nothing new; `job_limit` is how many seconds a
    sample may take for its row to stay in the rounds (None: as the run says); `reference` is the contender that
    ratios are made to, and with `rated` to its row of another size where it has none of this one: the metric is
    then for one run, of however many; `compared` is False where being ahead means nothing; `needs` are the services
    that it cannot do without, and the judge's environment where what was written is looked at.
    """

    name: str
    primary: str
    measure: Callable[[Session, Contender, int], tuple[Sample, str]]
    sizes: tuple[int, ...] | None = (1,)
    quick_sizes: tuple[int, ...] | None = (1,)
    most_rounds: int = 100
    passes: int = 1
    unit: str = "s"
    job_limit: float | None = None
    reference: str = "penstock"
    rated: bool = False
    compared: bool = True
    needs: tuple[str, ...] = ()

    def sizes_for(self, contender: Contender, *, quick: bool) -> tuple[int, ...]:
        """Return the task counts at which a contender is measured."""
        counts = contender.quick_counts if quick else contender.counts
        if self.name in counts:
            return counts[self.name]
        if quick:
            return contender.quick_sizes if self.quick_sizes is None else self.quick_sizes
        return contender.sizes if self.sizes is None else self.sizes


def imported(session: Session, contender: Contender, _: int) -> tuple[Sample, str]:
    """Time a fresh interpreter that imports the package and ends."""
    environment = session.environments[contender.environment]
    statement = ["-c", environment.imports]
    with opened(contender, environment, session.folder / "import") as place:
        if contender.name not in session.warmed:
            session.warmed.add(contender.name)
            place.execute(statement, limit=session.process_limit, silent=True)
        answer = place.execute(statement, limit=session.process_limit, silent=True)
    return {"seconds": answer.seconds}, ""


def hello(session: Session, contender: Contender, _: int) -> tuple[Sample, str]:
    """Time a fresh process that runs a durable flow of one task, from its start to its exit."""
    with session.place(contender) as place:
        before = count(place, "hello")
        answer = place.run("hello", limit=session.process_limit)
        tally = settle(place, "hello", 1, before, session.patience)
    return {"seconds": answer.seconds, "executed": 1, **_on_record(tally)}, ""


def sequential(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time no-op tasks, one after the other, between the first and the last task body."""
    return _tasks(session, contender, "noop", ["sequential", str(size)])


def mapped(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time mapped tasks that sleep, from the call that maps them to the last result."""
    arguments = ["mapped", str(size), str(MAPPED_SECONDS), str(MAPPED_LIMIT)]
    return _tasks(session, contender, "nap", arguments)


def postgres(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time tasks recorded in PostgreSQL: called in sequence, and submitted all at once."""
    sample, remark = _tasks(session, contender, "noop", ["sequential", str(size)])
    if contender.floor:
        return sample, remark
    submitted, _ = _tasks(session, contender, "noop", ["submitted", str(size)])
    return {
        **sample,
        "submitted_seconds": submitted["seconds"] / size,
        "executed": sample["executed"] + submitted["executed"],
        "recorded_at_exit": sample["recorded_at_exit"] + submitted["recorded_at_exit"],
        "recorded": sample["recorded"] + submitted["recorded"],
        "settle_seconds": max(sample["settle_seconds"], submitted["settle_seconds"]),
    }, remark


def killed(session: Session, contender: Contender, _: int) -> tuple[Sample, str]:
    """Kill a flow in its fifth step of ten, continue as the tool continues, and count the steps run twice.

    Every step leaves a line in a file; the count is made of those lines.
    """
    with session.place(contender) as place:
        place.run("steps", "die", limit=session.process_limit, fatal=True)
        answer = place.run("steps", "resume", limit=session.process_limit)
        lines = Counter((place.home / "effects").read_text().split())
    if len(lines) != STEPS:
        raise Failed(f"{len(lines)} of {STEPS} steps had run in the end")
    repeated = sum(times - 1 for times in lines.values())
    return {"repeated": repeated, "seconds": answer.seconds}, str(answer.said.get("how", ""))


def on_dask(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time mapped tasks of a millisecond on a Dask cluster, from the call that maps them to the last result."""
    return _tasks(session, contender, "nap", ["dask", str(size)])


def frames_on_dask(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time frames of 100 MB that are made, changed and summed up on a Dask cluster."""
    return _tasks(session, contender, "", ["dask-frames", str(size)])


def _tasks(session: Session, contender: Contender, task: str, arguments: list[str]) -> tuple[Sample, str]:
    with session.place(contender) as place:
        before = count(place, task)
        answer = place.run(*arguments, limit=session.process_limit)
        executed = int(answer.said["executed"])
        tally = settle(place, task, executed, before, session.patience)
    numbers = {key: value for key, value in answer.said.items() if isinstance(value, int | float)}
    return {**numbers, "wall_seconds": answer.seconds, **_on_record(tally)}, ""


def _on_record(tally: Tally) -> Sample:
    return {
        "recorded_at_exit": tally.at_exit,
        "recorded": tally.settled,
        "settle_seconds": tally.settle_seconds,
    }


ENGINE = (
    Topic("import", "seconds", imported, passes=3),
    Topic("hello", "seconds", hello),
    Topic("sequential", "task_seconds", sequential, None, None),
    Topic("mapped", "seconds", mapped, (1_000,), (200,)),
    Topic("postgres", "task_seconds", postgres, (1_000,), (200,), reference="penstock-postgres"),
    Topic("kill", "repeated", killed, most_rounds=3, unit=""),
    Topic("trigger", "p50", duty.trigger, most_rounds=3, reference=duty.REFERENCE, rated=True),
    Topic("drain", "run_seconds", duty.drain, most_rounds=3, job_limit=120, reference=duty.REFERENCE, rated=True),
    Topic("schedules", "at_once_max", duty.schedules, most_rounds=2, job_limit=300, reference=duty.REFERENCE),
    Topic("soak", "kb_per_1000", duty.soak, most_rounds=1, unit="KB", reference=duty.REFERENCE, compared=False),
    Topic("listing", "p95", duty.listing, most_rounds=1, reference="penstock-listing", compared=False),
)


def loads(name: str, feed: Callable[[Feeds, int], Feed], rows: int, quick: int, *services: str) -> Topic:
    """A topic in which a feed is read into a table."""
    return Topic(
        name,
        "row_seconds",
        pipes.loading(name, feed),
        (rows,),
        (quick,),
        job_limit=120,
        reference="penstock-data",
        needs=(JUDGE, *services),
    )


RETAIL = 541_909
CHANGES: dict[str, Any] = {"most_rounds": 3, "job_limit": 240, "needs": (JUDGE, "postgres")}
GROWTH: dict[str, Any] = {"job_limit": 900, "compared": False}
DATA = (
    loads("csv-lake", Feeds.csv, 2_000_000, 20_000),
    loads("csv-duckdb", Feeds.csv, 2_000_000, 20_000),
    loads("retail-lake", Feeds.retail, RETAIL, RETAIL),
    loads("retail-duckdb", Feeds.retail, RETAIL, RETAIL),
    loads("api-lake", Feeds.api, 200_000, 3_500),
    loads("api-duckdb", Feeds.api, 200_000, 3_500),
    loads("postgres-lake", Feeds.table, 2_000_000, 20_000, "postgres"),
    loads("kafka-lake", Feeds.topic, 1_000_000, 20_000, "kafka"),
    Topic(
        "timeseries", "row_seconds", pipes.timeseries, (500_000,), (5_000,),
        job_limit=120, reference="penstock-data", needs=(JUDGE, "timeseries"),
    ),
    Topic("cdc", "change_seconds", pipes.backlog, (500_000,), (20_000,), reference="penstock-cdc-log", **CHANGES),
    Topic("cdc-lag", "p99", pipes.lag, (100_000,), (15_000,), reference="penstock-cdc-duckdb", **CHANGES),
    Topic(
        "history", "seconds", pipes.history, (10_000,), (200,),
        most_rounds=1, reference="penstock-history-lake", needs=(JUDGE,), **GROWTH,
    ),
    Topic(
        "linear", "row_seconds", pipes.loading("linear", Feeds.csv),
        (10_000, 100_000, 1_000_000, 10_000_000), (1_000, 10_000),
        most_rounds=3, reference="penstock-linear-lake", needs=(JUDGE,), **GROWTH,
    ),
)  # fmt: skip


def on_prefect(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time a flow on a Prefect server, half of its tasks one after the other, half of them at once."""
    return _tasks(session, contender, "noop", ["on-prefect", str(size)])


def on_airflow(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
    """Time a flow in Airflow, half of its tasks one after the other, half of them at once."""
    return _tasks(session, contender, "noop", ["on-airflow", str(size)])


ENGINES = (
    Topic("on-airflow", "seconds", on_airflow, (20,), (4,), most_rounds=2, job_limit=600, reference="penstock-airflow"),
    Topic("on-prefect", "seconds", on_prefect, (1_000,), (100,), job_limit=120, reference="penstock-prefect"),
    Topic("dask", "seconds", on_dask, (10_000,), (200,), job_limit=120, reference="penstock-dask"),
    Topic("dask-frames", "frame_seconds", frames_on_dask, (8,), (2,), job_limit=120, reference="penstock-dask"),
)
ROWS, QUICK_ROWS = (10_000_000,), (200_000,)
TRUST = (
    Topic(
        "logs", "seconds", trust.logs, (2_000,), (20,),
        job_limit=120, reference="penstock-logs", needs=(JUDGE, MAKER),
    ),
    Topic(
        "logs-large", "seconds", trust.logs, (10_000,), (40,),
        most_rounds=1, job_limit=trust.READING_SECONDS, reference="penstock-logs", needs=(JUDGE, MAKER),
    ),
    Topic(
        "follow", "p99", trust.follow, (1_500_000,), (50_000,),
        most_rounds=3, job_limit=300, reference="penstock-follow", compared=False, needs=(JUDGE, MAKER),
    ),
    Topic(
        "validator", "seconds", trust.validator, ROWS, QUICK_ROWS,
        job_limit=120, reference="penstock-validator", needs=(JUDGE,),
    ),
    Topic(
        "profile", "seconds", trust.profile, ROWS, QUICK_ROWS,
        most_rounds=3, job_limit=300, reference="penstock-profile", needs=(JUDGE,),
    ),
)  # fmt: skip


def api(name: str, primary: str, count: int, quick: int, **more: Any) -> Topic:
    """A topic in which a server is asked."""
    more = {"most_rounds": 3, "job_limit": 900, "reference": control.REFERENCE, **more}
    return Topic(name, primary, control.asked(name), (count,), (quick,), **more)


CONTROL = (
    api("api-start", "ready_seconds", 1, 1, reference="penstock-server"),
    api("api-create", "request_seconds", 1_000, 100),
    api("api-trigger", "request_seconds", 1_000, 100),
    api("api-read", "request_seconds", 50, 5, rated=True),
    api("api-listing", "p95", 1_000_000, 50_000, most_rounds=1),
    api("api-hooks", "request_seconds", 10_000, 200),
    api("api-rate", "p99", 500, 50, compared=False),
    api("api-hook-start", "p50", 30, 3, compared=False, reference="penstock-server"),
    api("api-listeners", "p99", 1_000, 20),
)
TOPICS = {topic.name: topic for topic in (*ENGINE, *DATA, *TRUST, *CONTROL, *ENGINES)}
