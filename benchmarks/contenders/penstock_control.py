"""Penstock, asked over its API."""

import hmac
import json
import os
import signal
import subprocess
import sys
from functools import cache
from typing import Any

import desk
import plant
from common import home, report
from desk import PAGE, POSTGRES, STEPS, Ask
from plant import Plant

from penstock.core.clock import iso, now_us
from penstock.core.events import Append, Record, RunCompleted, RunCreated, RunStarted, Saved, TaskCompleted
from penstock.core.ids import derived_run_id, new_run_id
from penstock.testing.bulk import BEGIN, RARE, SECOND
from penstock.testing.samples import step

ALONE = bool(os.environ.get("BENCH_ALONE"))
SCHEMA = "penstock." if POSTGRES else ""
STATES = ("Completed", "Failed", "Crashed")
LARGE = "large"
HEARD = ("api-hooks", "api-rate", "api-listeners", "api-hook-start")
SECRET = b"open sesame"
HOOK = {
    "slug": "git",
    "signature": {"scheme": "github"},
    "secrets": [{"connection": "git-hook"}],
    "mapping": {
        "event": "git.{headers.x-github-event}",
        "resource": "{body.repository.full_name}",
        "payload": {"key": "{body.after}", "note": "{body.repository.note}"},
    },
}
ON_PUSH = {
    "name": "on-push",
    "trigger": {"event": "git.push", "where": {"resource": "ann/*"}},
    "actions": [{"type": "run-workflow", "workflow": "asked", "parameters": {"key": "{payload.key}"}}],
}


def serve() -> None:
    """Serve the API, and execute nothing."""
    import gc
    import threading

    from penstock.app import current
    from penstock.control.server import serving
    from penstock.control.settings import load_server_settings

    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with serving(current(), load_server_settings(port=int(os.environ["BENCH_PORT"]))):
        gc.freeze()  # as the command does
        over.wait()


@cache
def journal() -> Any:
    """Open the journal, to count in it."""
    if POSTGRES:
        import psycopg

        return psycopg.connect(POSTGRES, autocommit=True)
    import sqlite3

    return sqlite3.connect(f"file:{home()}/journal.db?mode=ro", uri=True)


def counted(table: str) -> int:
    return int(journal().execute(f"SELECT count(*) FROM {SCHEMA}{table}").fetchone()[0])


