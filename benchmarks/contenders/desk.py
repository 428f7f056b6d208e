"""What the topics of the API share: a server that is asked over HTTP, and what each product has to say of itself.

A contender's program describes its server as a `Site` and calls `main`. Requests are sent by `load.py`, a process of
its own; what is answered, and what is then in the product's own database, has to be right, or nothing was measured.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import plant
from common import home, number, report
from load import BUSY, PATIENCE_SECONDS, PAUSE_SECONDS
from plant import Plant

Ask = list[Any]
"""A request: method, path, headers, body (a text)."""

Right = Callable[[int, Any], bool]
POSTGRES = os.environ.get("BENCH_POSTGRES", "")
SCRIPTS = os.path.dirname(os.path.abspath(__file__))
WRITERS = int(os.environ.get("BENCH_WRITERS", "16"))
READERS = 4
TIMES = 60
LEAST, KIND_SECONDS = 5, 20.0
"""Pages of a kind where 60 would take longer."""
PAGE = 50
LATER = 100
STEPS = 1_000
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 20.0
RATE_SECONDS = 20
SETTLED_SECONDS = 0.5
"""A look that ends sooner has found all of them there at once."""

CROWD = 64
HEARD = 20
WARM_UPS = 20


def lacking(site: "Site") -> NoReturn:
    """What a topic asks of a product that it does not have."""
    sys.exit(f"error: {type(site).__name__} cannot do what this topic asks: take it from its topics")


class Site:
    """A product as a server. What it cannot do is not among its topics in the file of peers."""

    ready = "/"
    """Answers 200 when the server can do its work."""

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {}

    def fill(self, topic: str, count: int) -> None:
        """Lay into its database what the topic reads, before the server is there."""

    def start(self, running: Plant) -> "subprocess.Popen[bytes]":
        """Start all its processes; return the one that answers."""
        lacking(self)

    def prepare(self, topic: str) -> None:
        """Make through the API what the requests of a topic need."""

    def creating(self, number: int) -> list[Ask]:
        """Requests that make a workflow."""
        lacking(self)

    def created(self) -> int:
        """How many workflows its database has."""
        lacking(self)

    def triggering(self, number: int) -> list[Ask]:
        """Requests that ask for a run."""
        lacking(self)

    def triggered(self) -> int:
        """How many runs its database has."""
        lacking(self)

    def reading(self) -> list[Ask]:
        """Requests that read a run with its 1,000 task runs."""
        lacking(self)

    def read(self, bodies: list[Any]) -> int:
        """How many completed task runs the answers tell of."""
        lacking(self)

    def pages(self, runs: int) -> dict[str, tuple[Callable[[int], Ask], Right]]:
        """Pages of its runs by kind: the request for each place, and whether a run belongs into its answer."""
        lacking(self)

    def listed(self, body: Any) -> list[Any]:
        """The runs in an answer."""
        lacking(self)

    def moment(self, run: Any) -> Any:
        """What the runs of a page are sorted by, the newest first."""
        lacking(self)

    def sending(self, number: int) -> list[Ask]:
        """Requests that tell of one thing that has happened, each of another one; `mark-NUMBER.` is in its body."""
        lacking(self)

    def sent(self) -> int:
        """How many things that have happened its database has."""
        lacking(self)

    def listening(self) -> dict[str, Any]:
        """How its events are listened to: path, kind, and what is said first."""
        lacking(self)


def call(site: Site, method: str, path: str, body: Any = None) -> Any:
    """Send one request, again where the server is busy, and return what is answered."""
    data = None if body is None else json.dumps(body).encode()
    address = f"http://127.0.0.1:{os.environ['BENCH_PORT']}{path}"
    request = Request(address, data, {"Content-Type": "application/json", **site.headers()}, method=method)
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urlopen(request, timeout=60) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except HTTPError as error:
            if error.code not in BUSY or monotonic() > deadline:
                sys.exit(f"error: {method} {path} was answered {error.code}: {error.read()[:200]!r}")
        except ConnectionError as error:
            if monotonic() > deadline:
                sys.exit(f"error: {method} {path} was not answered: {error}")
        time.sleep(PAUSE_SECONDS)


def ask(site: Site, method: str, path: str, body: Any = None) -> Ask:
    """A request for the load."""
    return [method, path, site.headers(), "" if body is None else json.dumps(body)]


def load(jobs: Sequence[Any], connections: int, *, rate: float = 0.0, keep: bool = False) -> dict[str, Any]:
    """Have the load do its jobs; any answer but 2xx is a failure."""
    plan = os.path.join(home(), "plan.json")
    kept = os.path.join(home(), "answers.json") if keep else ""
    with open(plan, "w", encoding="utf-8") as file:
        port = int(os.environ["BENCH_PORT"])
        json.dump({"port": port, "connections": connections, "rate": rate, "keep": kept, "jobs": jobs}, file)
    program = [sys.executable, os.path.join(SCRIPTS, "load.py"), plan]
    answer = subprocess.run(program, check=False, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"error: the load has failed: {answer.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(answer.stdout)
    if refused := {status: count for status, count in told["statuses"].items() if not status.startswith("2")}:
        sys.exit(f"error: requests were refused: {refused}")
    return told


def answers() -> list[list[str]]:
    """The bodies that the load has kept, by job."""
    with open(os.path.join(home(), "answers.json"), encoding="utf-8") as file:
        return cast("list[list[str]]", json.load(file))


def told_of(found: dict[str, Any], count: int) -> dict[str, float]:
    """What is reported of a load."""
    return {
        "request_seconds": found["seconds"] / count,
        **{name: found[name] for name in ("p50", "p99", "worst", "repeated")},
    }


def start(site: Site, running: Plant) -> None:
    """Measure from the start to when the server can do its work; then what it uses while nobody asks."""
    began = monotonic()
    process = site.start(running)
    until_ready(site, process)
    ready = monotonic() - began
    time.sleep(SETTLE_SECONDS)
    idle = plant.idle_share(running, IDLE_SECONDS)
    report(ready_seconds=ready, idle_share=idle, memory_mb=running.memory_kb() / 1024)


def until_ready(site: Site, process: "subprocess.Popen[bytes]", limit: float = 120.0) -> None:
    """Ask every few milliseconds, until the answer is 200."""
    deadline = monotonic() + limit
    address = f"http://127.0.0.1:{os.environ['BENCH_PORT']}{site.ready}"
    while monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"error: its server ended with exit code {process.returncode}")
        with suppress(OSError), urlopen(Request(address, headers=site.headers()), timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.005)
    sys.exit(f"error: its server was not ready within {limit:.0f} s")


def create(site: Site, count: int) -> None:
    made(site.creating, site.created, count)


def trigger(site: Site, count: int) -> None:
    made(site.triggering, site.triggered, count)


def made(asking: Callable[[int], list[Ask]], counted: Callable[[], int], count: int) -> None:
    """Time requests that make one thing each, and see that each of them is there."""
    load([("warm", asking(number)) for number in range(WARM_UPS)], WRITERS)
    before = counted()
    found = load([("one", asking(WARM_UPS + number)) for number in range(count)], WRITERS)
    there = counted() - before
    if there != count:
        sys.exit(f"error: {count} were answered, and {there} are there")
    report(executed=count, recorded=there, **told_of(found, count))


def read(site: Site, count: int) -> None:
    """Time the reading of a run with 1,000 task runs."""
    load([("warm", site.reading()) for _ in range(5)], 1)
    found = load([("one", site.reading()) for _ in range(count)], READERS, keep=True)
    for bodies in answers():
        there = site.read([json.loads(body) for body in bodies])
        if there != STEPS:
            sys.exit(f"error: {there} of {STEPS} task runs were told of")
    report(executed=count, **told_of(found, count))


def listing(site: Site, runs: int) -> None:
    """Time pages of very many runs, and see that each holds what was asked for, the newest first."""
    kinds = site.pages(runs)
    found: dict[str, dict[str, float]] = {}
    pages, each = 0, []
    for kind, (asking, right) in kinds.items():
        first = load([(kind, [asking(0)])], 1)["seconds"]
        count = max(LEAST, min(TIMES, int(KIND_SECONDS / first)))
        places = [number * TIMES // count for number in range(count)]
        told = load([(kind, [asking(place)]) for place in places], 1, keep=True)
        for place, bodies in zip(places, answers(), strict=True):
            seen(site, kind, place, json.loads(bodies[0]), right)
        found[kind] = told["kinds"][kind]
        pages += count
        each.append(told["seconds"] / count)
    worst = max(found, key=lambda kind: found[kind]["p95"])
    told_kinds = {f"{kind}_p{rank}": of[f"p{rank}"] for kind, of in found.items() for rank in (50, 95)}
    report(
        executed=pages,
        request_seconds=sum(each) / len(each),
        p95=found[worst]["p95"],
        p99=max(of["p99"] for of in found.values()),
        worst=worst,
        **told_kinds,
    )


def seen(site: Site, kind: str, place: int, body: Any, right: Right) -> None:
    """Look at a page."""
    listed = site.listed(body)
    if len(listed) != PAGE:
        sys.exit(f"error: the page {kind} {place} has {len(listed)} runs")
    if wrong := [run for run in listed if not right(place, run)]:
        sys.exit(f"error: the page {kind} {place} has {len(wrong)} runs that were not asked for")
    moments = [site.moment(run) for run in listed]
    if moments != sorted(moments, reverse=True):
        sys.exit(f"error: the page {kind} {place} is not sorted")


def hooks(site: Site, count: int) -> None:
    """Time the telling of what has happened, one request for each thing, until all of them are on record."""
    load([("warm", site.sending(number)) for number in range(WARM_UPS)], WRITERS)
    before = len(plant.settled(lambda: range(site.sent()), WARM_UPS))
    began = monotonic()
    found = load([("one", site.sending(WARM_UPS + number)) for number in range(count)], WRITERS)
    ended = monotonic()
    there = len(plant.settled(lambda: range(site.sent() - before), count))
    late = monotonic() - ended if there == count else 0.0
    told = told_of(found, count)
    seconds = found["seconds"] + (late if late > SETTLED_SECONDS else 0.0)
    report(executed=count, recorded=there, **{**told, "request_seconds": seconds / count}, wall_seconds=ended - began)


def rate(site: Site, per_second: int) -> None:
    """Tell of so many things in a second, however long the answers take; a time counts from when a request is due."""
    count = per_second * RATE_SECONDS
    load([("warm", site.sending(number)) for number in range(WARM_UPS)], WRITERS)
    before = len(plant.settled(lambda: range(site.sent()), WARM_UPS))
    found = load([("one", site.sending(WARM_UPS + n)) for n in range(count)], CROWD, rate=float(per_second))
    there = len(plant.settled(lambda: range(site.sent() - before), count))
    told = {name: found[name] for name in ("p50", "p99", "worst", "repeated")}
    report(executed=count, recorded=there, per_second=count / found["seconds"], **told)


def listeners(site: Site, count: int) -> None:
    """Have very many listen, and time what is told until each of them has heard it."""
    plan = os.path.join(home(), "plan.json")
    known = {"port": int(os.environ["BENCH_PORT"]), "count": count, "headers": site.headers()}
    with open(plan, "w", encoding="utf-8") as file:
        json.dump({**known, **site.listening(), "publish": [site.sending(n)[0] for n in range(HEARD)]}, file)
    program = [sys.executable, os.path.join(SCRIPTS, "listen.py"), plan]
    answer = subprocess.run(program, check=False, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"error: the listeners have failed: {answer.stderr.strip().splitlines()[-1]}")
    report(**json.loads(answer.stdout))


def begun(site: Site, count: int) -> None:
    """Time from a request that tells of something to the first line of the run that an automation makes of it."""
    connection = [("one", site.sending(number)) for number in range(-plant.WARM_UPS, count)]

    def tell(key: str) -> None:
        method, path, headers, body = connection[int(key) + plant.WARM_UPS][1][0]
        address = f"http://127.0.0.1:{os.environ['BENCH_PORT']}{path}"
        request = Request(address, body.encode(), {"Content-Type": "application/json", **headers}, method=method)
        with urlopen(request, timeout=60):
            pass

    plant.trigger(tell, count)


TOPICS: dict[str, Callable[[Site, int], None]] = {
    "api-create": create,
    "api-trigger": trigger,
    "api-read": read,
    "api-listing": listing,
    "api-hooks": hooks,
    "api-rate": rate,
    "api-listeners": listeners,
    "api-hook-start": begun,
}


def main(site: Site) -> None:
    """Measure the topic that the command line names."""
    topic = sys.argv[1]
    with Plant() as running:
        if topic == "api-start":
            start(site, running)
            return
        count = number(2)
        site.fill(topic, count)
        until_ready(site, site.start(running))
        site.prepare(topic)
        time.sleep(SETTLE_SECONDS)
        TOPICS[topic](site, count)