class Penstock(desk.Site):
    """`penstock server start`, or its API alone."""

    ready = "/health/ready"

    def __init__(self) -> None:
        self.run_id = ""

    def start(self, running: Plant) -> "subprocess.Popen[bytes]":
        if ALONE:
            return running.start(sys.executable, __file__, "serve")
        port = os.environ["BENCH_PORT"]
        return running.start(plant.command("penstock"), "server", "start", "--port", port, "--quiet")

    def fill(self, topic: str, count: int) -> None:
        if topic == "api-listing":
            from penstock_listing import opened

            opened(count).close()
        elif topic == "api-read":
            self.run_id = made_run()

    def prepare(self, topic: str) -> None:
        if topic == "api-trigger":
            desk.call(self, "POST", "/api/v1/workflows", workflow("asked"))

        if topic in HEARD:
            secret = {"name": "git-hook", "type": "secret", "fields": {"value": SECRET.decode()}}
            desk.call(self, "POST", "/api/v1/connections", secret)
            desk.call(self, "POST", "/api/v1/webhooks", HOOK)
        if topic == "api-hook-start":
            desk.call(self, "POST", "/api/v1/workflows", workflow("asked"))
            desk.call(self, "POST", "/api/v1/automations", ON_PUSH)

    def sending(self, number: int) -> list[Ask]:
        facts = {"full_name": "ann/shop", "note": f"mark-{number}."}
        body = json.dumps({"repository": facts, "after": str(number), "ref": "refs/heads/main"})
        headers = {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": f"{os.getpid()}-{number}",
            "X-Hub-Signature-256": f"sha256={hmac.new(SECRET, body.encode(), 'sha256').hexdigest()}",
        }
        return [["POST", "/hooks/git", headers, body]]

    def sent(self) -> int:
        return counted("deliveries WHERE status = 'accepted'")

    def listening(self) -> dict[str, Any]:
        return {"path": "/api/v1/events/stream", "kind": "sse", "first": []}

    def creating(self, number: int) -> list[Ask]:
        return [desk.ask(self, "POST", "/api/v1/workflows", workflow(f"made_{number}"))]

    def created(self) -> int:
        return counted("workflows")

    def triggering(self, number: int) -> list[Ask]:
        return [desk.ask(self, "POST", "/api/v1/workflows/asked/trigger", {"parameters": {"key": str(number)}})]

    def triggered(self) -> int:
        return counted("runs")

    def reading(self) -> list[Ask]:
        return [desk.ask(self, "GET", f"/api/v1/runs/{self.run_id}")]

    def read(self, bodies: list[Any]) -> int:
        return sum(each["state"] == "Completed" for each in bodies[0]["task_runs"])

    def pages(self, runs: int) -> dict[str, Any]:
        def asking(**where: str) -> Ask:
            words = "&".join(f"{name}={value}" for name, value in where.items())
            return desk.ask(self, "GET", f"/api/v1/runs?limit={PAGE}&{words}")

        def hour(place: int) -> tuple[str, str]:
            since = BEGIN + runs // 2 * place // desk.TIMES * SECOND
            return str(iso(since)), str(iso(since + 3_600 * SECOND))

        def within(place: int, run: Any) -> bool:
            since, until = hour(place)
            return since <= str(run["created_at"]) <= until

        def flow(place: int) -> str:
            return "rare" if place % 5 == 0 and runs >= PAGE * RARE else f"flow_{place % 5}"

        def later(place: int) -> str:
            number = runs - desk.LATER * (place + 1)
            return derived_run_id((BEGIN + number * SECOND) // 1000, "1", str(number))

        return {
            "first": (lambda _: asking(), lambda place, run: True),
            "state": (
                lambda place: asking(state=STATES[place % 3]), lambda place, run: run["state"] == STATES[place % 3],
            ),
            "flow": (lambda place: asking(flow=flow(place)), lambda place, run: run["flow"] == flow(place)),
            "later": (lambda place: asking(cursor=later(place)), lambda place, run: run["id"] < later(place)),
            "time": (lambda place: asking(since=hour(place)[0], until=hour(place)[1]), within),
            "mixed": (
                lambda place: asking(state="Failed", flow="flow_1", since=hour(place)[0]),
                lambda place, run: (run["state"], run["flow"]) == ("Failed", "flow_1"),
            ),
        }  # fmt: skip

    def listed(self, body: Any) -> list[Any]:
        found: list[Any] = body["items"]
        return found

    def moment(self, run: Any) -> Any:
        return run["created_at"]


def workflow(name: str) -> dict[str, Any]:
    """A workflow of two tasks."""
    key = {"$parameter": "key"}
    return {
        "name": name,
        "description": "one of many",
        "tags": ["bench", "etl"],
        "parameters": {"key": "none"},
        "tasks": [
            {"name": "first", "python_callable": "control_tasks:first", "params": {"key": key}},
            {"name": "second", "python_callable": "control_tasks:second", "params": {"key": {"$result": "first"}}},
        ],
    }


def made_run() -> str:
    """Put a run with 1,000 task runs into the journal."""
    from penstock import app

    run_id, at = new_run_id(), now_us()
    created = RunCreated(at=at, flow=LARGE, name=LARGE, parameters=Saved("json", 2), tags=("bench",))
    records = [Record(created, b"{}"), Record(RunStarted(at=at, owner="here|1|2|3", lease_until=at + 60 * SECOND))]
    for place in range(1, STEPS + 1):
        records.append(
            Record(TaskCompleted(at=at + place, step=step(place), started=at, result=Saved("json", 2)), b"42")
        )
    records.append(Record(RunCompleted(at=at + SECOND, result=Saved("json", 2))))
    app.current().journal.commit([Append(run_id, 0, records)])
    app.reset()
    return run_id


def main() -> None:
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "prepare":
        from penstock import app

        app.current()
        app.reset()
        report()
    else:
        desk.main(Penstock())


if __name__ == "__main__":
    main()
